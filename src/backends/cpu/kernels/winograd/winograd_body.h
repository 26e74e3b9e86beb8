// Winograd's transforms for one vector type V (a vector holds neighbouring channels). Their
// straight-line code derives from the generator's matrices at compile time. Include from one .cc
// per instruction set.
#pragma once

#include <array>
#include <utility>

#include "backends/cpu/kernels/epilogue_body.h"
#include "backends/cpu/kernels/winograd/passes.h"

namespace sula::cpu {

using WinogradRow = std::array<float, kMaxWinogradSize>;

// sum over i of Row::kC[i] * x[i], without work for zeros and ones. (The row is a type because g++
// 12 takes arrays for the same template argument if they differ in zeros between their elements.)
template <class V, class Row, int kCount>
[[gnu::always_inline]] inline V WinogradDot(const V* x) {
  constexpr const WinogradRow& kC = Row::kC;
  constexpr int kFirst = [] {
    for (int i = 0; i < kCount; ++i)
      if (kC[i] == 1) return i;
    for (int i = 0; i < kCount; ++i)
      if (kC[i] != 0) return i;
    return 0;
  }();
  V acc = x[kFirst];
  if constexpr (kC[kFirst] != 1) acc = acc * V::Set(kC[kFirst]);
  auto add = [&]<int kI>() __attribute__((always_inline)) {
    if constexpr (kI == kFirst || kC[kI] == 0) {
      return;
    } else if constexpr (kC[kI] == 1) {
      acc = acc + x[kI];
    } else if constexpr (kC[kI] == -1) {
      acc = acc - x[kI];
    } else {
      acc = Fma(V::Set(kC[kI]), x[kI], acc);
    }
  };
  [&]<int... kI>(std::integer_sequence<int, kI...>) __attribute__((always_inline)) {
    (add.template operator()<kI>(), ...);
  }
  (std::make_integer_sequence<int, kCount>());
  return acc;
}

// The code of one axis.
template <WinogradAxis kAxis>
struct WinogradCode {
  static constexpr int kInputs = kAxis.inputs(), kProducts = kAxis.products();
  static constexpr int kOutputs = kAxis.outputs();
  static constexpr WinogradMatrices kMatrices = MatricesOf(kAxis);
  static_assert(kMatrices.valid);

  static constexpr WinogradPairs kInputPairs = PairsOf(kMatrices.bt, true, kProducts, kInputs);
  static constexpr WinogradPairs kOutputPairs = PairsOf(kMatrices.at, false, kProducts, kOutputs);

  // (row a + sign * row b) / 2 of B^T.
  template <int kA, int kB, int kSign>
  struct Half {
    static constexpr WinogradRow kC = [] {
      WinogradRow r{};
      for (int c = 0; c < kInputs; ++c)
        r[c] = static_cast<float>(
            (kMatrices.bt[kA][c] + kMatrices.bt[kB][c] * Rational(kSign)).ToDouble() / 2);
      return r;
    }();
  };
  // Row kRow of A^T over products that stand alone and sums (first) and differences of pairs.
  template <int kRow>
  struct OutputRow {
    static constexpr WinogradRow kC = [] {
      WinogradRow r{};
      for (int i = 0; i < kProducts; ++i) {
        const Rational x = kMatrices.at[kRow][i];
        if (kOutputPairs[i] == 2) continue;
        const bool difference = kOutputPairs[i] == 1 && !(x == kMatrices.at[kRow][i + 1]);
        r[difference ? i + 1 : i] = static_cast<float>(x.ToDouble());
      }
      return r;
    }();
  };

  // o = B^T d
  template <class V>
  [[gnu::always_inline]] static void Input(const V (&d)[kInputs], V (&o)[kProducts]) {
    [&]<int... kI>(std::integer_sequence<int, kI...>) __attribute__((always_inline)) {
      (InputProduct<V, kI>(d, o), ...);
    }
    (std::make_integer_sequence<int, kProducts>());
  }
  // o = A^T m
  template <class V>
  [[gnu::always_inline]] static void Output(const V (&m)[kProducts], V (&o)[kOutputs]) {
    V s[kProducts];
#pragma GCC unroll 12
    for (int i = 0; i < kProducts; ++i) {
      if (kOutputPairs[i] == 0) s[i] = m[i];
      if (kOutputPairs[i] == 1) s[i] = m[i] + m[i + 1];
      if (kOutputPairs[i] == 2) s[i] = m[i - 1] - m[i];
    }
    [&]<int... kK>(std::integer_sequence<int, kK...>) __attribute__((always_inline)) {
      ((o[kK] = WinogradDot<V, OutputRow<kK>, kProducts>(s)), ...);
    }
    (std::make_integer_sequence<int, kOutputs>());
  }

 private:
  template <class V, int kI>
  [[gnu::always_inline]] static void InputProduct(const V (&d)[kInputs], V (&o)[kProducts]) {
    if constexpr (kInputPairs[kI] == 0) o[kI] = WinogradDot<V, Half<kI, kI, 1>, kInputs>(d);
    if constexpr (kInputPairs[kI] == 1) {
      const V even = WinogradDot<V, Half<kI, kI + 1, 1>, kInputs>(d);
      const V odd = WinogradDot<V, Half<kI, kI + 1, -1>, kInputs>(d);
      o[kI] = even + odd;
      o[kI + 1] = even - odd;
    }
  }
};

// `transform(d, o)` maps kFrom vectors to kTo.
template <class V, int kFrom, int kTo, class Transform>
[[gnu::always_inline]] inline void RunWinogradPass(const WinogradPass& pass, Transform transform) {
  const float* from[kFrom];
#pragma GCC unroll 12
  for (int e = 0; e < kFrom; ++e) from[e] = pass.from[e];
  float* to = pass.to;
  for (int64_t i = 0; i < pass.items; ++i) {
    for (int64_t c = 0; c < pass.channels; c += V::kLanes) {
      V d[kFrom], o[kTo];
      if (c + V::kLanes <= pass.channels) {
#pragma GCC unroll 12
        for (int e = 0; e < kFrom; ++e) d[e] = V::Load(from[e] + c);
      } else {
        const int rest = static_cast<int>(pass.channels - c);
#pragma GCC unroll 12
        for (int e = 0; e < kFrom; ++e) d[e] = V::LoadN(from[e] + c, rest);
      }
      transform(d, o);
#pragma GCC unroll 12
      for (int e = 0; e < kTo; ++e) o[e].Store(to + e * pass.to_element + c);
    }
#pragma GCC unroll 12
    for (int e = 0; e < kFrom; ++e) from[e] += pass.from_step;
    to += pass.to_step;
  }
}

template <class V, class Code>
void RunWinogradInput(const WinogradPass& pass) {
  RunWinogradPass<V, Code::kInputs, Code::kProducts>(
      pass, [](const V(&d)[Code::kInputs], V(&o)[Code::kProducts])
                __attribute__((always_inline)) { Code::Input(d, o); });
}

template <class V, class Code>
void RunWinogradOutput(const WinogradPass& pass) {
  RunWinogradPass<V, Code::kProducts, Code::kOutputs>(
      pass, [](const V(&d)[Code::kProducts], V(&o)[Code::kOutputs])
                __attribute__((always_inline)) { Code::Output(d, o); });
}

template <class V, class Code>
void RunWinogradFinal(const WinogradFinalPass& pass) {
  const V lo = V::Set(pass.epilogue->lo), hi = V::Set(pass.epilogue->hi);
  for (int64_t i = 0; i < pass.items; ++i) {
    const int64_t at = i * pass.from_step;
    for (int64_t c = 0; c < pass.channels; c += V::kLanes) {
      V m[Code::kProducts], o[Code::kOutputs];
#pragma GCC unroll 12
      for (int e = 0; e < Code::kProducts; ++e) m[e] = V::Load(pass.from[e] + at + c);
      Code::Output(m, o);
      const V bias = V::Load(pass.bias + c);
      const int64_t left = pass.channels - c;
      const int lanes = left < V::kLanes ? static_cast<int>(left) : V::kLanes;
      float* out = pass.out + i * pass.out_step + c;
      const float* residual = pass.residual ? pass.residual + i * pass.residual_step + c : nullptr;
#pragma GCC unroll 12
      for (int e = 0; e < Code::kOutputs; ++e) {
        if (e >= pass.outputs) break;
        V y = o[e] + bias;
        if (residual) {
          y += lanes == V::kLanes ? V::Load(residual) : V::LoadN(residual, lanes);
          residual += pass.residual_element;
        }
        y = Min(hi, Max(lo, y));
        if (lanes == V::kLanes) {
          y.Store(out);
        } else {
          y.StoreN(out, lanes);
        }
        out += pass.out_element;
      }
    }
    if (pass.epilogue->curve == Curve::kNone) continue;
    for (int e = 0; e < pass.outputs; ++e) {
      ApplyCurve<V>(pass.out + i * pass.out_step + e * pass.out_element, pass.channels,
                    *pass.epilogue);
    }
  }
}

// Doubles in as many bytes as a vector of floats, and half as many floats.
template <class V>
struct WinogradWide {
  static constexpr int kLanes = V::kLanes / 2;
  typedef double D __attribute__((vector_size(kLanes * 8)));
  typedef float F __attribute__((vector_size(kLanes * 4)));
};

template <class V>
void RunWinogradFilters(const WinogradFilterPass& pass) {
  using Wide = WinogradWide<V>;
  using D = typename Wide::D;
  const int rows = pass.rows->products, row_taps = pass.rows->taps;
  const int columns = pass.columns->products, column_taps = pass.columns->taps;
  const auto &g = pass.rows->g, &h = pass.columns->g;
  for (int64_t k = pass.k_begin; k < pass.k_end; ++k) {
    float* to = pass.to + (k - pass.k_begin) * pass.width;
    for (int c = 0; c < pass.width; c += Wide::kLanes, to += Wide::kLanes) {
      D w[WinogradFilterMatrix::kMaxTaps * WinogradFilterMatrix::kMaxTaps];
      const int taps = row_taps * column_taps;
      for (int lane = 0; lane < Wide::kLanes; ++lane) {
        const bool inside = c + lane < pass.num_columns;
        const float* from = pass.weights + (c + lane) * pass.column_stride + k * pass.k_stride;
        for (int t = 0; t < taps; ++t) w[t][lane] = inside ? from[t] : 0.f;
      }
      for (int i = 0; i < rows; ++i) {
        D s[WinogradFilterMatrix::kMaxTaps];  // row i of G w
        for (int b = 0; b < column_taps; ++b) {
          D sum = g[i][0] * w[b];
          for (int a = 1; a < row_taps; ++a) sum += g[i][a] * w[a * column_taps + b];
          s[b] = sum;
        }
        for (int j = 0; j < columns; ++j) {
          D sum = h[j][0] * s[0];
          for (int b = 1; b < column_taps; ++b) sum += h[j][b] * s[b];
          const typename Wide::F u = __builtin_convertvector(sum, typename Wide::F);
          __builtin_memcpy(to + (i * columns + j) * pass.to_position, &u, sizeof u);
        }
      }
    }
  }
}

// Without a stride B^T depends on the points alone, so axes with as many products share its code.
constexpr WinogradAxis InputAxis(const WinogradAxis& axis) {
  return axis.stride == 1 ? WinogradAxis{axis.products(), 1} : axis;
}

template <class V>
constexpr WinogradKernels MakeWinogradKernels() {
  return []<int... kI>(std::integer_sequence<int, kI...>) {
    constexpr auto& kA = kWinogradAxes;
    return WinogradKernels{V::kLanes,
                           {RunWinogradInput<V, WinogradCode<InputAxis(kA[kI])>>...},
                           {RunWinogradOutput<V, WinogradCode<kA[kI]>>...},
                           {RunWinogradFinal<V, WinogradCode<kA[kI]>>...},
                           RunWinogradFilters<V>};
  }
  (std::make_integer_sequence<int, kNumWinogradAxes>());
}

}  // namespace sula::cpu
