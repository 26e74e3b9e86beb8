// The vector type of machines without AVX2, and of tests: N lanes written with the compiler's
// generic vectors, so that it compiles for any processor (N = 4 becomes SSE or NEON registers).
//
// THE VECTOR TYPES. Portable<N>, Avx2 (avx2.h) and Avx512 (avx512.h) offer the same members and
// functions; code templated over `V` runs on all of them:
//   V::kLanes                    lanes of float
//   V::kRegisters                vector registers that the processor has
//   V::Load(p) Set(x) Zero()     p need not be aligned
//   V::LoadN(p, n)               lanes [0, n) from memory, 0 <= n <= kLanes, the rest 0; memory
//                                behind p + n is not touched
//   v.Store(p) v.StoreN(p, n)    the same for writing
//   v.Pin()                      keeps v in a register at this point (stops the compiler from
//                                hoisting loads across unrolled steps, which spills accumulators)
//   v.AddProduct(a, b)           v = Fma(a, b, v), in v's register whatever the compiler thinks
//   best:
//                                left alone it rotates accumulators through registers and spills
//   a + b, a - b, a * b, a / b, -a, a += b ...
//   Fma(a, b, c) = a * b + c, Fnma(a, b, c) = c - a * b (rounded once where the processor can)
//   Max(a, b) = a > b ? a : b, Min(a, b) = a < b ? a : b: a NaN in b passes through, so clamp with
//                                Min(hi, Max(lo, x))
//   Abs Sqrt Floor Ceil Trunc Round (to nearest, ties to even) CopySign(magnitude, sign)
//   a < b, a <= b, a > b, a >= b, a == b, a != b -> V::Mask (a NaN compares as in C);
//   m & n, m | n, ~m, Any(m), All(m), IsNaN(v); Select(m, a, b) = m ? a : b by lane
//   V::Int: kLanes 32-bit integers: Load Store LoadN StoreN Set, + - *, & | ^, ShiftLeft<n>(i),
//           ShiftRight<n>(i) (arithmetic), a > b and a == b -> V::Mask, Select(m, a, b)
//   ToInt(v) to nearest even, TruncToInt(v), ToFloat(i), AsInt(v), AsFloat(i) (bits as they are).
//           Outside the range of int32 the integer is unspecified.
//   ReduceAdd(v) ReduceMax(v) ReduceMin(v) -> float; the order of additions is unspecified
//   Transpose(V (&rows)[kLanes]) in place: lane j of row i becomes lane i of row j
// math.h has exp, tanh and their like for all of them.
//
// A header of an instruction set may be included only by files compiled with that set's flags, and
// code that uses it must not sit in inline functions that other files share: the linker would keep
// one copy for all, perhaps the one that the processor cannot run.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#pragma GCC diagnostic ignored "-Wpsabi"  // everything here is inlined: no ABI is involved

namespace sula::simd {

// The compiler's vectors of N floats and of N integers.
template <int N>
struct Generic;
template <>
struct Generic<4> {
  typedef float F __attribute__((vector_size(16)));
  typedef int32_t I __attribute__((vector_size(16)));
};
template <>
struct Generic<16> {
  typedef float F __attribute__((vector_size(64)));
  typedef int32_t I __attribute__((vector_size(64)));
};

template <int N>
struct Portable {
  static constexpr int kLanes = N;
  static constexpr int kRegisters = 16;
  using F = typename Generic<N>::F;
  using I = typename Generic<N>::I;
  F v;

  struct Mask {
    I m;  // 0 or -1
    [[gnu::always_inline]] friend Mask operator&(Mask a, Mask b) { return {a.m & b.m}; }
    [[gnu::always_inline]] friend Mask operator|(Mask a, Mask b) { return {a.m | b.m}; }
    [[gnu::always_inline]] friend Mask operator~(Mask a) { return {~a.m}; }
    [[gnu::always_inline]] friend bool Any(Mask a) {
      int32_t r = 0;
      for (int i = 0; i < N; ++i) r |= a.m[i];
      return r != 0;
    }
    [[gnu::always_inline]] friend bool All(Mask a) { return !Any(~a); }
  };

  struct Int {
    I v;
    [[gnu::always_inline]] static Int Load(const int32_t* p) {
      Int r;
      std::memcpy(&r.v, p, sizeof r.v);
      return r;
    }
    [[gnu::always_inline]] static Int LoadN(const int32_t* p, int n) {
      Int r{};
      for (int i = 0; i < n; ++i) r.v[i] = p[i];
      return r;
    }
    [[gnu::always_inline]] static Int Set(int32_t x) { return {I{} + x}; }
    [[gnu::always_inline]] void Store(int32_t* p) const { std::memcpy(p, &v, sizeof v); }
    [[gnu::always_inline]] void StoreN(int32_t* p, int n) const {
      for (int i = 0; i < n; ++i) p[i] = v[i];
    }
    [[gnu::always_inline]] friend Int operator+(Int a, Int b) { return {a.v + b.v}; }
    [[gnu::always_inline]] friend Int operator-(Int a, Int b) { return {a.v - b.v}; }
    [[gnu::always_inline]] friend Int operator*(Int a, Int b) { return {a.v * b.v}; }
    [[gnu::always_inline]] friend Int operator&(Int a, Int b) { return {a.v & b.v}; }
    [[gnu::always_inline]] friend Int operator|(Int a, Int b) { return {a.v | b.v}; }
    [[gnu::always_inline]] friend Int operator^(Int a, Int b) { return {a.v ^ b.v}; }
    [[gnu::always_inline]] friend Mask operator>(Int a, Int b) { return {a.v > b.v}; }
    [[gnu::always_inline]] friend Mask operator==(Int a, Int b) { return {a.v == b.v}; }
    template <int kBits>
    [[gnu::always_inline]] friend Int ShiftLeft(Int a) {
      return {a.v << kBits};
    }
    template <int kBits>
    [[gnu::always_inline]] friend Int ShiftRight(Int a) {
      return {a.v >> kBits};
    }
    [[gnu::always_inline]] friend Int Select(Mask m, Int a, Int b) {
      return {(a.v & m.m) | (b.v & ~m.m)};
    }
    [[gnu::always_inline]] friend Portable ToFloat(Int a) {
      return {__builtin_convertvector(a.v, F)};
    }
    [[gnu::always_inline]] friend Portable AsFloat(Int a) { return {(F)a.v}; }
  };

  [[gnu::always_inline]] static Portable Load(const float* p) {
    Portable r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  [[gnu::always_inline]] static Portable LoadN(const float* p, int n) {
    Portable r{};
    for (int i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  [[gnu::always_inline]] static Portable Set(float x) { return {x - F{}}; }  // keeps -0
  [[gnu::always_inline]] static Portable Zero() { return {F{}}; }
  [[gnu::always_inline]] void Store(float* p) const { std::memcpy(p, &v, sizeof v); }
  [[gnu::always_inline]] void StoreN(float* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  [[gnu::always_inline]] void AddProduct(Portable a, Portable b) { *this = Fma(a, b, *this); }
  [[gnu::always_inline]] void Pin() {}

  [[gnu::always_inline]] friend Portable operator+(Portable a, Portable b) { return {a.v + b.v}; }
  [[gnu::always_inline]] friend Portable operator-(Portable a, Portable b) { return {a.v - b.v}; }
  [[gnu::always_inline]] friend Portable operator*(Portable a, Portable b) { return {a.v * b.v}; }
  [[gnu::always_inline]] friend Portable operator/(Portable a, Portable b) { return {a.v / b.v}; }
  [[gnu::always_inline]] friend Portable operator-(Portable a) { return {-a.v}; }
  [[gnu::always_inline]] Portable& operator+=(Portable b) { return v += b.v, *this; }
  [[gnu::always_inline]] Portable& operator-=(Portable b) { return v -= b.v, *this; }
  [[gnu::always_inline]] Portable& operator*=(Portable b) { return v *= b.v, *this; }
  [[gnu::always_inline]] friend Portable Fma(Portable a, Portable b, Portable c) {
    return {a.v * b.v + c.v};
  }
  [[gnu::always_inline]] friend Portable Fnma(Portable a, Portable b, Portable c) {
    return {c.v - a.v * b.v};
  }
  [[gnu::always_inline]] friend Portable Max(Portable a, Portable b) { return Select(a > b, a, b); }
  [[gnu::always_inline]] friend Portable Min(Portable a, Portable b) { return Select(a < b, a, b); }
  [[gnu::always_inline]] friend Portable Abs(Portable a) { return {(F)((I)a.v & 0x7fffffff)}; }
  [[gnu::always_inline]] friend Portable CopySign(Portable a, Portable s) {
    return {(F)(((I)a.v & 0x7fffffff) | ((I)s.v & INT32_MIN))};
  }
  [[gnu::always_inline]] friend Portable Sqrt(Portable a) {
    for (int i = 0; i < N; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
    return a;
  }
  [[gnu::always_inline]] friend Portable Floor(Portable a) {
    for (int i = 0; i < N; ++i) a.v[i] = __builtin_floorf(a.v[i]);
    return a;
  }
  [[gnu::always_inline]] friend Portable Ceil(Portable a) {
    for (int i = 0; i < N; ++i) a.v[i] = __builtin_ceilf(a.v[i]);
    return a;
  }
  [[gnu::always_inline]] friend Portable Trunc(Portable a) {
    for (int i = 0; i < N; ++i) a.v[i] = __builtin_truncf(a.v[i]);
    return a;
  }
  [[gnu::always_inline]] friend Portable Round(Portable a) {
    for (int i = 0; i < N; ++i) a.v[i] = __builtin_nearbyintf(a.v[i]);
    return a;
  }
  [[gnu::always_inline]] friend Mask operator<(Portable a, Portable b) { return {a.v < b.v}; }
  [[gnu::always_inline]] friend Mask operator<=(Portable a, Portable b) { return {a.v <= b.v}; }
  [[gnu::always_inline]] friend Mask operator>(Portable a, Portable b) { return {a.v > b.v}; }
  [[gnu::always_inline]] friend Mask operator>=(Portable a, Portable b) { return {a.v >= b.v}; }
  [[gnu::always_inline]] friend Mask operator==(Portable a, Portable b) { return {a.v == b.v}; }
  [[gnu::always_inline]] friend Mask operator!=(Portable a, Portable b) { return {a.v != b.v}; }
  [[gnu::always_inline]] friend Mask IsNaN(Portable a) { return {a.v != a.v}; }
  [[gnu::always_inline]] friend Portable Select(Mask m, Portable a, Portable b) {
    return {(F)(((I)a.v & m.m) | ((I)b.v & ~m.m))};
  }
  [[gnu::always_inline]] friend Int ToInt(Portable a) { return TruncToInt(Round(a)); }
  [[gnu::always_inline]] friend Int TruncToInt(Portable a) {
    // Outside int32 the conversion would be undefined; any integer will do there.
    const Mask inside = (a < Set(2147483648.f)) & (a >= Set(-2147483648.f));
    return {__builtin_convertvector(Select(inside, a, Zero()).v, I)};
  }
  [[gnu::always_inline]] friend Int AsInt(Portable a) { return {(I)a.v}; }
  [[gnu::always_inline]] friend float ReduceAdd(Portable a) {
    float r = 0;
    for (int i = 0; i < N; ++i) r += a.v[i];
    return r;
  }
  [[gnu::always_inline]] friend float ReduceMax(Portable a) {
    float r = a.v[0];
    for (int i = 1; i < N; ++i) r = r > a.v[i] ? r : a.v[i];
    return r;
  }
  [[gnu::always_inline]] friend float ReduceMin(Portable a) {
    float r = a.v[0];
    for (int i = 1; i < N; ++i) r = r < a.v[i] ? r : a.v[i];
    return r;
  }
  [[gnu::always_inline]] friend void Transpose(Portable (&r)[N]) {
    for (int i = 0; i < N; ++i)
      for (int j = 0; j < i; ++j) {
        const float t = r[i].v[j];
        r[i].v[j] = r[j].v[i];
        r[j].v[i] = t;
      }
  }
};

// The production type without AVX2, and the one that runs 16-lane code where there is no AVX-512.
using Scalar = Portable<4>;
using Scalar16 = Portable<16>;

}  // namespace sula::simd
