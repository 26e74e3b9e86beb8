// One row times a packed panel, for one vector type V. Include from one .cc per instruction set.
//
// An FMA waits 4 cycles for the one before on the same accumulator and two can begin per cycle, so
// 8 accumulators keep the units busy; but weights come from L2 or farther, a vector per cycle at
// best, for which 4 are enough.
#pragma once

#include "backends/cpu/kernels/recurrent/row_product.h"

namespace sula::cpu {

// Bytes ahead that weights are asked for: the panels of one product are read once and in order.
inline constexpr int kRowPrefetchBytes = 2048;

template <class V, int kVectors>
void RunRowPanel(const float* a, int64_t k, int last, const float* b, const float* init, float* c) {
  constexpr int64_t kLine = 16;  // floats
  constexpr int kTail = kVectors - 1;
  V acc[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kTail; ++v) acc[v] = V::Load(init + v * V::kLanes);
  acc[kTail] = V::LoadN(init + kTail * V::kLanes, last);
  for (int64_t i = 0; i < k; ++i, b += kVectors * V::kLanes) {
    const V x = V::Set(a[i]);
#pragma GCC unroll 16
    for (int64_t line = 0; line < kVectors * V::kLanes; line += kLine)
      __builtin_prefetch(reinterpret_cast<const char*>(b + line) + kRowPrefetchBytes, 0, 3);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) acc[v] = Fma(x, V::Load(b + v * V::kLanes), acc[v]);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kTail; ++v) acc[v].Store(c + v * V::kLanes);
  acc[kTail].StoreN(c + kTail * V::kLanes, last);
}

template <class V>
void RunRow(const float* a, int64_t k, const Panel& panel, const float* packed, const float* init,
            float* c) {
  const int last = panel.columns - (panel.vectors - 1) * V::kLanes;
  switch (panel.vectors) {
    case 1: return RunRowPanel<V, 1>(a, k, last, packed, init, c);
    case 2: return RunRowPanel<V, 2>(a, k, last, packed, init, c);
    case 3: return RunRowPanel<V, 3>(a, k, last, packed, init, c);
    case 4: return RunRowPanel<V, 4>(a, k, last, packed, init, c);
    case 5: return RunRowPanel<V, 5>(a, k, last, packed, init, c);
    case 6: return RunRowPanel<V, 6>(a, k, last, packed, init, c);
    case 7: return RunRowPanel<V, 7>(a, k, last, packed, init, c);
    default: return RunRowPanel<V, 8>(a, k, last, packed, init, c);
  }
}

}  // namespace sula::cpu
