// The loops of depthwise.h for one vector type V. Include from one .cc per instruction set.
//
// A tile is one channel vector of up to kMaxTile neighbouring output pixels: each input column is
// loaded once and used by every output whose window holds it; the weights of a tap row stay in
// registers meanwhile.
#pragma once

#include <array>
#include <utility>

#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/epilogue_body.h"

namespace sula::cpu {

inline constexpr int kMaxTile = 8;     // 8 accumulators, 5 weights, 1 input fit 16 registers
inline constexpr int kMaxTapRows = 9;  // rows of taps gathered per tile call

// The tap rows that meet the input in one output row.
struct DepthwiseRows {
  int count;
  const float* in[kMaxTapRows];       // at the column of the tile's first tap, which may be outside
  const float* weights[kMaxTapRows];  // of the first tap of the row
};

struct DepthwiseTile {
  int64_t in_stride;
  int64_t out_stride;
  int64_t residual_stride;
  int64_t column_begin, column_end;  // columns inside, relative to `in`: only these are read
  float* out;
  const float* residual;
  int lanes;  // valid ones
};

template <class V>
[[gnu::always_inline]] inline V LoadLanes(const float* p, int lanes) {
  return lanes == V::kLanes ? V::Load(p) : V::LoadN(p, lanes);
}

// Adds one row of taps to kTile outputs. kColumns: which columns are inside is known to be all.
template <class V, int kTaps, int kStride, int kTile, bool kInside>
[[gnu::always_inline]] inline void AddTapRow(V (&acc)[kTile], const float* in, const float* weights,
                                             const DepthwiseTile& t, int lanes) {
  V w[kTaps];
#pragma GCC unroll 8
  for (int k = 0; k < kTaps; ++k) w[k] = V::Load(weights + k * V::kLanes);
#pragma GCC unroll 32
  for (int c = 0; c < (kTile - 1) * kStride + kTaps; ++c) {
    if (!kInside && (c < t.column_begin || c >= t.column_end)) continue;
    const V x = LoadLanes<V>(in + c * t.in_stride, lanes);
#pragma GCC unroll 8
    for (int i = 0; i < kTile; ++i) {
      const int k = c - i * kStride;
      if (k >= 0 && k < kTaps) acc[i] = Fma(x, w[k], acc[i]);
    }
  }
}

template <class V, int kTile>
[[gnu::always_inline]] inline void StoreTile(V (&acc)[kTile], const DepthwiseTile& t,
                                             const Epilogue& e, int lanes) {
  const V lo = V::Set(e.lo), hi = V::Set(e.hi);
#pragma GCC unroll 8
  for (int i = 0; i < kTile; ++i) {
    V x = acc[i];
    if (t.residual) x += LoadLanes<V>(t.residual + i * t.residual_stride, lanes);
    x = Min(hi, Max(lo, x));
    float* out = t.out + i * t.out_stride;
    if (lanes == V::kLanes) {
      x.Store(out);
    } else {
      x.StoreN(out, lanes);
    }
    if (e.curve != Curve::kNone) ApplyCurve<V>(out, lanes, e);
  }
}

template <class V, int kTaps, int kStride, int kTile, bool kInside>
[[gnu::noinline]] void RunDepthwiseTile(const DepthwiseRows& rows, V bias, const DepthwiseTile& t,
                                        const Epilogue& e) {
  V acc[kTile];
#pragma GCC unroll 8
  for (int i = 0; i < kTile; ++i) acc[i] = bias;
  if (t.lanes == V::kLanes) {
    for (int r = 0; r < rows.count; ++r)
      AddTapRow<V, kTaps, kStride, kTile, kInside>(acc, rows.in[r], rows.weights[r], t, V::kLanes);
    StoreTile<V, kTile>(acc, t, e, V::kLanes);
  } else {
    for (int r = 0; r < rows.count; ++r)
      AddTapRow<V, kTaps, kStride, kTile, kInside>(acc, rows.in[r], rows.weights[r], t, t.lanes);
    StoreTile<V, kTile>(acc, t, e, t.lanes);
  }
}

template <class V>
using DepthwiseTileFn = void (*)(const DepthwiseRows&, V, const DepthwiseTile&, const Epilogue&);

// Tile functions by number of pixels (entry 0 unused).
template <class V, int kTaps, int kStride, bool kInside>
constexpr auto DepthwiseTable() {
  return []<int... kTile>(std::integer_sequence<int, kTile...>) {
    return std::array<DepthwiseTileFn<V>, sizeof...(kTile) + 1>{
        nullptr, RunDepthwiseTile<V, kTaps, kStride, kTile + 1, kInside>...};
  }
  (std::make_integer_sequence<int, kMaxTile>());
}

// Position of an output row and what it reads.
struct DepthwiseRow {
  int64_t batch, z, y;
};
[[gnu::always_inline]] inline DepthwiseRow SplitRow(const Window& w, int64_t row) {
  return {row / (w.out[0] * w.out[1]), row / w.out[1] % w.out[0], row % w.out[1]};
}

// Windows kTaps wide without horizontal dilation, at horizontal stride kStride. Rows are cut into
// tiles of nearly equal width; for each tile all the task's channel vectors follow each other, so
// that memory is read in order.
template <class V, int kTaps, int kStride>
void RunDepthwiseFast(const DepthwiseCall& call, int64_t row_begin, int64_t row_end,
                      int64_t vector_begin, int64_t vector_end) {
  static constexpr auto kInside = DepthwiseTable<V, kTaps, kStride, true>();
  static constexpr auto kEdge = DepthwiseTable<V, kTaps, kStride, false>();
  const Window& w = *call.window;
  const int64_t width = w.out[2], tiles = (width + kMaxTile - 1) / kMaxTile;
  const int64_t taps = w.taps();
  for (int64_t row = row_begin; row < row_end; ++row) {
    const DepthwiseRow at = SplitRow(w, row);
    const Range kz = ValidTaps(w, 0, at.z), ky = ValidTaps(w, 1, at.y);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t x0 = width * i / tiles, x1 = width * (i + 1) / tiles;
      const int64_t column = x0 * kStride - w.pad[2];
      const int64_t columns = (x1 - x0 - 1) * kStride + kTaps;
      DepthwiseTile t;
      t.in_stride = call.in_stride, t.out_stride = call.out_stride;
      t.residual_stride = call.residual_stride;
      t.column_begin = column < 0 ? -column : 0;
      t.column_end = w.in[2] - column < columns ? w.in[2] - column : columns;
      const bool inside = t.column_begin == 0 && t.column_end == columns;
      const DepthwiseTileFn<V> tile =
          inside ? kInside[static_cast<size_t>(x1 - x0)] : kEdge[static_cast<size_t>(x1 - x0)];
      DepthwiseRows rows;
      rows.count = 0;
      for (int64_t z = kz.begin; z < kz.end; ++z) {
        const int64_t iz = at.z * w.stride[0] + z * w.dilation[0] - w.pad[0];
        for (int64_t y = ky.begin; y < ky.end; ++y) {
          const int64_t iy = at.y * w.stride[1] + y * w.dilation[1] - w.pad[1];
          const int64_t pixel = ((at.batch * w.in[0] + iz) * w.in[1] + iy) * w.in[2] + column;
          rows.in[rows.count] = call.in + pixel * call.in_stride + vector_begin * V::kLanes;
          rows.weights[rows.count] =
              call.weights + (vector_begin * taps + (z * w.kernel[1] + y) * kTaps) * V::kLanes;
          ++rows.count;
        }
      }
      const int64_t pixel = row * width + x0;
      t.out = call.out + pixel * call.out_stride + vector_begin * V::kLanes;
      t.residual = call.residual
                       ? call.residual + pixel * call.residual_stride + vector_begin * V::kLanes
                       : nullptr;
      for (int64_t v = vector_begin; v < vector_end; ++v) {
        const int64_t left = call.channels - v * V::kLanes;
        t.lanes = left < V::kLanes ? static_cast<int>(left) : V::kLanes;
        tile(rows, V::Load(call.bias + v * V::kLanes), t, call.epilogue);
        for (int r = 0; r < rows.count; ++r) {
          rows.in[r] += V::kLanes;
          rows.weights[r] += taps * V::kLanes;
        }
        t.out += V::kLanes;
        if (t.residual) t.residual += V::kLanes;
      }
    }
  }
}

// Any window, one output pixel at a time.
template <class V>
void RunDepthwiseAny(const DepthwiseCall& call, int64_t row_begin, int64_t row_end,
                     int64_t vector_begin, int64_t vector_end) {
  const Window& w = *call.window;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const DepthwiseRow at = SplitRow(w, row);
    const Range kz = ValidTaps(w, 0, at.z), ky = ValidTaps(w, 1, at.y);
    for (int64_t x = 0; x < w.out[2]; ++x) {
      const Range kx = ValidTaps(w, 2, x);
      const int64_t pixel = row * w.out[2] + x;
      for (int64_t v = vector_begin; v < vector_end; ++v) {
        const int64_t left = call.channels - v * V::kLanes;
        const int lanes = left < V::kLanes ? static_cast<int>(left) : V::kLanes;
        V acc[1] = {V::Load(call.bias + v * V::kLanes)};
        const float* weights = call.weights + v * w.taps() * V::kLanes;
        for (int64_t z = kz.begin; z < kz.end; ++z) {
          const int64_t iz = at.z * w.stride[0] + z * w.dilation[0] - w.pad[0];
          for (int64_t y = ky.begin; y < ky.end; ++y) {
            const int64_t iy = at.y * w.stride[1] + y * w.dilation[1] - w.pad[1];
            const int64_t line = ((at.batch * w.in[0] + iz) * w.in[1] + iy) * w.in[2];
            for (int64_t k = kx.begin; k < kx.end; ++k) {
              const int64_t ix = x * w.stride[2] + k * w.dilation[2] - w.pad[2];
              const int64_t tap = (z * w.kernel[1] + y) * w.kernel[2] + k;
              const float* in = call.in + (line + ix) * call.in_stride + v * V::kLanes;
              acc[0] = Fma(LoadLanes<V>(in, lanes), V::Load(weights + tap * V::kLanes), acc[0]);
            }
          }
        }
        DepthwiseTile t;
        t.out = call.out + pixel * call.out_stride + v * V::kLanes;
        t.residual =
            call.residual ? call.residual + pixel * call.residual_stride + v * V::kLanes : nullptr;
        t.out_stride = t.residual_stride = 0;
        StoreTile<V, 1>(acc, t, call.epilogue, lanes);
      }
    }
  }
}

template <class V>
void RunDepthwise(const DepthwiseCall& call, int64_t row_begin, int64_t row_end,
                  int64_t vector_begin, int64_t vector_end) {
  const Window& w = *call.window;
  auto* run = RunDepthwiseAny<V>;
  if (w.dilation[2] == 1 && w.kernel[0] * w.kernel[1] <= kMaxTapRows) {
    if (w.kernel[2] == 3 && w.stride[2] == 1) run = RunDepthwiseFast<V, 3, 1>;
    if (w.kernel[2] == 3 && w.stride[2] == 2) run = RunDepthwiseFast<V, 3, 2>;
    if (w.kernel[2] == 5 && w.stride[2] == 1) run = RunDepthwiseFast<V, 5, 1>;
    if (w.kernel[2] == 5 && w.stride[2] == 2) run = RunDepthwiseFast<V, 5, 2>;
  }
  run(call, row_begin, row_end, vector_begin, vector_end);
}

template <class V>
constexpr DepthwiseKernels MakeDepthwiseKernels() {
  return {V::kLanes, RunDepthwise<V>};
}

}  // namespace sula::cpu
