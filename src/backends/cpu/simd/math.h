// Elementary functions on the vector types of portable.h, by lane, in float. Error bounds are
// against the exact value for all finite inputs and are held by tests/backends_cpu/simd_test.cc; a
// NaN gives a NaN. Coefficients: least-maximum fits made for these intervals.
#pragma once

#include <cstddef>
#include <limits>

namespace sula::simd {

// c[0] + c[1] x + ... by Horner's rule.
template <class V, size_t kCount>
[[gnu::always_inline]] inline V Polynomial(V x, const float (&c)[kCount]) {
  V r = V::Set(c[kCount - 1]);
  for (size_t i = kCount - 1; i-- > 0;) r = Fma(r, x, V::Set(c[i]));
  return r;
}

// 2^n for integers -126 <= n <= 127.
template <class V>
[[gnu::always_inline]] inline V PowerOfTwo(typename V::Int n) {
  return AsFloat(ShiftLeft<23>(n + V::Int::Set(127)));
}

// e^x; 2 ulp, also where the result is subnormal (unless the processor flushes it). exp(x) =
// 2^n (1 + r + r^2 p(r)) with |r| <= ln(2) / 2; 2^n is applied in two steps, as n spans
// [-150, 129].
template <class V>
[[gnu::always_inline]] inline V Exp(V x) {
  constexpr float kP[] = {0.50000001f, 0.166665129f, 0.0416661874f, 0.00836959945f, 0.00139517071f};
  x = Min(V::Set(89.f), Max(V::Set(-104.f), x));
  const V n = Round(x * V::Set(1.44269504f));
  // ln 2 in two parts; the first has few enough bits that n times it is exact
  V r = Fnma(n, V::Set(0.693359375f), x);
  r = Fnma(n, V::Set(-2.12194440e-4f), r);
  const V p = Fma(r * r, Polynomial(r, kP), r) + V::Set(1.f);
  const typename V::Int i = ToInt(n), half = ShiftRight<1>(i);
  return p * PowerOfTwo<V>(half) * PowerOfTwo<V>(i - half);
}

// ln(x); 2 ulp. log(0) = -inf, log(x < 0) = NaN, log(inf) = inf. x = 2^e m with m in
// [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1).
template <class V>
[[gnu::always_inline]] inline V Log(V x) {
  using Int = typename V::Int;
  constexpr float kP[] = {0.666666656f, 0.400003562f, 0.285358887f, 0.23610541f};
  const typename V::Mask tiny = x < V::Set(std::numeric_limits<float>::min());
  const V scaled = Select(tiny, x * V::Set(8388608.f), x);
  // The bits of sqrt(1/2), subtracted, let the exponent field count from there.
  const Int bits = AsInt(scaled) - Int::Set(0x3f3504f3);
  const V e = ToFloat(ShiftRight<23>(bits)) - Select(tiny, V::Set(23.f), V::Zero());
  const V m = AsFloat((bits & Int::Set(0x007fffff)) + Int::Set(0x3f3504f3));
  const V f = m - V::Set(1.f);
  const V s = f / (m + V::Set(1.f)), z = s * s;
  // log m = f - s (f - z p(z)): f is exact, so small logarithms keep their precision
  const V log_m = f - s * (f - z * Polynomial(z, kP));
  V r = Fma(e, V::Set(0.693359375f), Fma(e, V::Set(-2.12194440e-4f), log_m));
  r = Select(x == V::Set(std::numeric_limits<float>::infinity()), x, r);
  r = Select(x < V::Zero(), V::Set(std::numeric_limits<float>::quiet_NaN()), r);
  r = Select(x == V::Zero(), V::Set(-std::numeric_limits<float>::infinity()), r);
  return Select(IsNaN(x), x, r);
}

// tanh(x); 3 ulp.
template <class V>
[[gnu::always_inline]] inline V Tanh(V x) {
  constexpr float kP[] = {-0.333332839f, 0.133314911f, -0.0537434808f, 0.0206505367f,
                          -0.00571699334f};
  const V a = Abs(x), z = x * x;
  const V small = Fma(x * z, Polynomial(z, kP), x);
  const V e = Exp(a + a);
  const V large = V::Set(1.f) - V::Set(2.f) / (e + V::Set(1.f));
  return Select(a < V::Set(0.625f), small, CopySign(large, x));
}

// 1 / (1 + e^-x); 4 ulp.
template <class V>
[[gnu::always_inline]] inline V Sigmoid(V x) {
  return V::Set(1.f) / (V::Set(1.f) + Exp(-x));
}

// The error function; 3 ulp. Below 1: x + x p(x^2); above: 1 - erfc(x) with erfc(x) = e^q(x).
template <class V>
[[gnu::always_inline]] inline V Erf(V x) {
  constexpr float kP[] = {0.128379166f,   -0.376126271f,  0.112836002f,  -0.0268544443f,
                          0.00518953475f, -0.0008020836f, 7.8891019e-05f};
  constexpr float kQ[] = {0.000183449257f, -1.12955686f,    -0.633262559f,   -0.10837254f,
                          0.0251790088f,   -0.00419362729f, 0.000439109857f, -2.14964276e-05f};
  const V a = Abs(x), z = x * x;
  const V small = Fma(x, Polynomial(z, kP), x);
  // From 4 on erf is 1 in float; the fit ends there.
  const V large = V::Set(1.f) - Exp(Polynomial(Min(V::Set(4.f), a), kQ));
  return Select(a < V::Set(1.f), small, CopySign(large, x));
}

// x Phi(x) with the normal distribution's Phi; absolute error 4e-7 max(1, |x|). Phi(x) - 1/2 is
// odd, x P(x^2) / Q(x^2); beyond 5.3 Phi is 0 or 1 to within 6e-8.
template <class V>
[[gnu::always_inline]] inline V Gelu(V x) {
  constexpr float kP[] = {0.398941904f,    0.036087323f,     0.00452188868f, 0.000173641398f,
                          3.34542301e-06f, -2.29975186e-08f, 1.18025173e-10f};
  constexpr float kQ[] = {1.f, 0.257119745f, 0.0291948318f, 0.00184406165f, 6.40683356e-05f};
  const V z = x * x;
  const V phi = V::Set(0.5f) + x * Polynomial(z, kP) / Polynomial(z, kQ);
  return Select(Abs(x) < V::Set(5.3f), x * phi, Max(V::Zero(), x));
}

// min(max(a x + b, 0), 1)
template <class V>
[[gnu::always_inline]] inline V HardSigmoid(V x, V a, V b) {
  return Min(V::Set(1.f), Max(V::Zero(), Fma(a, x, b)));
}

// x min(max(x / 6 + 1/2, 0), 1)
template <class V>
[[gnu::always_inline]] inline V HardSwish(V x) {
  return x * HardSigmoid(x, V::Set(1.f / 6), V::Set(0.5f));
}

}  // namespace sula::simd
