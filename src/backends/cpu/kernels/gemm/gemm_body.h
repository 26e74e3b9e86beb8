// The tile loops of gemm.h for one vector type V. Include from one .cc per instruction set.
//
// A tile holds kRows x kVectors accumulators in registers. Per k it loads kVectors vectors of
// weights and broadcasts one value per row; so it needs kRows * kVectors + kVectors + 1 registers:
// 14 x 2, 9 x 3 of 32; 6 x 2, 4 x 3 of 16. One vector wide: more rows than 14 (8) bring more
// row pointers than there are registers, and at a power-of-two stride more than one set of L1
// holds.
#pragma once

#include <array>
#include <utility>

#include "backends/cpu/kernels/epilogue_body.h"
#include "backends/cpu/kernels/gemm/gemm.h"

namespace sula::cpu {

// What one tile needs of a call, with everything that does not depend on the row resolved.
struct GemmTile {
  const float* a;
  int64_t a_stride;
  const float* const* pointers;
  int64_t pointer_stride, pointer_offset;
  int64_t taps, k;
  const float *b, *bias;
  float* c;
  int64_t c_stride;
  float* const* c_rows;
  int64_t column;  // of c_rows
  const float* residual;
  int64_t residual_stride;
  int last;  // valid lanes of the last vector
  float lo, hi;
};

// Bytes ahead that weights are asked for: at two lines per 28 FMAs, the time of an access to memory
// twice over. Measured in whole nets, where layers find their weights cold.
inline constexpr int kPrefetchBytes = 4096;

// acc += a(rows, k) * b(k, columns) for one k.
template <class V, int kRows, int kVectors, bool kPrefetch>
[[gnu::always_inline]] inline void GemmStep(V (&acc)[kRows][kVectors], const float* (&p)[kRows],
                                            int64_t k, const float*& b) {
  if constexpr (kPrefetch) {
    constexpr int kLine = 16;  // floats
#pragma GCC unroll 4
    for (int i = 0; i < kVectors * V::kLanes; i += kLine) {
      __builtin_prefetch(reinterpret_cast<const char*>(b + i) + kPrefetchBytes, 0, 3);
    }
  }
  V w[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) w[v] = V::Load(b + v * V::kLanes);
  b += kVectors * V::kLanes;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    const V x = V::Set(p[i][k]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      acc[i][v] = Fma(x, w[v], acc[i][v]);
      // 9 x 3 with all 32 registers in use: without it g++ 12 keeps some accumulators on the stack
      if constexpr (kVectors == 3 && V::kRegisters == 32) acc[i][v].Pin();
    }
  }
  // No load may move across: hoisted over unrolled steps they would push accumulators out of the
  // registers.
  asm volatile("" ::: "memory");
}

template <class V, int kRows, int kVectors, RowAccess kAccess, bool kPrefetch>
[[gnu::noinline]] void RunGemmTile(const GemmTile& t) {
  constexpr int kUnroll = 4;
  V acc[kRows][kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const V bias = V::Load(t.bias + v * V::kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) acc[i][v] = bias;
  }
  const float* b = t.b;
  const int64_t depth = t.k;
  const float* p[kRows];
  if constexpr (kAccess == RowAccess::kStrips) {
    for (int64_t tap = 0; tap < t.taps; ++tap) {
      const float* row = t.pointers[tap] + t.pointer_offset;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) p[i] = row + i;
      GemmStep<V, kRows, kVectors, kPrefetch>(acc, p, 0, b);
    }
  } else {
    const int64_t taps = kAccess == RowAccess::kPointers ? t.taps : 1;
    for (int64_t tap = 0; tap < taps; ++tap) {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        p[i] = kAccess == RowAccess::kPointers
                   ? t.pointers[tap * t.pointer_stride + i] + t.pointer_offset
                   : t.a + i * t.a_stride;
      }
      int64_t k = 0;
      for (; k + kUnroll <= depth; k += kUnroll) {
#pragma GCC unroll 4
        for (int u = 0; u < kUnroll; ++u) GemmStep<V, kRows, kVectors, kPrefetch>(acc, p, k + u, b);
      }
      for (; k < depth; ++k) GemmStep<V, kRows, kVectors, kPrefetch>(acc, p, k, b);
    }
  }
  const V lo = V::Set(t.lo), hi = V::Set(t.hi);
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    float* c = t.c + i * t.c_stride;
    if constexpr (kAccess == RowAccess::kPointers) {
      if (t.c_rows) c = t.c_rows[i] + t.column;
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const bool tail = v == kVectors - 1 && t.last != V::kLanes;
      V x = acc[i][v];
      if (t.residual) {
        const float* r = t.residual + i * t.residual_stride + v * V::kLanes;
        x += tail ? V::LoadN(r, t.last) : V::Load(r);
      }
      x = Min(hi, Max(lo, x));
      if (tail) {
        x.StoreN(c + v * V::kLanes, t.last);
      } else {
        x.Store(c + v * V::kLanes);
      }
    }
  }
}

template <class V>
using GemmTileFn = void (*)(const GemmTile&);

template <class V>
constexpr int TileRows(int vectors) {
  if (V::kRegisters == 32) return vectors == 3 ? 9 : 14;
  return vectors == 3 ? 4 : vectors == 2 ? 6 : 8;
}

// Tile functions of one panel width by number of rows (entry 0 unused).
template <class V, int kVectors, RowAccess kAccess, bool kPrefetch>
constexpr auto GemmTileTable() {
  return []<int... kRow>(std::integer_sequence<int, kRow...>) {
    return std::array<GemmTileFn<V>, sizeof...(kRow) + 1>{
        nullptr, RunGemmTile<V, kRow + 1, kVectors, kAccess, kPrefetch>...};
  }
  (std::make_integer_sequence<int, TileRows<V>(kVectors)>());
}

// Rows [begin, end) of one panel in tiles of nearly equal height: 49 rows at 6 give 6, 5, 5, 6...,
// never a lone row, which would cost two thirds of a full tile.
template <class V, int kVectors, RowAccess kAccess, bool kPrefetch>
void RunGemmPanel(const GemmCall& call, const Panel& panel, int64_t begin, int64_t end) {
  static constexpr auto kTable = GemmTileTable<V, kVectors, kAccess, kPrefetch>();
  constexpr int64_t kHeight = TileRows<V>(kVectors);
  const int64_t n = end - begin, tiles = (n + kHeight - 1) / kHeight;
  const int last = panel.columns - (kVectors - 1) * V::kLanes;
  GemmTile t;
  t.a_stride = call.a_stride;
  t.pointer_stride = call.pointer_stride;
  t.taps = call.taps, t.k = call.k;
  t.b = call.b + panel.offset, t.bias = call.bias + panel.column;
  t.c_stride = call.c_stride, t.column = panel.column;
  t.residual_stride = call.residual_stride;
  t.last = last;
  t.lo = call.epilogue.lo, t.hi = call.epilogue.hi;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t r0 = begin + n * i / tiles, r1 = begin + n * (i + 1) / tiles;
    t.a = call.a + panel.input + r0 * call.a_stride;
    t.pointers = kAccess == RowAccess::kPointers ? call.pointers + r0 : call.pointers;
    t.pointer_offset = call.pointer_offset + panel.input + (kAccess == RowAccess::kStrips ? r0 : 0);
    t.c = call.c + r0 * call.c_stride + panel.column;
    t.c_rows = call.c_rows ? call.c_rows + r0 : nullptr;
    t.residual = call.residual ? call.residual + r0 * call.residual_stride + panel.column : nullptr;
    kTable[static_cast<size_t>(r1 - r0)](t);
    if (call.epilogue.curve != Curve::kNone) {
      for (int64_t r = 0; r < r1 - r0; ++r) {
        float* c = t.c_rows ? t.c_rows[r] + panel.column : t.c + r * t.c_stride;
        ApplyCurve<V>(c, panel.columns, call.epilogue);
      }
    }
  }
}

template <class V, RowAccess kAccess, bool kPrefetch>
void RunGemmPanels(const GemmCall& call, int64_t row_begin, int64_t row_end, int panel_begin,
                   int panel_end) {
  for (int j = panel_begin; j < panel_end; ++j) {
    const Panel& panel = call.panels[j];
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
      return call.prefetch ? RunGemmPanels<V, RowAccess::kStrided, true>(call, row_begin, row_end,
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
