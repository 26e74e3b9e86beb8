// The loops of pool.h for one vector type V. Include from one .cc per instruction set.
#pragma once

#include <limits>

#include "backends/cpu/kernels/pool/pool.h"

namespace sula::cpu {

// The window of one output pixel.
struct PoolWindow {
  const float* in;  // at its first position inside
  int64_t size[3];  // positions inside, per axis
  int64_t step[3];  // floats between positions, per axis
  float scale;      // of the sum
};

template <class V, bool kMax>
[[gnu::always_inline]] inline V Combine(V a, V x) {
  if constexpr (kMax) {
    return Max(a, x);
  } else {
    return a + x;
  }
}

// kVectors neighbouring vectors of one output pixel; `lanes` valid ones in the last.
template <class V, bool kMax, int kVectors>
[[gnu::always_inline]] inline void PoolVectors(const PoolWindow& w, int64_t channel, int lanes,
                                               float* out) {
  V acc[kVectors];
  const V start = kMax ? V::Set(-std::numeric_limits<float>::infinity()) : V::Zero();
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) acc[v] = start;
  for (int64_t z = 0; z < w.size[0]; ++z) {
    for (int64_t y = 0; y < w.size[1]; ++y) {
      const float* p = w.in + z * w.step[0] + y * w.step[1] + channel;
      for (int64_t x = 0; x < w.size[2]; ++x, p += w.step[2]) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const V value = lanes == V::kLanes ? V::Load(p + v * V::kLanes) : V::LoadN(p, lanes);
          acc[v] = Combine<V, kMax>(acc[v], value);
        }
      }
    }
  }
  const V scale = V::Set(w.scale);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const V y = kMax ? acc[v] : acc[v] * scale;
    if (lanes == V::kLanes) {
      y.Store(out + channel + v * V::kLanes);
    } else {
      y.StoreN(out + channel, lanes);
    }
  }
}

template <class V, bool kMax>
[[gnu::noinline]] void PoolPixel(const PoolWindow& w, int64_t channel_begin, int64_t channel_end,
                                 float* out) {
  int64_t c = channel_begin;
  for (; c + 4 * V::kLanes <= channel_end; c += 4 * V::kLanes)
    PoolVectors<V, kMax, 4>(w, c, V::kLanes, out);
  for (; c + 2 * V::kLanes <= channel_end; c += 2 * V::kLanes)
    PoolVectors<V, kMax, 2>(w, c, V::kLanes, out);
  for (; c + V::kLanes <= channel_end; c += V::kLanes)
    PoolVectors<V, kMax, 1>(w, c, V::kLanes, out);
  if (c < channel_end) PoolVectors<V, kMax, 1>(w, c, static_cast<int>(channel_end - c), out);
}

// Positions of an axis inside the padded map.
[[gnu::always_inline]] inline int64_t PaddedTaps(const PoolCall& call, int axis, int64_t o) {
  const Window& w = call.window;
  const int64_t at = o * w.stride[axis] - w.pad[axis], d = w.dilation[axis];
  const int64_t end = (w.in[axis] + call.pad_end[axis] - at + d - 1) / d;
  return end < w.kernel[axis] ? end : w.kernel[axis];
}

template <class V>
void RunPoolRows(const PoolCall& call, int64_t row_begin, int64_t row_end, int64_t channel_begin,
                 int64_t channel_end) {
  const Window& w = call.window;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int64_t y = row % w.out[1], z = row / w.out[1] % w.out[0];
    const int64_t batch = row / (w.out[0] * w.out[1]);
    const Range kz = ValidTaps(w, 0, z), ky = ValidTaps(w, 1, y);
    const int64_t iz = z * w.stride[0] + kz.begin * w.dilation[0] - w.pad[0];
    const int64_t iy = y * w.stride[1] + ky.begin * w.dilation[1] - w.pad[1];
    const int64_t line = ((batch * w.in[0] + iz) * w.in[1] + iy - call.first_row) * w.in[2];
    PoolWindow window;
    window.size[0] = kz.end - kz.begin, window.size[1] = ky.end - ky.begin;
    window.step[0] = w.dilation[0] * w.in[1] * w.in[2] * call.in_stride;
    window.step[1] = w.dilation[1] * w.in[2] * call.in_stride;
    window.step[2] = w.dilation[2] * call.in_stride;
    for (int64_t x = 0; x < w.out[2]; ++x) {
      const Range kx = ValidTaps(w, 2, x);
      const int64_t ix = x * w.stride[2] + kx.begin * w.dilation[2] - w.pad[2];
      window.in = call.in + (line + ix) * call.in_stride;
      window.size[2] = kx.end - kx.begin;
      float* out = call.out + (row * w.out[2] + x) * call.out_stride;
      if (call.kind == PoolKind::kMax) {
        PoolPixel<V, true>(window, channel_begin, channel_end, out);
        continue;
      }
      int64_t count = window.size[0] * window.size[1] * window.size[2];
      if (call.kind == PoolKind::kMeanPadding)
        count = PaddedTaps(call, 0, z) * PaddedTaps(call, 1, y) * PaddedTaps(call, 2, x);
      window.scale = count > 0 ? 1.f / static_cast<float>(count) : 0.f;
      PoolPixel<V, false>(window, channel_begin, channel_end, out);
    }
  }
}

template <class V>
constexpr PoolKernels MakePoolKernels() {
  return {V::kLanes, RunPoolRows<V>};
}

}  // namespace sula::cpu
