// The vector loops of strassen.h over a vector type V. Include from one .cc per instruction set.
#pragma once

#include "backends/cpu/kernels/strassen/strassen.h"

namespace sula::cpu {

template <class V, int kCount>
void SumOf(const float* const* from, const float* sign, int64_t n, float* to) {
  V s[kCount];
  for (int t = 0; t < kCount; ++t) s[t] = V::Set(sign[t]);
  const auto step = [&](int64_t i, auto load, auto store) {
    V x = s[0] * load(from[0] + i);
    for (int t = 1; t < kCount; ++t) x = Fma(s[t], load(from[t] + i), x);
    store(x, to + i);
  };
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    step(
        i, [](const float* p) { return V::Load(p); }, [](V x, float* p) { x.Store(p); });
  if (const int rest = static_cast<int>(n - i); rest > 0)
    step(
        i, [=](const float* p) { return V::LoadN(p, rest); },
        [=](V x, float* p) { x.StoreN(p, rest); });
}

template <class V>
void RunStrassenSum(const float* const* from, const float* sign, int count, int64_t n, float* to) {
  switch (count) {
    case 1: return SumOf<V, 1>(from, sign, n, to);
    case 2: return SumOf<V, 2>(from, sign, n, to);
    case 3: return SumOf<V, 3>(from, sign, n, to);
    default: return SumOf<V, 4>(from, sign, n, to);
  }
}

template <class V>
void RunStrassenUpdate(const StrassenUpdate& u) {
  const V sign = V::Set(u.sign), lo = V::Set(u.lo), hi = V::Set(u.hi);
  for (int64_t r = 0; r < u.rows; ++r) {
    const float* t = u.t + r * u.t_stride;
    float* c = u.c + r * u.c_stride;
    const float* base = u.bias ? u.bias : c;
    const float* residual = u.residual ? u.residual + r * u.residual_stride : nullptr;
    const auto step = [&](int64_t i, auto load, auto store) {
      V x = load(base + i);
      if (residual) x += load(residual + i);
      x = Fma(sign, load(t + i), x);
      store(Min(hi, Max(lo, x)), c + i);
    };
    const int64_t columns = u.columns, below = r + 1 < u.rows ? u.c_stride : 0;
    int64_t i = 0;
    for (; i + V::kLanes <= columns; i += V::kLanes) {
      // Rows are too short for the processor to see where the next one lies.
      __builtin_prefetch(c + below + i, 1, 3);
      step(
          i, [](const float* p) { return V::Load(p); }, [](V x, float* p) { x.Store(p); });
    }
    if (const int rest = static_cast<int>(columns - i); rest > 0)
      step(
          i, [=](const float* p) { return V::LoadN(p, rest); },
          [=](V x, float* p) { x.StoreN(p, rest); });
  }
}

template <class V>
constexpr StrassenKernels MakeStrassenKernels() {
  return {RunStrassenSum<V>, RunStrassenUpdate<V>};
}

}  // namespace sula::cpu
