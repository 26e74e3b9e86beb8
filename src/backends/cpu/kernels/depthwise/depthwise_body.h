// The loops of depthwise.h for one vector type V. Include from one .cc per instruction set.
//
// Input rows pass through a ring in L1, one group of kGroup channels wide. There, pixels lie at a
// fixed small stride and padding columns are zeros, so that tiles need no edge cases, all their
// addresses are constants from one pointer, and maps whose pixel stride is a power of two don't
// fight for the same sets of the cache. A tile is one channel vector of up to eight neighbouring
// output pixels: each input column is loaded once and used by every output whose window holds it.
#pragma once

#include <array>
#include <utility>

#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/epilogue_body.h"

namespace sula::cpu {

// Output pixels of a tile: enough for the latency of two FMAs a cycle, but no more than leave
// registers for the columns of one phase of the stride, so that each is loaded once, and a weight.
template <class V, int kTaps, int kStride>
constexpr int DepthwiseTileWidth() {
  int tile = 8;
  while (tile > 1 && 2 * tile + (kTaps + kStride - 1) / kStride >= V::kRegisters) --tile;
  return tile;
}

template <class V>
[[gnu::always_inline]] inline V LoadLanes(const float* p, int lanes) {
  return lanes == V::kLanes ? V::Load(p) : V::LoadN(p, lanes);
}
template <class V>
[[gnu::always_inline]] inline void StoreLanes(V x, float* p, int lanes) {
  if (lanes == V::kLanes) {
    x.Store(p);
  } else {
    x.StoreN(p, lanes);
  }
}

// The tap rows that meet the input in one output row.
struct DepthwiseRows {
  int count;
  const float* in[kMaxTapRows];       // in the ring, at the first tap of the row's first output
  const float* weights[kMaxTapRows];  // of the first tap of the row, for the group's first vector
};

// Where the outputs of a tile go, for the group's first vector.
struct DepthwiseOut {
  float* out;
  int64_t out_stride;
  const float* residual;
  int64_t residual_stride;
};

template <class V, int kTile, bool kResidual, bool kFull>
[[gnu::always_inline]] inline void StoreTile(const V (&acc)[kTile], const DepthwiseOut& to, V lo,
                                             V hi, int64_t channel, int lanes) {
  if constexpr (kFull) lanes = V::kLanes;
  float* out = to.out + channel;
  asm volatile("" : "+r"(out));  // one pointer, not one per pixel kept over all channels
  const float* residual = to.residual + channel;
#pragma GCC unroll 8
  for (int i = 0; i < kTile; ++i, out += to.out_stride, residual += to.residual_stride) {
    V x = acc[i];
    if constexpr (kResidual) x += LoadLanes<V>(residual, lanes);
    StoreLanes<V>(Min(hi, Max(lo, x)), out, lanes);
  }
}

// Adds one row of taps to kTile outputs. Tap by tap: neighbouring FMAs then belong to different
// outputs, as their latency wants; column by column an output would wait for itself. Phase by phase
// of the stride: only columns that share taps need registers at the same time.
template <class V, int kTaps, int kStride, int kTile>
[[gnu::always_inline]] inline void AddTapRow(V (&acc)[kTile], const float* in,
                                             const float* weights) {
  asm volatile("" : "+r"(in));  // so that columns are constants from one pointer
#pragma GCC unroll 2
  for (int phase = 0; phase < kStride; ++phase) {
    constexpr int kColumns = kTile - 1 + (kTaps + kStride - 1) / kStride;
    V x[kColumns];
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c) {
      if (c * kStride + phase >= (kTile - 1) * kStride + kTaps)
        continue;  // of the first phase only
      x[c] = V::Load(in + (c * kStride + phase) * kDepthwiseGroup);
      x[c].Pin();  // in a register, not an operand that is loaded once per tap
    }
#pragma GCC unroll 8
    for (int k = phase; k < kTaps; k += kStride) {
      const V w = V::Load(weights + k * V::kLanes);
#pragma GCC unroll 8
      for (int i = 0; i < kTile; ++i) acc[i].AddProduct(x[i + k / kStride], w);
    }
    asm volatile("" ::: "memory");  // loads of the next phase stay behind: they would spill
  }
}

// kTile outputs of all channel vectors of a group, `column` ring pixels into the rows.
template <class V, int kTaps, int kStride, int kTile, bool kResidual>
[[gnu::noinline]] void RunDepthwiseTile(const DepthwiseRows& rows, int64_t column,
                                        const float* bias, int64_t vector_stride, int channels,
                                        DepthwiseOut to, float low, float high) {
  const V lo = V::Set(low), hi = V::Set(high);
  const int count = rows.count;
  column *= kDepthwiseGroup;
  int64_t weight = 0;
  for (int c = 0; c < channels; c += V::kLanes, weight += vector_stride) {
    V acc[kTile];
    const V start = V::Load(bias + c);
#pragma GCC unroll 8
    for (int i = 0; i < kTile; ++i) acc[i] = start;
    for (int r = 0; r < count; ++r)
      AddTapRow<V, kTaps, kStride, kTile>(acc, rows.in[r] + column + c, rows.weights[r] + weight);
    const int left = channels - c;
    if (left >= V::kLanes) {
      StoreTile<V, kTile, kResidual, true>(acc, to, lo, hi, c, left);
    } else {
      StoreTile<V, kTile, kResidual, false>(acc, to, lo, hi, c, left);
    }
  }
}

using DepthwiseTileFn = void (*)(const DepthwiseRows&, int64_t, const float*, int64_t, int,
                                 DepthwiseOut, float, float);

// Tile functions by number of pixels (entry 0 unused).
template <class V, int kTaps, int kStride, bool kResidual>
constexpr auto DepthwiseTable() {
  return []<int... kTile>(std::integer_sequence<int, kTile...>) {
    return std::array<DepthwiseTileFn, sizeof...(kTile) + 1>{
        nullptr, RunDepthwiseTile<V, kTaps, kStride, kTile + 1, kResidual>...};
  }
  (std::make_integer_sequence<int, DepthwiseTileWidth<V, kTaps, kStride>()>());
}

// Copies `channels` channels of input columns [column, column + columns) of one row to the ring;
// columns outside the map become zeros.
template <class V>
[[gnu::always_inline]] inline void FillRing(const DepthwiseCall& call, int64_t row_pixel,
                                            int64_t column, int64_t columns, int64_t channel,
                                            int channels, float* ring) {
  const int64_t room = call.window->in[2] - column;
  const int64_t right = room < columns ? room : columns;
  const int64_t left = column < 0 ? -column : 0;
  const int full = channels / V::kLanes * V::kLanes;
  const float* in = call.in + (row_pixel + column) * call.in_stride + channel;
  for (int64_t x = 0; x < columns; ++x, in += call.in_stride, ring += kDepthwiseGroup) {
    if (x < left || x >= right) {
      for (int c = 0; c < channels; c += V::kLanes) V::Zero().Store(ring + c);
    } else if (full == kDepthwiseGroup) {
#pragma GCC unroll 16
      for (int c = 0; c < kDepthwiseGroup; c += V::kLanes) V::Load(in + c).Store(ring + c);
    } else {
      for (int c = 0; c < full; c += V::kLanes) V::Load(in + c).Store(ring + c);
      if (full < channels) V::LoadN(in + full, channels - full).Store(ring + full);
    }
  }
}

// Windows kTaps wide without horizontal dilation, at horizontal stride kStride.
template <class V, int kTaps, int kStride>
void RunDepthwiseFast(const DepthwiseCall& call, const DepthwiseBlock& block, float* ring) {
  static constexpr auto kPlain = DepthwiseTable<V, kTaps, kStride, false>();
  static constexpr auto kResidual = DepthwiseTable<V, kTaps, kStride, true>();
  const auto& table = call.residual ? kResidual : kPlain;
  const Window& w = *call.window;
  const int64_t taps = w.taps(), width = block.column_end - block.column_begin;
  constexpr int64_t kMaxTile = DepthwiseTileWidth<V, kTaps, kStride>();
  const int64_t tiles = (width + kMaxTile - 1) / kMaxTile;
  const int64_t ring_rows = DepthwiseRingRows(w);
  const int64_t columns = (width - 1) * kStride + kTaps;
  const int64_t first_column = block.column_begin * kStride - w.pad[2];
  const int64_t row_floats = columns * kDepthwiseGroup;
  const MapRows filled_ring{ring, ring_rows, row_floats, kDepthwiseGroup};
  const MapRows& from = call.rows ? *call.rows : filled_ring;
  const int64_t from_column = call.rows ? block.column_begin * kStride * kDepthwiseGroup : 0;
  const int64_t left = call.channels - block.channel;
  const int channels = static_cast<int>(left < kDepthwiseGroup ? left : kDepthwiseGroup);
  const float* weights = call.weights + block.channel * taps;
  int64_t plane = -1, filled = 0;  // input rows of `plane` up to `filled` are in the ring
  for (int64_t row = block.row_begin; row < block.row_end; ++row) {
    const int64_t y = row % w.out[1], rest = row / w.out[1];  // batch * out[0] + z
    const int64_t z = rest % w.out[0], batch = rest / w.out[0];
    const Range kz = ValidTaps(w, 0, z), ky = ValidTaps(w, 1, y);
    const int64_t top = y * w.stride[1] - w.pad[1];
    const int64_t begin = top < 0 ? 0 : top;
    const int64_t extent = top + (w.kernel[1] - 1) * w.dilation[1] + 1;
    const int64_t end = extent < w.in[1] ? extent : w.in[1];
    if (plane != rest) plane = rest, filled = begin;
    if (filled < begin) filled = begin;
    DepthwiseRows rows;
    rows.count = 0;
    if (kz.begin < kz.end) {
      const int64_t first_row = (batch * w.in[0] + z * w.stride[0] - w.pad[0]) * w.in[1];
      for (; !call.rows && filled < end; ++filled) {
        FillRing<V>(call, (first_row + filled) * w.in[2], first_column, columns, block.channel,
                    channels, ring + filled % ring_rows * row_floats);
      }
      for (int64_t k = ky.begin; k < ky.end; ++k) {
        rows.in[rows.count] = from.row(top + k * w.dilation[1]) + from_column;
        rows.weights[rows.count] = weights + k * kTaps * V::kLanes;
        ++rows.count;
      }
    }
    const int64_t pixel = (row - call.first_row) * w.out[2] + block.column_begin;
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t x0 = width * i / tiles, x1 = width * (i + 1) / tiles;
      DepthwiseOut to;
      to.out = call.out + (pixel + x0) * call.out_stride + block.channel;
      to.out_stride = call.out_stride;
      to.residual = call.residual
                        ? call.residual + (pixel + x0) * call.residual_stride + block.channel
                        : nullptr;
      to.residual_stride = call.residual_stride;
      table[static_cast<size_t>(x1 - x0)](rows, x0 * kStride, call.bias + block.channel,
                                          taps * V::kLanes, channels, to, call.epilogue.lo,
                                          call.epilogue.hi);
      if (call.epilogue.curve == Curve::kNone) continue;
      for (int64_t x = x0; x < x1; ++x)
        ApplyCurve<V>(to.out + (x - x0) * to.out_stride, channels, call.epilogue);
    }
  }
}

// Any window, one output pixel at a time.
template <class V>
void RunDepthwiseAny(const DepthwiseCall& call, const DepthwiseBlock& block) {
  const Window& w = *call.window;
  const int64_t channel_end = block.channel + kDepthwiseGroup < call.channels
                                  ? block.channel + kDepthwiseGroup
                                  : call.channels;
  for (int64_t row = block.row_begin; row < block.row_end; ++row) {
    const int64_t out_y = row % w.out[1], out_z = row / w.out[1] % w.out[0];
    const int64_t batch = row / (w.out[1] * w.out[0]);
    const Range kz = ValidTaps(w, 0, out_z), ky = ValidTaps(w, 1, out_y);
    for (int64_t x = block.column_begin; x < block.column_end; ++x) {
      const Range kx = ValidTaps(w, 2, x);
      const int64_t pixel = (row - call.first_row) * w.out[2] + x;
      for (int64_t c = block.channel; c < channel_end; c += V::kLanes) {
        const int lanes =
            channel_end - c < V::kLanes ? static_cast<int>(channel_end - c) : V::kLanes;
        V acc = V::Load(call.bias + c);
        const float* weights = call.weights + c * w.taps();
        for (int64_t z = kz.begin; z < kz.end; ++z) {
          const int64_t iz = out_z * w.stride[0] + z * w.dilation[0] - w.pad[0];
          for (int64_t y = ky.begin; y < ky.end; ++y) {
            const int64_t iy = out_y * w.stride[1] + y * w.dilation[1] - w.pad[1];
            const int64_t line = ((batch * w.in[0] + iz) * w.in[1] + iy) * w.in[2];
            for (int64_t k = kx.begin; k < kx.end; ++k) {
              const int64_t ix = x * w.stride[2] + k * w.dilation[2] - w.pad[2];
              const int64_t tap = (z * w.kernel[1] + y) * w.kernel[2] + k;
              const float* in = call.in + (line + ix) * call.in_stride + c;
              acc = Fma(LoadLanes<V>(in, lanes), V::Load(weights + tap * V::kLanes), acc);
            }
          }
        }
        if (call.residual)
          acc += LoadLanes<V>(call.residual + pixel * call.residual_stride + c, lanes);
        float* out = call.out + pixel * call.out_stride + c;
        const Epilogue& e = call.epilogue;
        StoreLanes<V>(Min(V::Set(e.hi), Max(V::Set(e.lo), acc)), out, lanes);
        if (e.curve != Curve::kNone) ApplyCurve<V>(out, lanes, e);
      }
    }
  }
}

template <class V>
void RunDepthwise(const DepthwiseCall& call, const DepthwiseBlock& block, float* ring) {
  static_assert(kDepthwiseGroup % V::kLanes == 0);
  const Window& w = *call.window;
  if (!DepthwiseUsesRing(w)) return RunDepthwiseAny<V>(call, block);
  if (w.kernel[2] == 3 && w.stride[2] == 1) return RunDepthwiseFast<V, 3, 1>(call, block, ring);
  if (w.kernel[2] == 3 && w.stride[2] == 2) return RunDepthwiseFast<V, 3, 2>(call, block, ring);
  if (w.kernel[2] == 5 && w.stride[2] == 1) return RunDepthwiseFast<V, 5, 1>(call, block, ring);
  return RunDepthwiseFast<V, 5, 2>(call, block, ring);
}

template <class V>
constexpr DepthwiseKernels MakeDepthwiseKernels() {
  return {V::kLanes, RunDepthwise<V>};
}

}  // namespace sula::cpu
