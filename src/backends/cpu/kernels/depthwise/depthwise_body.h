// The loops of depthwise.h for one vector type V. Include from one .cc per instruction set.
//
// A tile is one channel vector of two rows of a few output pixels each: an input column is loaded
// once for all outputs of both rows whose windows hold it, and there are enough of them to hide the
// latency of their sums. Columns beside the map are zeros, rows above and below it are left out.
#pragma once

#include <array>
#include <utility>

#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/epilogue_body.h"

namespace sula::cpu {

// Eight outputs are what two FMAs a cycle of four cycles' latency need; with them, 16 registers
// have room for the columns of one row of taps, so that each is loaded once, and for a weight. (For
// all but two columns where windows are five wide.)
constexpr int kTileRows = 2, kTileColumns = 4;

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

// What a tile works on, for all channel vectors of a block; pointers are those of the first.
struct DepthwiseTile {
  // Input rows at the tile's first column, which may lie beside the map. Of two output rows: all
  // that their windows span, null outside the map. Of one: `rows` that meet the map, with the
  // weights of the first tap of each.
  const float* in[kMaxTapRows];
  const float* row_weights[kMaxTapRows];
  int rows;
  int left, right;    // columns [left, right) of the tile lie in the map
  int64_t in_stride;  // of pixels, in floats
  const float* weights;
  int64_t vector_stride;  // of weights
  const float* bias;
  int first_channel, channels;  // the first: of one row
  float* out;
  int64_t out_stride, out_row;  // of pixels and rows
  const float* residual = nullptr;
  int64_t residual_stride, residual_row;
  float lo, hi;
};

// How a tile loads: whole vectors of columns that lie in the map; of any columns; of channels [0,
// lanes) and any columns.
enum class DepthwiseLoad : uint8_t { kInside, kEdge, kTail };

// Adds the products of one input row: taps weights[r] for output row r, in [kFrom, kTo). Tap by
// tap: neighbouring FMAs then belong to different outputs, as their latency wants; column by column
// an output would wait for itself. Phase by phase of the stride: only columns that share taps need
// registers at the same time.
template <class V, int kTaps, int kStride, DepthwiseLoad kLoad, int kFrom, int kTo, int kRows,
          int kTile>
[[gnu::always_inline]] inline void AddInputRow(V (&acc)[kRows][kTile], const DepthwiseTile& tile,
                                               const float* in,
                                               const float* const (&weights)[kRows], int lanes) {
  constexpr int kEnd = (kTile - 1) * kStride + kTaps;
  constexpr int kColumns = kTile - 1 + (kTaps + kStride - 1) / kStride;
  constexpr int kRoom = V::kRegisters - kRows * kTile - 2;  // for columns
  constexpr int kHeld = kColumns < kRoom ? kColumns : kRoom, kFirstHeld = (kColumns - kHeld) / 2;
  const int64_t step = kStride * tile.in_stride;
#pragma GCC unroll 2
  for (int phase = 0; phase < kStride; ++phase, in += tile.in_stride) {
    // An address is a pointer and up to two steps: one pointer for three columns.
    const float* const at[] = {in, in + 3 * step, in + 6 * step, in + 9 * step};
    const auto load = [&](int c) __attribute__((always_inline)) {
      // Only so far from its ends can a tile of windows that meet the map reach beyond it.
      const int column = c * kStride + phase;
      bool inside = true;
      if constexpr (kLoad != DepthwiseLoad::kInside)
        inside = (column >= kTaps - 1 || column >= tile.left) &&
                 (column <= kEnd - kTaps || column < tile.right);
      if (!inside) return V::Zero();
      return LoadLanes<V>(at[c / 3] + c % 3 * step,
                          kLoad == DepthwiseLoad::kTail ? lanes : V::kLanes);
    };
    V x[kColumns];
#pragma GCC unroll 16
    for (int c = kFirstHeld; c < kFirstHeld + kHeld; ++c) {
      if (c * kStride + phase >= kEnd) continue;  // of the first phase only
      x[c] = load(c);
      x[c].Pin();  // in a register, not an operand that is loaded once per tap
    }
#pragma GCC unroll 8
    for (int k = phase; k < kTaps; k += kStride) {
#pragma GCC unroll 2
      for (int r = kFrom; r < kTo; ++r) {
        const V w = V::Load(weights[r] + k * V::kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kTile; ++i) {
          const int c = i + k / kStride;
          const bool held = c >= kFirstHeld && c < kFirstHeld + kHeld;
          acc[r][i].AddProduct(held ? x[c] : load(c), w);
        }
      }
    }
    asm volatile("" ::: "memory");  // loads of the next phase stay behind: they would spill
  }
}

template <class V, int kRows, int kTile>
[[gnu::always_inline]] inline void StartTile(V (&acc)[kRows][kTile], const float* bias) {
  const V start = V::Load(bias);
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int i = 0; i < kTile; ++i) acc[r][i] = start;
}

// Adds the residual, clamps and stores.
template <class V, int kRows, int kTile>
[[gnu::always_inline]] inline void FinishTile(V (&acc)[kRows][kTile], const DepthwiseTile& tile,
                                              int channel, int lanes) {
  if (tile.residual) {
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      const float* residual = tile.residual + r * tile.residual_row + channel;
#pragma GCC unroll 8
      for (int i = 0; i < kTile; ++i, residual += tile.residual_stride)
        acc[r][i] += LoadLanes<V>(residual, lanes);
    }
  }
  const V lo = V::Set(tile.lo), hi = V::Set(tile.hi);
  const int64_t stride = tile.out_stride;
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
    float* out = tile.out + r * tile.out_row + channel;
#pragma GCC unroll 8
    for (int i = 0; i < kTile; ++i, out += stride)
      StoreLanes<V>(Min(hi, Max(lo, acc[r][i])), out, lanes);
  }
}

// Two rows of kTile outputs of square windows and strides: all whole vectors of the block.
template <class V, int kTaps, int kStride, int kTile, DepthwiseLoad kLoad>
[[gnu::noinline]] void RunDepthwiseRows(const DepthwiseTile& tile) {
  constexpr int kInRows = kTaps + kStride, kRow = kTaps * V::kLanes;
  const int full = tile.channels / V::kLanes * V::kLanes;
  const float* weights = tile.weights;
  for (int c = 0; c < full; c += V::kLanes, weights += kTaps * kRow) {
    V acc[kTileRows][kTile];
    StartTile(acc, tile.bias + c);
    const auto add = [&]<int kFrom, int kTo>(int r) __attribute__((always_inline)) {
      if (!tile.in[r]) return;
      const float* const rows[kTileRows] = {weights + r * kRow, weights + (r - kStride) * kRow};
      AddInputRow<V, kTaps, kStride, kLoad, kFrom, kTo>(acc, tile, tile.in[r] + c, rows, V::kLanes);
    };
    if constexpr (kLoad == DepthwiseLoad::kInside) {
#pragma GCC unroll 8
      for (int r = 0; r < kStride; ++r) add.template operator()<0, 1>(r);
#pragma GCC unroll 8
      for (int r = kStride; r < kTaps; ++r) add.template operator()<0, 2>(r);
#pragma GCC unroll 8
      for (int r = kTaps; r < kInRows; ++r) add.template operator()<1, 2>(r);
    } else {  // small code: there are such functions for every width
#pragma GCC unroll 1
      for (int r = 0; r < kStride; ++r) add.template operator()<0, 1>(r);
#pragma GCC unroll 1
      for (int r = kStride; r < kTaps; ++r) add.template operator()<0, 2>(r);
#pragma GCC unroll 1
      for (int r = kTaps; r < kInRows; ++r) add.template operator()<1, 2>(r);
    }
    FinishTile(acc, tile, c, V::kLanes);
  }
}

// One row of kTile outputs of windows of any height: all channels, or those behind the last whole
// vector.
template <class V, int kTaps, int kStride, int kTile>
[[gnu::noinline]] void RunDepthwiseRow(const DepthwiseTile& tile) {
  int64_t weight = tile.first_channel / V::kLanes * tile.vector_stride;
  for (int c = tile.first_channel; c < tile.channels; c += V::kLanes) {
    const int left = tile.channels - c, lanes = left < V::kLanes ? left : V::kLanes;
    V acc[1][kTile];
    StartTile(acc, tile.bias + c);
    for (int r = 0; r < tile.rows; ++r) {
      const float* const rows[] = {tile.row_weights[r] + weight};
      AddInputRow<V, kTaps, kStride, DepthwiseLoad::kTail, 0, 1>(acc, tile, tile.in[r] + c, rows,
                                                                 lanes);
    }
    FinishTile(acc, tile, c, lanes);
    weight += tile.vector_stride;
  }
}

struct DepthwiseTileFns {
  using Fn = void (*)(const DepthwiseTile&);
  // Of 1 to kTileColumns pixels a row, and of all of them, inside the map.
  std::array<Fn, kTileColumns> row, rows;
  Fn inside;
};
template <class V, int kTaps, int kStride>
constexpr DepthwiseTileFns MakeDepthwiseTileFns() {
  return []<int... kTile>(std::integer_sequence<int, kTile...>) {
    return DepthwiseTileFns{
        {RunDepthwiseRow<V, kTaps, kStride, kTile + 1>...},
        {RunDepthwiseRows<V, kTaps, kStride, kTile + 1, DepthwiseLoad::kEdge>...},
        RunDepthwiseRows<V, kTaps, kStride, kTileColumns, DepthwiseLoad::kInside>};
  }
  (std::make_integer_sequence<int, kTileColumns>());
}

// A block of a call whose window DepthwiseIsFast.
template <class V>
class DepthwiseRunner {
 public:
  DepthwiseRunner(const DepthwiseTileFns& fns, const DepthwiseCall& call,
                  const DepthwiseBlock& block)
      : fns_(fns), call_(call), block_(block), w_(*call.window) {
    if (call.rows) {
      from_ = *call.rows;
    } else if (call.ring) {
      from_.data = call.ring, from_.count = DepthwiseRingRows(w_);
      from_.row_stride = w_.in[2] * kDepthwiseRowStride, from_.pixel_stride = kDepthwiseRowStride;
    } else {
      from_.count = w_.in[1];
      from_.row_stride = w_.in[2] * call.in_stride, from_.pixel_stride = call.in_stride;
    }
    t_.in_stride = from_.pixel_stride;
    t_.weights = call.weights + block.channel * w_.taps();
    t_.vector_stride = w_.taps() * V::kLanes;
    t_.bias = call.bias + block.channel;
    t_.channels = static_cast<int>(block.channels);
    t_.out_stride = call.out_stride, t_.out_row = w_.out[2] * call.out_stride;
    t_.residual_stride = call.residual_stride, t_.residual_row = w_.out[2] * call.residual_stride;
    t_.lo = call.epilogue.lo, t_.hi = call.epilogue.hi;
  }

  void Run() {
    const bool square = w_.kernel[1] == w_.kernel[2] && w_.stride[1] == w_.stride[2] &&
                        w_.dilation[1] == 1 && t_.channels >= V::kLanes;
    const int full = t_.channels / V::kLanes * V::kLanes;
    int64_t y = block_.row_begin % w_.out[1], rest = block_.row_begin / w_.out[1];
    for (int64_t row = block_.row_begin; row < block_.row_end;) {
      const int64_t z = rest % w_.out[0], batch = rest / w_.out[0];
      const Range kz = ValidTaps(w_, 0, z);
      const float* const plane =
          call_.rows ? nullptr
                     : call_.in + (batch * w_.in[0] + z * w_.stride[0] - w_.pad[0]) * w_.in[1] *
                                      w_.in[2] * call_.in_stride;
      const bool two = square && y + 1 < w_.out[1] && row + 1 < block_.row_end;
      const int rows = two ? kTileRows : 1;
      if (!call_.rows && !call_.ring) from_.data = const_cast<float*>(plane);
      if (call_.ring && kz.begin < kz.end) FillRing(plane, rest, InputRows(w_, {y, y + rows}));
      if (two) {
        RunTwoRows(row, y, kz);
        for (int64_t r = 0; r < rows && full < t_.channels; ++r) RunRow(row + r, y + r, kz, full);
      } else {
        RunRow(row, y, kz, 0);
      }
      if (call_.epilogue.curve != Curve::kNone) ApplyCurves(row, rows);
      row += rows, y += rows;
      if (y == w_.out[1]) y = 0, ++rest;
    }
  }

 private:
  // Column 0 of input row y, of the block's first channel.
  const float* InputRow(int64_t y) const {
    int64_t at = y - from_.first;
    if (at >= from_.count) at %= from_.count;
    const int64_t first_channel = call_.rows   ? call_.first_channel
                                  : call_.ring ? block_.channel
                                               : 0;
    return from_.data + at * from_.row_stride + block_.channel - first_channel;
  }
  float* Out(int64_t pixel) const { return call_.out + pixel * call_.out_stride + block_.channel; }

  // Copies what is not there yet of input rows `rows` of a plane (of the `index`th outputs).
  [[gnu::noinline]] void FillRing(const float* plane, int64_t index, Range rows) {
    const int64_t filled = ring_plane_ == index ? ring_end_ : rows.begin;
    const int full = t_.channels / V::kLanes * V::kLanes, rest = t_.channels - full;
    for (int64_t y = filled > rows.begin ? filled : rows.begin; y < rows.end; ++y) {
      const float* from = plane + y * w_.in[2] * call_.in_stride + block_.channel;
      float* to = from_.row(y);
      for (int64_t x = 0; x < w_.in[2]; ++x, from += call_.in_stride, to += kDepthwiseRowStride) {
#pragma GCC unroll 2
        for (int c = 0; c < full; c += V::kLanes) V::Load(from + c).Store(to + c);
        if (rest) V::LoadN(from + full, rest).StoreN(to + full, rest);
      }
    }
    ring_plane_ = index, ring_end_ = rows.end;
  }

  [[gnu::noinline]] void RunTwoRows(int64_t row, int64_t y, Range kz) {
    const float* in[kMaxTapRows];
    const int64_t top = y * w_.stride[1] - w_.pad[1];
    const auto count = static_cast<int>(w_.kernel[1] + w_.stride[1]);
    for (int r = 0; r < count; ++r) {
      const bool inside = kz.begin < kz.end && top + r >= 0 && top + r < w_.in[1];
      in[r] = inside ? InputRow(top + r) : nullptr;
    }
    RunTiles(row, in, count, fns_.rows, fns_.inside);
  }

  [[gnu::noinline]] void RunRow(int64_t row, int64_t y, Range kz, int first_channel) {
    const float* in[kMaxTapRows];
    const int64_t top = y * w_.stride[1] - w_.pad[1];
    int count = 0;
    if (kz.begin < kz.end) {
      const Range ky = ValidTaps(w_, 1, y);
      for (int64_t k = ky.begin; k < ky.end; ++k) {
        in[count] = InputRow(top + k * w_.dilation[1]);
        t_.row_weights[count++] = t_.weights + k * w_.kernel[2] * V::kLanes;
      }
    }
    t_.first_channel = first_channel;
    RunTiles(row, in, count, fns_.row, fns_.row.back());
  }

  // The tiles that begin in output row `row`.
  [[gnu::always_inline]] void RunTiles(int64_t row, const float* (&in)[kMaxTapRows], int count,
                                       const std::array<DepthwiseTileFns::Fn, kTileColumns>& edge,
                                       DepthwiseTileFns::Fn inside) {
    t_.rows = count;
    const int64_t first_pixel = (row - call_.first_row) * w_.out[2];
    for (int64_t x = block_.column_begin; x < block_.column_end; x += kTileColumns) {
      const int64_t room = block_.column_end - x,
                    pixels = room < kTileColumns ? room : kTileColumns;
      const int64_t column = x * w_.stride[2] - w_.pad[2];
      const int64_t end = column + (pixels - 1) * w_.stride[2] + w_.kernel[2];
      for (int r = 0; r < count; ++r) t_.in[r] = in[r] ? in[r] + column * t_.in_stride : nullptr;
      t_.left = column < 0 ? static_cast<int>(-column) : 0;
      t_.right = static_cast<int>((end < w_.in[2] ? end : w_.in[2]) - column);
      t_.out = Out(first_pixel + x);
      if (call_.residual)
        t_.residual = call_.residual + (first_pixel + x) * call_.residual_stride + block_.channel;
      if (pixels == kTileColumns && column >= 0 && end <= w_.in[2]) {
        inside(t_);
      } else {
        edge[static_cast<size_t>(pixels) - 1](t_);
      }
    }
  }

  [[gnu::noinline]] void ApplyCurves(int64_t row, int rows) const {
    for (int r = 0; r < rows; ++r) {
      const int64_t first_pixel = (row + r - call_.first_row) * w_.out[2];
      for (int64_t x = block_.column_begin; x < block_.column_end; ++x)
        ApplyCurve<V>(Out(first_pixel + x), block_.channels, call_.epilogue);
    }
  }

  const DepthwiseTileFns& fns_;
  const DepthwiseCall& call_;
  const DepthwiseBlock& block_;
  const Window& w_;
  MapRows from_;
  DepthwiseTile t_;
  int64_t ring_plane_ = -1, ring_end_ = 0;  // rows of the plane up to the end are in the ring
};

// Any window, one output pixel at a time.
template <class V>
void RunDepthwiseAny(const DepthwiseCall& call, const DepthwiseBlock& block) {
  const Window& w = *call.window;
  const int64_t channel_end = block.channel + block.channels;
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
void RunDepthwise(const DepthwiseCall& call, const DepthwiseBlock& block) {
  static constexpr std::array kFns = {
      MakeDepthwiseTileFns<V, 3, 1>(), MakeDepthwiseTileFns<V, 3, 2>(),
      MakeDepthwiseTileFns<V, 5, 1>(), MakeDepthwiseTileFns<V, 5, 2>()};
  const Window& w = *call.window;
  if (!DepthwiseIsFast(w)) return RunDepthwiseAny<V>(call, block);
  const int64_t index = (w.kernel[2] == 5 ? 2 : 0) + (w.stride[2] == 2 ? 1 : 0);
  DepthwiseRunner<V>(kFns[static_cast<size_t>(index)], call, block).Run();
}

template <class V>
constexpr DepthwiseKernels MakeDepthwiseKernels() {
  return {V::kLanes, RunDepthwise<V>};
}

}  // namespace sula::cpu
