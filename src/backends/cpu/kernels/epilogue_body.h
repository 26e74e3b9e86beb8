// Applies an Epilogue's curve to values just written, while they are in L1.
#pragma once

#include <cstdint>

#include "backends/cpu/kernels/epilogue.h"
#include "backends/cpu/simd/math.h"

namespace sula::cpu {

template <class V, class F>
[[gnu::always_inline]] inline void MapRow(float* p, int64_t n, F f) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) f(V::Load(p + i)).Store(p + i);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    f(V::LoadN(p + i, rest)).StoreN(p + i, rest);
  }
}

// p[0..n) = curve(p[0..n)). Not called for Curve::kNone. noipa: without clones, so that the linker
// keeps one copy for all kernels of an instruction set.
template <class V>
[[gnu::noipa]] void ApplyCurve(float* p, int64_t n, const Epilogue& e) {
  const V a = V::Set(e.a), b = V::Set(e.b);
  switch (e.curve) {
    case Curve::kNone: break;
    case Curve::kLeakyRelu:
      return MapRow<V>(p, n, [=](V x) { return Select(x < V::Zero(), a * x, x); });
    case Curve::kSigmoid: return MapRow<V>(p, n, [](V x) { return simd::Sigmoid(x); });
    case Curve::kTanh: return MapRow<V>(p, n, [](V x) { return simd::Tanh(x); });
    case Curve::kHardSigmoid:
      return MapRow<V>(p, n, [=](V x) { return simd::HardSigmoid(x, a, b); });
    case Curve::kHardSwish: return MapRow<V>(p, n, [](V x) { return simd::HardSwish(x); });
    case Curve::kSwish: return MapRow<V>(p, n, [=](V x) { return x * simd::Sigmoid(a * x); });
    case Curve::kGelu: return MapRow<V>(p, n, [](V x) { return simd::Gelu(x); });
  }
}

}  // namespace sula::cpu
