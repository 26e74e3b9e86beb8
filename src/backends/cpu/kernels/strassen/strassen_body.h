// The vector loop of strassen.h over a vector type V. Include from one .cc per instruction set.
#pragma once

#include "backends/cpu/kernels/strassen/strassen.h"

namespace sula::cpu {

template <class V>
void RunStrassenSum(const StrassenRows& a, const StrassenRows& b, float sign, int64_t rows,
                    int64_t n, const StrassenRows& to) {
  const V s = V::Set(sign);
  for (int64_t r = 0; r < rows; ++r) {
    const float *x = a.data + r * a.stride, *y = b.data + r * b.stride;
    float* z = to.data + r * to.stride;
    int64_t i = 0;
    for (; i + V::kLanes <= n; i += V::kLanes) {
      __builtin_prefetch(x + a.stride + i);
      __builtin_prefetch(y + b.stride + i);
      Fma(s, V::Load(y + i), V::Load(x + i)).Store(z + i);
    }
    if (const int rest = static_cast<int>(n - i); rest > 0)
      Fma(s, V::LoadN(y + i, rest), V::LoadN(x + i, rest)).StoreN(z + i, rest);
  }
}

template <class V>
constexpr StrassenKernels MakeStrassenKernels() {
  return {RunStrassenSum<V>};
}

}  // namespace sula::cpu
