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

template <class V, class F>
[[gnu::always_inline]] inline void MapTile(float* p, int64_t rows, int64_t stride, int64_t n, F f) {
  for (int64_t i = 0; i < rows; ++i) MapRow<V>(p + i * stride, n, f);
}

// p[i * stride + j] = curve(p[i * stride + j]) for i < rows and j < n. Not called for Curve::kNone.
// noipa: without clones, so that the linker keeps one copy for all kernels of an instruction set.
template <class V>
[[gnu::noipa]] void ApplyCurve(float* p, int64_t rows, int64_t stride, int64_t n,
                               const Epilogue& e) {
  const V a = V::Set(e.a), b = V::Set(e.b);
  const auto map = [=](auto f) __attribute__((always_inline)) {
    MapTile<V>(p, rows, stride, n, f);
  };
  switch (e.curve) {
    case Curve::kNone: break;
    case Curve::kLeakyRelu: return map([=](V x) { return Select(x < V::Zero(), a * x, x); });
    case Curve::kSigmoid: return map([](V x) { return simd::Sigmoid(x); });
    case Curve::kTanh: return map([](V x) { return simd::Tanh(x); });
    case Curve::kHardSigmoid: return map([=](V x) { return simd::HardSigmoid(x, a, b); });
    case Curve::kHardSwish: return map([](V x) { return simd::HardSwish(x); });
    case Curve::kSwish: return map([=](V x) { return x * simd::Sigmoid(a * x); });
    case Curve::kGelu: return map([](V x) { return simd::Gelu(x); });
  }
}

// The same for one row.
template <class V>
[[gnu::always_inline]] inline void ApplyCurve(float* p, int64_t n, const Epilogue& e) {
  ApplyCurve<V>(p, 1, 0, n, e);
}

}  // namespace sula::cpu
