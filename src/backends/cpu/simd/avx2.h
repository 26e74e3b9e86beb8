// 8 lanes in AVX2 + FMA registers. The interface is described in portable.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sula::simd {

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  __m256 v;

  struct Mask {
    __m256 m;  // all bits of a lane, or none
    [[gnu::always_inline]] friend Mask operator&(Mask a, Mask b) {
      return {_mm256_and_ps(a.m, b.m)};
    }
    [[gnu::always_inline]] friend Mask operator|(Mask a, Mask b) {
      return {_mm256_or_ps(a.m, b.m)};
    }
    [[gnu::always_inline]] friend Mask operator~(Mask a) {
      return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
    }
    [[gnu::always_inline]] friend bool Any(Mask a) { return _mm256_movemask_ps(a.m) != 0; }
    [[gnu::always_inline]] friend bool All(Mask a) { return _mm256_movemask_ps(a.m) == 0xff; }
  };

  struct Int {
    __m256i v;
    [[gnu::always_inline]] static Int Load(const int32_t* p) {
      return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
    }
    [[gnu::always_inline]] static Int LoadN(const int32_t* p, int n) {
      return {_mm256_maskload_epi32(p, First(n))};
    }
    [[gnu::always_inline]] static Int Set(int32_t x) { return {_mm256_set1_epi32(x)}; }
    [[gnu::always_inline]] void Store(int32_t* p) const {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
    }
    [[gnu::always_inline]] void StoreN(int32_t* p, int n) const {
      _mm256_maskstore_epi32(p, First(n), v);
    }
    [[gnu::always_inline]] friend Int operator+(Int a, Int b) {
      return {_mm256_add_epi32(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator-(Int a, Int b) {
      return {_mm256_sub_epi32(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator*(Int a, Int b) {
      return {_mm256_mullo_epi32(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator&(Int a, Int b) {
      return {_mm256_and_si256(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator|(Int a, Int b) {
      return {_mm256_or_si256(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator^(Int a, Int b) {
      return {_mm256_xor_si256(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Mask operator>(Int a, Int b) {
      return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.v, b.v))};
    }
    [[gnu::always_inline]] friend Mask operator==(Int a, Int b) {
      return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))};
    }
    template <int kBits>
    [[gnu::always_inline]] friend Int ShiftLeft(Int a) {
      return {_mm256_slli_epi32(a.v, kBits)};
    }
    template <int kBits>
    [[gnu::always_inline]] friend Int ShiftRight(Int a) {
      return {_mm256_srai_epi32(a.v, kBits)};
    }
    [[gnu::always_inline]] friend Int Select(Mask m, Int a, Int b) {
      return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.m))};
    }
    [[gnu::always_inline]] friend Avx2 ToFloat(Int a) { return {_mm256_cvtepi32_ps(a.v)}; }
    [[gnu::always_inline]] friend Avx2 AsFloat(Int a) { return {_mm256_castsi256_ps(a.v)}; }
  };

  [[gnu::always_inline]] static Avx2 Load(const float* p) { return {_mm256_loadu_ps(p)}; }
  [[gnu::always_inline]] static Avx2 LoadN(const float* p, int n) {
    return {_mm256_maskload_ps(p, First(n))};
  }
  [[gnu::always_inline]] static Avx2 Set(float x) { return {_mm256_set1_ps(x)}; }
  [[gnu::always_inline]] static Avx2 Zero() { return {_mm256_setzero_ps()}; }
  [[gnu::always_inline]] void Store(float* p) const { _mm256_storeu_ps(p, v); }
  // In pieces of 4, 2 and 1: masked stores are microcoded on AMD processors.
  [[gnu::always_inline]] void StoreN(float* p, int n) const {
    if (n == 8) return Store(p);
    __m128 x = _mm256_castps256_ps128(v);
    if (n & 4) {
      _mm_storeu_ps(p, x);
      x = _mm256_extractf128_ps(v, 1);
      p += 4;
    }
    if (n & 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(p), x);
      x = _mm_movehl_ps(x, x);
      p += 2;
    }
    if (n & 1) _mm_store_ss(p, x);
  }
  [[gnu::always_inline]] void AddProduct(Avx2 a, Avx2 b) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(v) : "x"(a.v), "x"(b.v));
  }
  [[gnu::always_inline]] void Pin() { asm("" : "+x"(v)); }

  [[gnu::always_inline]] friend Avx2 operator+(Avx2 a, Avx2 b) { return {_mm256_add_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx2 operator-(Avx2 a, Avx2 b) { return {_mm256_sub_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx2 operator*(Avx2 a, Avx2 b) { return {_mm256_mul_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx2 operator/(Avx2 a, Avx2 b) { return {_mm256_div_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx2 operator-(Avx2 a) {
    return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.f))};
  }
  [[gnu::always_inline]] Avx2& operator+=(Avx2 b) { return *this = *this + b; }
  [[gnu::always_inline]] Avx2& operator-=(Avx2 b) { return *this = *this - b; }
  [[gnu::always_inline]] Avx2& operator*=(Avx2 b) { return *this = *this * b; }
  [[gnu::always_inline]] friend Avx2 Fma(Avx2 a, Avx2 b, Avx2 c) {
    return {_mm256_fmadd_ps(a.v, b.v, c.v)};
  }
  [[gnu::always_inline]] friend Avx2 Fnma(Avx2 a, Avx2 b, Avx2 c) {
    return {_mm256_fnmadd_ps(a.v, b.v, c.v)};
  }
  [[gnu::always_inline]] friend Avx2 Max(Avx2 a, Avx2 b) { return {_mm256_max_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx2 Min(Avx2 a, Avx2 b) { return {_mm256_min_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx2 Abs(Avx2 a) {
    return {_mm256_andnot_ps(_mm256_set1_ps(-0.f), a.v)};
  }
  [[gnu::always_inline]] friend Avx2 CopySign(Avx2 a, Avx2 s) {
    const __m256 sign = _mm256_set1_ps(-0.f);
    return {_mm256_or_ps(_mm256_andnot_ps(sign, a.v), _mm256_and_ps(sign, s.v))};
  }
  [[gnu::always_inline]] friend Avx2 Sqrt(Avx2 a) { return {_mm256_sqrt_ps(a.v)}; }
  [[gnu::always_inline]] friend Avx2 Floor(Avx2 a) { return {_mm256_floor_ps(a.v)}; }
  [[gnu::always_inline]] friend Avx2 Ceil(Avx2 a) { return {_mm256_ceil_ps(a.v)}; }
  [[gnu::always_inline]] friend Avx2 Trunc(Avx2 a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)};
  }
  [[gnu::always_inline]] friend Avx2 Round(Avx2 a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  [[gnu::always_inline]] friend Mask operator<(Avx2 a, Avx2 b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)};
  }
  [[gnu::always_inline]] friend Mask operator<=(Avx2 a, Avx2 b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)};
  }
  [[gnu::always_inline]] friend Mask operator>(Avx2 a, Avx2 b) { return b < a; }
  [[gnu::always_inline]] friend Mask operator>=(Avx2 a, Avx2 b) { return b <= a; }
  [[gnu::always_inline]] friend Mask operator==(Avx2 a, Avx2 b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)};
  }
  [[gnu::always_inline]] friend Mask operator!=(Avx2 a, Avx2 b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)};
  }
  [[gnu::always_inline]] friend Mask IsNaN(Avx2 a) {
    return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)};
  }
  [[gnu::always_inline]] friend Avx2 Select(Mask m, Avx2 a, Avx2 b) {
    return {_mm256_blendv_ps(b.v, a.v, m.m)};
  }
  [[gnu::always_inline]] friend Int ToInt(Avx2 a) { return {_mm256_cvtps_epi32(a.v)}; }
  [[gnu::always_inline]] friend Int TruncToInt(Avx2 a) { return {_mm256_cvttps_epi32(a.v)}; }
  [[gnu::always_inline]] friend Int AsInt(Avx2 a) { return {_mm256_castps_si256(a.v)}; }
  [[gnu::always_inline]] friend float ReduceAdd(Avx2 a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  [[gnu::always_inline]] friend float ReduceMax(Avx2 a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }
  [[gnu::always_inline]] friend float ReduceMin(Avx2 a) {
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
  }
  // Pairs, then pairs of pairs within the 128-bit halves, then the halves.
  [[gnu::always_inline]] friend void Transpose(Avx2 (&r)[8]) {
    __m256 t[8], u[8];
    for (int i = 0; i < 4; ++i) {
      t[2 * i] = _mm256_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
      t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
    }
    for (int h = 0; h < 2; ++h) {
      for (int i = 0; i < 2; ++i) {
        u[4 * h + 2 * i] = _mm256_shuffle_ps(t[4 * h + i], t[4 * h + 2 + i], 0x44);
        u[4 * h + 2 * i + 1] = _mm256_shuffle_ps(t[4 * h + i], t[4 * h + 2 + i], 0xee);
      }
    }
    for (int i = 0; i < 4; ++i) {
      r[i].v = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
      r[i + 4].v = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
  }

 private:
  // The mask of lanes [0, n).
  [[gnu::always_inline]] static __m256i First(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace sula::simd
