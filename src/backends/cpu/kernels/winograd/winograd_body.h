// Winograd's transforms for one vector type V (a vector holds neighbouring channels). Their
// straight-line code derives from the generator's matrices at compile time. Include from one .cc
// per instruction set.
#pragma once

#include <array>
#include <utility>

#include "backends/cpu/kernels/epilogue_body.h"
#include "backends/cpu/kernels/winograd/winograd.h"

namespace sula::cpu {

using WinogradRow = std::array<float, kMaxWinogradSize>;

// sum over i of kC[i] * x[i], without work for zeros and ones.
template <class V, WinogradRow kC, int kCount>
[[gnu::always_inline]] inline V WinogradDot(const V* x) {
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

// The transforms of F(kN, kR) along one axis.
template <int kN, int kR>
struct WinogradAxis {
  static constexpr int kOutputs = kN;
  static constexpr int kSize = kN + kR - 1;
  static constexpr WinogradMatrices kMatrices = CookToom(kN, kR);
  static_assert(kMatrices.valid);
  // The points: perhaps zero, pairs p and -p, infinity (generator.h).
  static constexpr int kPairs = (kSize - 1) / 2;
  static constexpr int kZero = (kSize - 1) % 2;

  // (row a + sign * row b) / 2 of B^T. The rows of p and -p are a polynomial's even part plus and
  // minus its odd part, so half of the result is zeros.
  static constexpr WinogradRow Half(int a, int b, int sign) {
    WinogradRow r{};
    for (int c = 0; c < kSize; ++c)
      r[c] = static_cast<float>(
          (kMatrices.bt[a][c] + kMatrices.bt[b][c] * Rational(sign)).ToDouble() / 2);
    return r;
  }
  // Row k of A^T over the values zero point, pair sums or differences, infinity.
  static constexpr WinogradRow OutputRow(int k) {
    WinogradRow r{};
    if (kZero) r[0] = static_cast<float>(kMatrices.at[k][0].ToDouble());
    for (int p = 0; p < kPairs; ++p)
      r[kZero + p] = static_cast<float>(kMatrices.at[k][kZero + 2 * p].ToDouble());
    r[kZero + kPairs] = static_cast<float>(kMatrices.at[k][kSize - 1].ToDouble());
    return r;
  }

  // o = B^T d
  template <class V>
  [[gnu::always_inline]] static void Input(const V (&d)[kSize], V (&o)[kSize]) {
    if constexpr (kZero) o[0] = WinogradDot<V, Half(0, 0, 1), kSize>(d);
    [&]<int... kP>(std::integer_sequence<int, kP...>) __attribute__((always_inline)) {
      (InputPair<V, kZero + 2 * kP>(d, o), ...);
    }
    (std::make_integer_sequence<int, kPairs>());
    o[kSize - 1] = WinogradDot<V, Half(kSize - 1, kSize - 1, 1), kSize>(d);
  }
  // o = A^T m
  template <class V>
  [[gnu::always_inline]] static void Output(const V (&m)[kSize], V (&o)[kN]) {
    V even[kZero + kPairs + 1], odd[kZero + kPairs + 1];
    if constexpr (kZero) even[0] = odd[0] = m[0];
#pragma GCC unroll 6
    for (int p = 0; p < kPairs; ++p) {
      even[kZero + p] = m[kZero + 2 * p] + m[kZero + 2 * p + 1];
      odd[kZero + p] = m[kZero + 2 * p] - m[kZero + 2 * p + 1];
    }
    even[kZero + kPairs] = odd[kZero + kPairs] = m[kSize - 1];
    [&]<int... kK>(std::integer_sequence<int, kK...>) __attribute__((always_inline)) {
      ((o[kK] = WinogradDot<V, OutputRow(kK), kZero + kPairs + 1>(kK % 2 == 0 ? even : odd)), ...);
    }
    (std::make_integer_sequence<int, kN>());
  }

 private:
  template <class V, int kI>
  [[gnu::always_inline]] static void InputPair(const V (&d)[kSize], V (&o)[kSize]) {
    const V even = WinogradDot<V, Half(kI, kI + 1, 1), kSize>(d);
    const V odd = WinogradDot<V, Half(kI, kI + 1, -1), kSize>(d);
    o[kI] = even + odd;
    o[kI + 1] = even - odd;
  }
};

// One tile, `lanes` channels from `channel` on. pixels: where each pixel of the tile lies.
template <class V, class Rows, class Columns>
[[gnu::always_inline]] inline void TransformInput(const float* const* pixels, int64_t channel,
                                                  int lanes, float* v, int64_t plane) {
  V s[Rows::kSize][Columns::kSize];
#pragma GCC unroll 12
  for (int i = 0; i < Rows::kSize; ++i) {
    V d[Columns::kSize];
#pragma GCC unroll 12
    for (int j = 0; j < Columns::kSize; ++j) {
      const float* p = pixels[i * Columns::kSize + j] + channel;
      d[j] = lanes == V::kLanes ? V::Load(p) : V::LoadN(p, lanes);
    }
    Columns::Input(d, s[i]);
  }
#pragma GCC unroll 12
  for (int j = 0; j < Columns::kSize; ++j) {
    V d[Rows::kSize], o[Rows::kSize];
#pragma GCC unroll 12
    for (int i = 0; i < Rows::kSize; ++i) d[i] = s[i][j];
    Rows::Input(d, o);
#pragma GCC unroll 12
    for (int i = 0; i < Rows::kSize; ++i) o[i].Store(v + (i * Columns::kSize + j) * plane);
  }
}

template <class V, class Rows, class Columns>
void RunWinogradInput(const WinogradCall& call, int64_t tile_begin, int64_t tile_end) {
  const Window& w = *call.window;
  for (int64_t t = tile_begin; t < tile_end; ++t) {
    const int64_t y0 = t / call.tile_columns % call.tile_rows * Rows::kOutputs - w.pad[1];
    const int64_t x0 = t % call.tile_columns * Columns::kOutputs - w.pad[2];
    const int64_t image = t / (call.tile_columns * call.tile_rows);
    const float* pixels[Rows::kSize * Columns::kSize];
    const bool all_inside =
        y0 >= 0 && y0 + Rows::kSize <= w.in[1] && x0 >= 0 && x0 + Columns::kSize <= w.in[2];
    for (int i = 0; i < Rows::kSize; ++i) {
      const int64_t y = y0 + i;
      const float* row = call.in + ((image * w.in[1] + y) * w.in[2] + x0) * call.in_stride;
      const float** to = pixels + i * Columns::kSize;
      if (all_inside) {
#pragma GCC unroll 12
        for (int j = 0; j < Columns::kSize; ++j) to[j] = row + j * call.in_stride;
        continue;
      }
      for (int j = 0; j < Columns::kSize; ++j) {
        const bool inside = y >= 0 && y < w.in[1] && x0 + j >= 0 && x0 + j < w.in[2];
        to[j] = inside ? row + j * call.in_stride : call.zeros;
      }
    }
    float* v = call.v + (t - call.first_tile) * call.v_stride;
    int64_t c = 0;
    for (; c + V::kLanes <= call.in_channels; c += V::kLanes)
      TransformInput<V, Rows, Columns>(pixels, c, V::kLanes, v + c, call.v_plane);
    if (c < call.in_channels) {
      TransformInput<V, Rows, Columns>(pixels, c, static_cast<int>(call.in_channels - c), v + c,
                                       call.v_plane);
    }
  }
}

// One tile, `lanes` channels; rows x columns outputs lie inside the map.
template <class V, class Rows, class Columns>
[[gnu::always_inline]] inline void TransformOutput(const WinogradCall& call, const float* m, V bias,
                                                   int64_t rows, int64_t columns, float* out,
                                                   const float* residual, int lanes) {
  const int64_t width = call.window->out[2];
  const V lo = V::Set(call.epilogue.lo), hi = V::Set(call.epilogue.hi);
  V s[Rows::kOutputs][Columns::kSize];
#pragma GCC unroll 12
  for (int j = 0; j < Columns::kSize; ++j) {
    V d[Rows::kSize], o[Rows::kOutputs];
#pragma GCC unroll 12
    for (int i = 0; i < Rows::kSize; ++i)
      d[i] = V::Load(m + (i * Columns::kSize + j) * call.m_plane);
    Rows::Output(d, o);
#pragma GCC unroll 12
    for (int i = 0; i < Rows::kOutputs; ++i) s[i][j] = o[i];
  }
#pragma GCC unroll 12
  for (int i = 0; i < Rows::kOutputs; ++i) {
    if (i >= rows) break;
    V o[Columns::kOutputs];
    Columns::Output(s[i], o);
#pragma GCC unroll 12
    for (int j = 0; j < Columns::kOutputs; ++j) {
      if (j >= columns) break;
      const int64_t pixel = i * width + j;
      V y = o[j] + bias;
      if (residual) {
        const float* r = residual + pixel * call.residual_stride;
        y += lanes == V::kLanes ? V::Load(r) : V::LoadN(r, lanes);
      }
      y = Min(hi, Max(lo, y));
      float* to = out + pixel * call.out_stride;
      if (lanes == V::kLanes) {
        y.Store(to);
      } else {
        y.StoreN(to, lanes);
      }
    }
  }
  if (call.epilogue.curve == Curve::kNone) return;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      ApplyCurve<V>(out + (i * width + j) * call.out_stride, lanes, call.epilogue);
}

template <class V, class Rows, class Columns>
void RunWinogradOutput(const WinogradCall& call, int64_t tile_begin, int64_t tile_end) {
  const Window& w = *call.window;
  for (int64_t t = tile_begin; t < tile_end; ++t) {
    const int64_t y0 = t / call.tile_columns % call.tile_rows * Rows::kOutputs;
    const int64_t x0 = t % call.tile_columns * Columns::kOutputs;
    const int64_t image = t / (call.tile_columns * call.tile_rows);
    const int64_t rows = w.out[1] - y0 < Rows::kOutputs ? w.out[1] - y0 : Rows::kOutputs;
    const int64_t columns = w.out[2] - x0 < Columns::kOutputs ? w.out[2] - x0 : Columns::kOutputs;
    const int64_t pixel = (image * w.out[1] + y0) * w.out[2] + x0;
    const float* m = call.m + (t - call.first_tile) * call.m_stride;
    float* out = call.out + pixel * call.out_stride;
    const float* residual = call.residual ? call.residual + pixel * call.residual_stride : nullptr;
    int64_t c = 0;
    for (; c + V::kLanes <= call.out_channels; c += V::kLanes) {
      TransformOutput<V, Rows, Columns>(call, m + c, V::Load(call.bias + c), rows, columns, out + c,
                                        residual ? residual + c : nullptr, V::kLanes);
    }
    if (c < call.out_channels) {
      TransformOutput<V, Rows, Columns>(call, m + c, V::Load(call.bias + c), rows, columns, out + c,
                                        residual ? residual + c : nullptr,
                                        static_cast<int>(call.out_channels - c));
    }
  }
}

template <class V>
constexpr WinogradKernels MakeWinogradKernels() {
  return []<int... kI>(std::integer_sequence<int, kI...>) {
    constexpr auto& kF = kWinogradForms;
    return WinogradKernels{
        {RunWinogradInput<V, WinogradAxis<kF[kI].rows, kF[kI].kernel_rows>,
                          WinogradAxis<kF[kI].columns, kF[kI].kernel_columns>>...},
        {RunWinogradOutput<V, WinogradAxis<kF[kI].rows, kF[kI].kernel_rows>,
                           WinogradAxis<kF[kI].columns, kF[kI].kernel_columns>>...}};
  }
  (std::make_integer_sequence<int, kNumWinogradForms>());
}

}  // namespace sula::cpu
