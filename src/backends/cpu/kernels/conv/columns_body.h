// The loops of columns.h for one vector type V. Include from one .cc per instruction set.
#pragma once

#include "backends/cpu/kernels/conv/columns.h"
#include "backends/cpu/kernels/epilogue_body.h"

namespace sula::cpu {

// The offsets of one output pixel along each axis.
struct PixelMeetings {
  const int64_t* at[3];
  int64_t count[3];
};

// kVectors neighbouring vectors of one output pixel; `lanes` valid ones in the last.
template <class V, int kVectors>
[[gnu::always_inline]] inline void SumColumns(const ColumnSums& call, const PixelMeetings& p,
                                              int64_t channel, int lanes, float* out) {
  V acc[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v)
    acc[v] = lanes == V::kLanes ? V::Load(call.bias + channel + v * V::kLanes)
                                : V::LoadN(call.bias + channel, lanes);
  for (int64_t z = 0; z < p.count[0]; ++z) {
    for (int64_t y = 0; y < p.count[1]; ++y) {
      const float* const from = call.columns + p.at[0][z] + p.at[1][y] + channel;
      for (int64_t x = 0; x < p.count[2]; ++x) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v)
          acc[v] += lanes == V::kLanes ? V::Load(from + p.at[2][x] + v * V::kLanes)
                                       : V::LoadN(from + p.at[2][x], lanes);
      }
    }
  }
  const V lo = V::Set(call.epilogue.lo), hi = V::Set(call.epilogue.hi);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const V y = Min(hi, Max(lo, acc[v]));
    if (lanes == V::kLanes) {
      y.Store(out + channel + v * V::kLanes);
    } else {
      y.StoreN(out + channel, lanes);
    }
  }
}

template <class V>
void RunColumnSums(const ColumnSums& call, int64_t row_begin, int64_t row_end) {
  const int64_t channels = call.channels, width = call.out[2];
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int64_t position[2] = {row / call.out[1], row % call.out[1]};
    PixelMeetings p;
    for (int i = 0; i < 2; ++i) {
      const int64_t* const begin = call.axes[i].begin + position[i];
      p.at[i] = call.axes[i].offsets + begin[0], p.count[i] = begin[1] - begin[0];
    }
    float* const line = call.to + row * width * call.to_stride;
    for (int64_t x = 0; x < width; ++x) {
      const int64_t* const begin = call.axes[2].begin + x;
      p.at[2] = call.axes[2].offsets + begin[0], p.count[2] = begin[1] - begin[0];
      float* const out = line + x * call.to_stride;
      int64_t c = 0;
      for (; c + 4 * V::kLanes <= channels; c += 4 * V::kLanes)
        SumColumns<V, 4>(call, p, c, V::kLanes, out);
      for (; c + V::kLanes <= channels; c += V::kLanes)
        SumColumns<V, 1>(call, p, c, V::kLanes, out);
      if (c < channels) SumColumns<V, 1>(call, p, c, static_cast<int>(channels - c), out);
    }
    if (call.epilogue.curve == Curve::kNone) continue;
    if (call.to_stride == channels) {
      ApplyCurve<V>(line, width * channels, call.epilogue);
    } else {
      for (int64_t x = 0; x < width; ++x)
        ApplyCurve<V>(line + x * call.to_stride, channels, call.epilogue);
    }
  }
}

template <class V>
constexpr ColumnKernels MakeColumnKernels() {
  return {V::kLanes, RunColumnSums<V>};
}

}  // namespace sula::cpu
