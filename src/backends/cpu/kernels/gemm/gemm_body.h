// The tile loops of gemm.h for one vector type V. Include from one .cc per instruction set.
//
// A tile holds kRows x kVectors accumulators in registers. Per k it loads kVectors vectors of
// weights and broadcasts one value per row; so it needs kRows * kVectors + kVectors + 1 registers:
// 14 x 2, 9 x 3 of 32; 6 x 2, 4 x 3 of 16. One vector wide: more rows than 14 (8) bring more
// row pointers than there are registers, and at a power-of-two stride more than one set of L1
// holds.
#pragma once

#include <array>
#include <limits>
#include <utility>

#include "backends/cpu/kernels/epilogue_body.h"
#include "backends/cpu/kernels/gemm/gemm.h"

namespace sula::cpu {

template <class V>
constexpr int TileRows(int vectors) {
  if (V::kRegisters == 32) return vectors == 3 ? 9 : 14;
  return vectors == 3 ? 4 : vectors == 2 ? 6 : 8;
}

// What a run of tiles needs of a call, with everything that does not depend on the row resolved.
struct GemmTiles {
  int64_t count;  // tiles of the same height, one below the other
  const float* a;
  int64_t a_stride;
  const float* const* pointers;
  int64_t pointer_stride, pointer_offset;
  int64_t taps, k;
  const float *b, *bias;
  float* c;
  int64_t c_stride;
  float* const* c_rows;
  const GemmSum *sums, *sums_end;
  int64_t row, column;  // the first ones, of sums; the column also of c_rows
  const float* residual;
  int64_t residual_stride;
  int last;  // valid lanes of the last vector
  float lo, hi;
  // Weights to ask for into L2, and bytes from step to step. Only the first tile of a panel finds
  // it outside of the caches nearby, so each tile of it asks for a share of the next panel: else
  // memory would idle during all tiles but the first, which would wait for it.
  const char* ahead;
  int64_t ahead_step;
};

template <class V, int kVectors>
[[gnu::always_inline]] inline void AskAhead(const char*& ahead, int64_t ahead_step) {
  constexpr int kLine = 16;  // floats
#pragma GCC unroll 4
  for (int i = 0; i < kVectors * V::kLanes; i += kLine)
    __builtin_prefetch(ahead + i * sizeof(float), 0, 2);
  ahead += ahead_step;
}

// acc += a(rows, k) * b(k, columns) for one k.
template <class V, int kRows, int kVectors, bool kPrefetch>
[[gnu::always_inline]] inline void GemmStep(V (&acc)[kRows][kVectors], const float* (&p)[kRows],
                                            int64_t k, const float* b, const char*& ahead,
                                            int64_t ahead_step) {
  if constexpr (kPrefetch) AskAhead<V, kVectors>(ahead, ahead_step);
  V w[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) w[v] = V::Load(b + v * V::kLanes);
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    const V x = V::Set(p[i][k]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) acc[i][v].AddProduct(x, w[v]);
  }
  // No load may move across: hoisted over unrolled steps they would push accumulators out of the
  // registers.
  asm volatile("" ::: "memory");
}

// See GemmSum. The tile's first element is that of row `row` and column `column`.
template <class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void AddToTile(V (&acc)[kRows][kVectors], const GemmSum& sum,
                                             int64_t row, int64_t column) {
  if (sum.add) {
    const float* add = sum.add + row * sum.add_stride + column;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i, add += sum.add_stride)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[i][v] += V::Load(add + v * V::kLanes);
  }
  if (sum.to) {
    float* to = sum.to + row * sum.to_stride + column;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i, to += sum.to_stride)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[i][v].Store(to + v * V::kLanes);
  }
}

// Adds the residual, clamps and stores one tile. What differs between calls is decided once per
// tile, outside of the unrolled loops.
template <class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void FinishTile(V (&acc)[kRows][kVectors], float* (&c)[kRows],
                                              const float* residual, int64_t residual_stride,
                                              int last, float low, float high) {
  constexpr int kEnd = kVectors - 1, kLast = kEnd * V::kLanes;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (residual) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const float* r = residual + i * residual_stride;
#pragma GCC unroll 4
      for (int v = 0; v < kEnd; ++v) acc[i][v] += V::Load(r + v * V::kLanes);
    }
    if (last == V::kLanes) {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
        acc[i][kEnd] += V::Load(residual + i * residual_stride + kLast);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
        acc[i][kEnd] += V::LoadN(residual + i * residual_stride + kLast, last);
    }
  }
  if (low != -kInfinity) {
    const V lo = V::Set(low);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[i][v] = Max(lo, acc[i][v]);
  }
  if (high != kInfinity) {
    const V hi = V::Set(high);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[i][v] = Min(hi, acc[i][v]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kEnd; ++v) acc[i][v].Store(c[i] + v * V::kLanes);
  if (last == V::kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) acc[i][kEnd].Store(c[i] + kLast);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) acc[i][kEnd].StoreN(c[i] + kLast, last);
  }
}

// The last kSteps values of k and the end of a tile, a few rows at a time: stores wait for their
// sums, and few may wait before all behind them does, too. On Zen 3 twelve stores in a row cost 25
// cycles; with four steps of sums between each six of them, next to none.
template <class V, int kRows, int kVectors, int kSteps, bool kPrefetch>
[[gnu::always_inline]] inline void FinishByRows(V (&acc)[kRows][kVectors], const float* (&p)[kRows],
                                                int64_t k, const float* b, float* (&c)[kRows],
                                                const float* residual, int64_t residual_stride,
                                                float low, float high, const char*& ahead,
                                                int64_t ahead_step) {
  constexpr int kGroup = 6 / kVectors, kStep = kVectors * V::kLanes;
#pragma GCC unroll 8
  for (int first = 0; first < kRows; first += kGroup) {
    const int end = first + kGroup < kRows ? first + kGroup : kRows;
#pragma GCC unroll 4
    for (int u = 0; u < kSteps; ++u) {
      if (kPrefetch && first == 0) AskAhead<V, kVectors>(ahead, ahead_step);
      V w[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) w[v] = V::Load(b + u * kStep + v * V::kLanes);
#pragma GCC unroll 4
      for (int i = first; i < end; ++i) {
        const V x = V::Set(p[i][k + u]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) acc[i][v].AddProduct(x, w[v]);
      }
      asm volatile("" ::: "memory");
    }
    if (residual) {
#pragma GCC unroll 4
      for (int i = first; i < end; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v)
          acc[i][v] += V::Load(residual + i * residual_stride + v * V::kLanes);
    }
    const V lo = V::Set(low), hi = V::Set(high);
#pragma GCC unroll 4
    for (int i = first; i < end; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) Min(hi, Max(lo, acc[i][v])).Store(c[i] + v * V::kLanes);
  }
}

// Tiles follow each other within one function, so that one's stores overlap the next one's sums:
// at k = 16 to 32 the edges between tiles would otherwise cost a third of the time.
template <class V, int kRows, int kVectors, RowAccess kAccess, bool kPrefetch>
[[gnu::noinline]] void RunGemmTiles(const GemmTiles& tiles) {
  constexpr int kUnroll = 4, kStep = kVectors * V::kLanes;
  // Code has a price: only the tiles that most rows are in, and where it was measured (of 32
  // registers it would add 20 KB).
  constexpr bool kTall = kAccess == RowAccess::kStrided && kVectors > 1 && V::kRegisters == 16 &&
                         V::kLanes > 4 && kRows + 1 >= TileRows<V>(kVectors);
  const GemmTiles* t = &tiles;
  const char* ahead = t->ahead;
  const int64_t ahead_step = t->ahead_step;
  for (int64_t tile = 0, count = t->count; tile < count; ++tile) {
    // Hides from the compiler that nothing here changes from tile to tile: kept in registers, masks
    // and limits would push accumulators out.
    asm volatile("" : "+r"(t));
    V acc[kRows][kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const V start = V::Load(t->bias + v * V::kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) acc[i][v] = start;
    }
    const int64_t row = tile * kRows;
    const float* b = t->b;
    const float* p[kRows];
    const bool by_rows = kTall && t->k >= kUnroll && t->last == V::kLanes && t->sums == t->sums_end;
    int64_t k = 0;
    if constexpr (kAccess == RowAccess::kStrips) {
      constexpr int kChannels = 3;  // of most images: a multiple of the taps
      const float* const* strips = t->pointers;
      const int64_t offset = t->pointer_offset + row;
      auto step = [&](int u) __attribute__((always_inline)) {
        const float* strip = strips[u] + offset;
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) p[i] = strip + i;
        GemmStep<V, kRows, kVectors, kPrefetch>(acc, p, 0, b + u * kStep, ahead, ahead_step);
      };
      int64_t left = t->taps;
      for (; left >= kChannels; left -= kChannels, strips += kChannels, b += kChannels * kStep) {
#pragma GCC unroll 4
        for (int u = 0; u < kChannels; ++u) step(u);
      }
#pragma GCC unroll 1
      for (; left > 0; --left, ++strips, b += kStep) step(0);
    } else {
      const float* const* pointers = t->pointers + row;
      for (int64_t tap = 0; tap < (kAccess == RowAccess::kPointers ? t->taps : 1); ++tap) {
        if constexpr (kAccess == RowAccess::kPointers) {
          const int64_t offset = t->pointer_offset;
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) p[i] = pointers[i] + offset;
          pointers += t->pointer_stride;
        } else {
          p[0] = t->a + row * t->a_stride;
#pragma GCC unroll 16
          for (int i = 1; i < kRows; ++i) p[i] = p[i - 1] + t->a_stride;
        }
        // What is left over of whole steps comes first, so that the last ones are whole.
        const int64_t depth = t->k;
#pragma GCC unroll 1
        for (k = 0; k < depth % kUnroll; ++k, b += kStep)
          GemmStep<V, kRows, kVectors, kPrefetch>(acc, p, k, b, ahead, ahead_step);
        const int64_t end = by_rows ? depth - kUnroll : depth;
        for (; k < end; k += kUnroll, b += kUnroll * kStep) {
#pragma GCC unroll 4
          for (int u = 0; u < kUnroll; ++u)
            GemmStep<V, kRows, kVectors, kPrefetch>(acc, p, k + u, b + u * kStep, ahead,
                                                    ahead_step);
        }
      }
    }
    asm volatile("" : "+r"(t));
    if constexpr (kAccess == RowAccess::kStrided && kPrefetch) {
      for (const GemmSum* s = t->sums; s != t->sums_end; ++s)
        AddToTile(acc, *s, t->row + row, t->column);
    }
    float* c[kRows];
    c[0] = t->c + row * t->c_stride;
#pragma GCC unroll 16
    for (int i = 1; i < kRows; ++i) c[i] = c[i - 1] + t->c_stride;
    if constexpr (kAccess == RowAccess::kPointers) {
      if (t->c_rows) {
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) c[i] = t->c_rows[row + i] + t->column;
      }
    }
    const float* residual = t->residual ? t->residual + row * t->residual_stride : nullptr;
    if constexpr (kTall) {
      if (by_rows) {
        FinishByRows<V, kRows, kVectors, kUnroll, kPrefetch>(
            acc, p, k, b, c, residual, t->residual_stride, t->lo, t->hi, ahead, ahead_step);
        continue;
      }
    }
    FinishTile(acc, c, residual, t->residual_stride, t->last, t->lo, t->hi);
  }
}

template <class V>
using GemmTilesFn = void (*)(const GemmTiles&);

// Tile functions of one panel width by number of rows (entry 0 unused).
template <class V, int kVectors, RowAccess kAccess, bool kPrefetch>
constexpr auto GemmTileTable() {
  return []<int... kRow>(std::integer_sequence<int, kRow...>) {
    return std::array<GemmTilesFn<V>, sizeof...(kRow) + 1>{
        nullptr, RunGemmTiles<V, kRow + 1, kVectors, kAccess, kPrefetch>...};
  }
  (std::make_integer_sequence<int, TileRows<V>(kVectors)>());
}

// Rows [begin, end) of one panel in tiles of nearly equal height: 49 rows at 6 give four times 6
// and five times 5, never a lone row, which would cost two thirds of a full tile.
template <class V, int kVectors, RowAccess kAccess, bool kPrefetch>
void RunGemmPanel(const GemmCall& call, const Panel& panel, int64_t begin, int64_t end) {
  static constexpr auto kTable = GemmTileTable<V, kVectors, kAccess, kPrefetch>();
  constexpr int64_t kHeight = TileRows<V>(kVectors);
  if (end <= begin) return;
  const int64_t n = end - begin, tiles = (n + kHeight - 1) / kHeight;
  const bool curve = call.epilogue.curve != Curve::kNone;
  GemmTiles t;
  t.a_stride = call.a_stride;
  t.pointer_stride = call.pointer_stride;
  t.taps = call.taps, t.k = call.k;
  t.b = call.b + panel.offset, t.bias = call.bias + panel.column;
  t.c_stride = call.c_stride, t.column = panel.column;
  t.sums = call.sums, t.sums_end = call.sums + call.num_sums;
  t.residual_stride = call.residual_stride;
  t.last = panel.columns - (kVectors - 1) * V::kLanes;
  t.lo = call.epilogue.lo, t.hi = call.epilogue.hi;
  const int64_t steps = call.taps * call.k,
                step_bytes = kVectors * V::kLanes * int64_t{sizeof(float)};
  // A lone tile reads every weight as it comes: asked for the time of an access to memory before.
  constexpr int64_t kAheadOfOne = 4096;
  t.ahead = reinterpret_cast<const char*>(t.b) + (tiles == 1 ? kAheadOfOne : steps * step_bytes);
  t.ahead_step = step_bytes / tiles;
  int64_t row = begin;
  for (int64_t done = 0; done < tiles;) {
    const int64_t height = (end - row + tiles - done - 1) / (tiles - done);
    // As many tiles as are of this height; with a curve one at a time, while it is in L1.
    const int64_t same = (end - row) - (height - 1) * (tiles - done);
    t.count = curve ? 1 : same;
    t.a = call.a + panel.input + row * call.a_stride;
    t.pointers = kAccess == RowAccess::kPointers ? call.pointers + row : call.pointers;
    t.pointer_offset =
        call.pointer_offset + panel.input + (kAccess == RowAccess::kStrips ? row : 0);
    t.row = row;
    t.c = call.c + row * call.c_stride + panel.column;
    t.c_rows = call.c_rows ? call.c_rows + row : nullptr;
    t.residual =
        call.residual ? call.residual + row * call.residual_stride + panel.column : nullptr;
    kTable[static_cast<size_t>(height)](t);
    if (curve && !t.c_rows) {
      ApplyCurve<V>(t.c, height, t.c_stride, panel.columns, call.epilogue);
    } else if (curve) {
      for (int64_t r = 0; r < height; ++r)
        ApplyCurve<V>(t.c_rows[r] + panel.column, panel.columns, call.epilogue);
    }
    t.ahead += t.count * steps * t.ahead_step;
    row += t.count * height, done += t.count;
  }
}

// One row of two panels side by side: the sums of one would wait for each other, and two streams of
// weights get more out of the caches than one (L3 on Zen 3: 63 against 48 GB/s).
template <class V, int kVectors>
[[gnu::noinline]] void RunGemmRow(const GemmCall& call, const Panel* panels, int64_t row) {
  constexpr int kPanels = 2, kStep = kVectors * V::kLanes;
  V acc[kPanels][1][kVectors];
  const float* b[kPanels];
#pragma GCC unroll 2
  for (int p = 0; p < kPanels; ++p) {
    b[p] = call.b + panels[p].offset;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      acc[p][0][v] = V::Load(call.bias + panels[p].column + v * V::kLanes);
  }
  const float* a = call.a + panels->input + row * call.a_stride;
#pragma GCC unroll 1
  for (int64_t k = 0, depth = call.k; k < depth; ++k) {
    const V x = V::Set(a[k]);
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        acc[p][0][v].AddProduct(x, V::Load(b[p] + k * kStep + v * V::kLanes));
    }
  }
#pragma GCC unroll 2
  for (int p = 0; p < kPanels; ++p) {
    float* c[1] = {call.c + row * call.c_stride + panels[p].column};
    const float* residual =
        call.residual ? call.residual + row * call.residual_stride + panels[p].column : nullptr;
    FinishTile(acc[p], c, residual, 0, panels[p].columns - (kVectors - 1) * V::kLanes,
               call.epilogue.lo, call.epilogue.hi);
    if (call.epilogue.curve != Curve::kNone) ApplyCurve<V>(c[0], panels[p].columns, call.epilogue);
  }
}

template <class V, RowAccess kAccess, bool kPrefetch>
void RunGemmPanels(const GemmCall& call, int64_t row_begin, int64_t row_end, int panel_begin,
                   int panel_end) {
  for (int j = panel_begin; j < panel_end; ++j) {
    const Panel& panel = call.panels[j];
    if constexpr (kAccess == RowAccess::kStrided && V::kLanes > 4) {  // less: not worth its bytes
      const Panel* next = j + 1 < panel_end ? &panel + 1 : nullptr;
      if (row_end - row_begin == 1 && call.num_sums == 0 && next && panel.vectors > 1 &&
          next->vectors == panel.vectors && next->input == panel.input) {
        panel.vectors == 2 ? RunGemmRow<V, 2>(call, &panel, row_begin)
                           : RunGemmRow<V, 3>(call, &panel, row_begin);
        ++j;
        continue;
      }
    }
    switch (panel.vectors) {
      case 1: RunGemmPanel<V, 1, kAccess, kPrefetch>(call, panel, row_begin, row_end); break;
      case 2: RunGemmPanel<V, 2, kAccess, kPrefetch>(call, panel, row_begin, row_end); break;
      default: RunGemmPanel<V, 3, kAccess, kPrefetch>(call, panel, row_begin, row_end); break;
    }
  }
}

template <class V>
void RunGemm(const GemmCall& call, int64_t row_begin, int64_t row_end, int panel_begin,
             int panel_end) {
  switch (call.access) {
    case RowAccess::kStrided:
      return call.prefetch || call.num_sums > 0
                 ? RunGemmPanels<V, RowAccess::kStrided, true>(call, row_begin, row_end,
                                                               panel_begin, panel_end)
                 : RunGemmPanels<V, RowAccess::kStrided, false>(call, row_begin, row_end,
                                                                panel_begin, panel_end);
    case RowAccess::kPointers:
      return RunGemmPanels<V, RowAccess::kPointers, true>(call, row_begin, row_end, panel_begin,
                                                          panel_end);
    case RowAccess::kStrips:
      return RunGemmPanels<V, RowAccess::kStrips, false>(call, row_begin, row_end, panel_begin,
                                                         panel_end);
  }
}

template <class V>
constexpr GemmKernels MakeGemmKernels() {
  return {
      V::kLanes, V::kRegisters, {0, TileRows<V>(1), TileRows<V>(2), TileRows<V>(3)}, RunGemm<V>};
}

}  // namespace sula::cpu
