// 16 lanes in AVX-512 (F, BW, DQ, VL) registers. The interface is described in portable.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sula::simd {

struct Avx512 {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  __m512 v;

  struct Mask {
    __mmask16 m;
    [[gnu::always_inline]] friend Mask operator&(Mask a, Mask b) {
      return {_kand_mask16(a.m, b.m)};
    }
    [[gnu::always_inline]] friend Mask operator|(Mask a, Mask b) { return {_kor_mask16(a.m, b.m)}; }
    [[gnu::always_inline]] friend Mask operator~(Mask a) { return {_knot_mask16(a.m)}; }
    [[gnu::always_inline]] friend bool Any(Mask a) { return a.m != 0; }
    [[gnu::always_inline]] friend bool All(Mask a) { return a.m == 0xffff; }
  };

  struct Int {
    __m512i v;
    [[gnu::always_inline]] static Int Load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
    [[gnu::always_inline]] static Int LoadN(const int32_t* p, int n) {
      return {_mm512_maskz_loadu_epi32(First(n), p)};
    }
    [[gnu::always_inline]] static Int Set(int32_t x) { return {_mm512_set1_epi32(x)}; }
    [[gnu::always_inline]] void Store(int32_t* p) const { _mm512_storeu_si512(p, v); }
    [[gnu::always_inline]] void StoreN(int32_t* p, int n) const {
      _mm512_mask_storeu_epi32(p, First(n), v);
    }
    [[gnu::always_inline]] friend Int operator+(Int a, Int b) {
      return {_mm512_add_epi32(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator-(Int a, Int b) {
      return {_mm512_sub_epi32(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator*(Int a, Int b) {
      return {_mm512_mullo_epi32(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator&(Int a, Int b) {
      return {_mm512_and_si512(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator|(Int a, Int b) {
      return {_mm512_or_si512(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Int operator^(Int a, Int b) {
      return {_mm512_xor_si512(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Mask operator>(Int a, Int b) {
      return {_mm512_cmpgt_epi32_mask(a.v, b.v)};
    }
    [[gnu::always_inline]] friend Mask operator==(Int a, Int b) {
      return {_mm512_cmpeq_epi32_mask(a.v, b.v)};
    }
    template <int kBits>
    [[gnu::always_inline]] friend Int ShiftLeft(Int a) {
      return {_mm512_slli_epi32(a.v, kBits)};
    }
    template <int kBits>
    [[gnu::always_inline]] friend Int ShiftRight(Int a) {
      return {_mm512_srai_epi32(a.v, kBits)};
    }
    [[gnu::always_inline]] friend Int Select(Mask m, Int a, Int b) {
      return {_mm512_mask_blend_epi32(m.m, b.v, a.v)};
    }
    [[gnu::always_inline]] friend Avx512 ToFloat(Int a) { return {_mm512_cvtepi32_ps(a.v)}; }
    [[gnu::always_inline]] friend Avx512 AsFloat(Int a) { return {_mm512_castsi512_ps(a.v)}; }
  };

  [[gnu::always_inline]] static Avx512 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
  [[gnu::always_inline]] static Avx512 LoadN(const float* p, int n) {
    return {_mm512_maskz_loadu_ps(First(n), p)};
  }
  [[gnu::always_inline]] static Avx512 Set(float x) { return {_mm512_set1_ps(x)}; }
  [[gnu::always_inline]] static Avx512 Zero() { return {_mm512_setzero_ps()}; }
  [[gnu::always_inline]] void Store(float* p) const { _mm512_storeu_ps(p, v); }
  [[gnu::always_inline]] void StoreN(float* p, int n) const {
    _mm512_mask_storeu_ps(p, First(n), v);
  }
  [[gnu::always_inline]] void AddProduct(Avx512 a, Avx512 b) {
    asm("vfmadd231ps %2, %1, %0" : "+v"(v) : "v"(a.v), "v"(b.v));
  }
  [[gnu::always_inline]] void Pin() { asm("" : "+v"(v)); }

  [[gnu::always_inline]] friend Avx512 operator+(Avx512 a, Avx512 b) {
    return {_mm512_add_ps(a.v, b.v)};
  }
  [[gnu::always_inline]] friend Avx512 operator-(Avx512 a, Avx512 b) {
    return {_mm512_sub_ps(a.v, b.v)};
  }
  [[gnu::always_inline]] friend Avx512 operator*(Avx512 a, Avx512 b) {
    return {_mm512_mul_ps(a.v, b.v)};
  }
  [[gnu::always_inline]] friend Avx512 operator/(Avx512 a, Avx512 b) {
    return {_mm512_div_ps(a.v, b.v)};
  }
  [[gnu::always_inline]] friend Avx512 operator-(Avx512 a) {
    return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.f))};
  }
  [[gnu::always_inline]] Avx512& operator+=(Avx512 b) { return *this = *this + b; }
  [[gnu::always_inline]] Avx512& operator-=(Avx512 b) { return *this = *this - b; }
  [[gnu::always_inline]] Avx512& operator*=(Avx512 b) { return *this = *this * b; }
  [[gnu::always_inline]] friend Avx512 Fma(Avx512 a, Avx512 b, Avx512 c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
  }
  [[gnu::always_inline]] friend Avx512 Fnma(Avx512 a, Avx512 b, Avx512 c) {
    return {_mm512_fnmadd_ps(a.v, b.v, c.v)};
  }
  [[gnu::always_inline]] friend Avx512 Max(Avx512 a, Avx512 b) { return {_mm512_max_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx512 Min(Avx512 a, Avx512 b) { return {_mm512_min_ps(a.v, b.v)}; }
  [[gnu::always_inline]] friend Avx512 Abs(Avx512 a) { return {_mm512_abs_ps(a.v)}; }
  [[gnu::always_inline]] friend Avx512 CopySign(Avx512 a, Avx512 s) {
    const __m512 sign = _mm512_set1_ps(-0.f);
    return {_mm512_or_ps(_mm512_andnot_ps(sign, a.v), _mm512_and_ps(sign, s.v))};
  }
  [[gnu::always_inline]] friend Avx512 Sqrt(Avx512 a) { return {_mm512_sqrt_ps(a.v)}; }
  [[gnu::always_inline]] friend Avx512 Floor(Avx512 a) { return {Rounded<1>(a.v)}; }
  [[gnu::always_inline]] friend Avx512 Ceil(Avx512 a) { return {Rounded<2>(a.v)}; }
  [[gnu::always_inline]] friend Avx512 Trunc(Avx512 a) { return {Rounded<3>(a.v)}; }
  [[gnu::always_inline]] friend Avx512 Round(Avx512 a) { return {Rounded<0>(a.v)}; }
  [[gnu::always_inline]] friend Mask operator<(Avx512 a, Avx512 b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
  }
  [[gnu::always_inline]] friend Mask operator<=(Avx512 a, Avx512 b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
  }
  [[gnu::always_inline]] friend Mask operator>(Avx512 a, Avx512 b) { return b < a; }
  [[gnu::always_inline]] friend Mask operator>=(Avx512 a, Avx512 b) { return b <= a; }
  [[gnu::always_inline]] friend Mask operator==(Avx512 a, Avx512 b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
  }
  [[gnu::always_inline]] friend Mask operator!=(Avx512 a, Avx512 b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)};
  }
  [[gnu::always_inline]] friend Mask IsNaN(Avx512 a) {
    return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)};
  }
  [[gnu::always_inline]] friend Avx512 Select(Mask m, Avx512 a, Avx512 b) {
    return {_mm512_mask_blend_ps(m.m, b.v, a.v)};
  }
  [[gnu::always_inline]] friend Int ToInt(Avx512 a) { return {_mm512_cvtps_epi32(a.v)}; }
  [[gnu::always_inline]] friend Int TruncToInt(Avx512 a) { return {_mm512_cvttps_epi32(a.v)}; }
  [[gnu::always_inline]] friend Int AsInt(Avx512 a) { return {_mm512_castps_si512(a.v)}; }
  [[gnu::always_inline]] friend float ReduceAdd(Avx512 a) { return _mm512_reduce_add_ps(a.v); }
  [[gnu::always_inline]] friend float ReduceMax(Avx512 a) { return _mm512_reduce_max_ps(a.v); }
  [[gnu::always_inline]] friend float ReduceMin(Avx512 a) { return _mm512_reduce_min_ps(a.v); }
  // Pairs, then pairs of pairs within the 128-bit quarters, then the quarters in two steps.
  [[gnu::always_inline]] friend void Transpose(Avx512 (&r)[16]) {
    __m512 t[16];
    for (int i = 0; i < 8; ++i) {
      t[2 * i] = _mm512_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
      t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
    }
    for (int g = 0; g < 16; g += 4) {  // r[g + j]: column j of every quarter, rows g..g+3
      for (int i = 0; i < 2; ++i) {
        r[g + 2 * i].v = _mm512_shuffle_ps(t[g + i], t[g + 2 + i], 0x44);
        r[g + 2 * i + 1].v = _mm512_shuffle_ps(t[g + i], t[g + 2 + i], 0xee);
      }
    }
    for (int j = 0; j < 4; ++j) {
      t[j] = _mm512_shuffle_f32x4(r[j].v, r[4 + j].v, 0x88);      // quarters 0, 2
      t[4 + j] = _mm512_shuffle_f32x4(r[j].v, r[4 + j].v, 0xdd);  // quarters 1, 3
      t[8 + j] = _mm512_shuffle_f32x4(r[8 + j].v, r[12 + j].v, 0x88);
      t[12 + j] = _mm512_shuffle_f32x4(r[8 + j].v, r[12 + j].v, 0xdd);
    }
    for (int j = 0; j < 4; ++j) {
      r[j].v = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
      r[8 + j].v = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xdd);
      r[4 + j].v = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0x88);
      r[12 + j].v = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0xdd);
    }
  }

 private:
  // The mask of lanes [0, n).
  [[gnu::always_inline]] static __mmask16 First(int n) {
    return static_cast<__mmask16>((1u << n) - 1);
  }
  // 0: to nearest even, 1: down, 2: up, 3: toward zero.
  template <int kMode>
  [[gnu::always_inline]] static __m512 Rounded(__m512 x) {
    return _mm512_roundscale_ps(x, kMode | _MM_FROUND_NO_EXC);
  }
};

}  // namespace sula::simd
