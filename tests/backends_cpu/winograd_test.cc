// Winograd: the generator's matrices, every form on every instruction set, and its error.
#include "backends/cpu/kernels/winograd/winograd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends_cpu/conv_check.h"
#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

std::string Describe(const WinogradAxis& a) {
  return StrCat(a.transposed ? "transposed " : "", "F(", a.n, ", ", a.r, "), stride ", a.stride,
                ", shift ", a.shift);
}
std::string Describe(const WinogradForm& f) {
  return StrCat(Describe(f.rows), " x ", Describe(f.columns));
}

TEST(WinogradGenerator, MatricesAreExact) {
  for (int n = 1; n <= 10; ++n) {
    for (int r = 1; n + r - 1 <= kMaxWinogradSize; ++r) {
      const WinogradAxis axis{n, r};
      const WinogradMatrices m = MatricesOf(axis);
      EXPECT_TRUE(IsExact(axis, m)) << Describe(axis);
    }
  }
  WinogradMatrices wrong = CookToom(4, 3);
  wrong.g[1][1] = wrong.g[1][1] + Rational(1);
  EXPECT_FALSE(IsExact({4, 3}, wrong));
  EXPECT_FALSE(CookToom(11, 3).valid);
}

TEST(WinogradGenerator, StridesAndTransposedFilters) {
  int checked = 0;
  for (int stride : {2, 3})
    for (int n = 1; n <= 4; ++n)
      for (int r = 1; r <= 6; ++r)
        for (bool transposed : {false, true})
          for (int shift = 0; shift < (transposed ? stride : 1); ++shift) {
            const WinogradAxis axis{n, r, stride, transposed, shift};
            if (axis.products() > kMaxWinogradSize || axis.inputs() > kMaxWinogradSize ||
                axis.outputs() > kMaxWinogradSize || (transposed && r < stride))
              continue;
            EXPECT_TRUE(IsExact(axis, MatricesOf(axis))) << Describe(axis);
            ++checked;
          }
  EXPECT_GT(checked, 60);
  EXPECT_FALSE(MatricesOf({2, 1, 2, true}).valid) << "outputs without taps";
}

// The transforms that run hold dyadic numbers that are exact in float.
TEST(WinogradGenerator, TransformsAreExactInFloat) {
  for (const WinogradAxis& axis : kWinogradAxes) {
    const WinogradMatrices m = MatricesOf(axis);
    EXPECT_TRUE(IsExact(axis, m)) << Describe(axis);
    for (const WinogradMatrix* matrix : {&m.at, &m.bt})
      for (const auto& row : *matrix)
        for (const Rational& x : row)
          EXPECT_EQ(static_cast<float>(x.ToDouble()), x.ToDouble()) << Describe(axis);
  }
}

// The figures of the published analysis of these point sets.
TEST(Winograd, NoiseGain) {
  EXPECT_NEAR(NoiseGain(WinogradForm{{2, 3}, {2, 3}}), 1.67, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{{4, 3}, {4, 3}}), 4.78, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{{6, 3}, {6, 3}}), 20.6, .1);
  EXPECT_NEAR(NoiseGain(WinogradForm{{2, 5}, {2, 5}}), 5.39, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{{1, 1}, {2, 7}}), 4.98, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{{1, 1}, {6, 7}}), 24.2, .1);
}

void CheckForm(const Case& c, const WinogradForm& form, int64_t depth = 1 << 20) {
  // Noise that direct summation would have, times the gain of this form.
  CheckConv(
      c,
      [&](const ConvSpec& spec, const float* weights, const float* bias, const Machine& machine) {
        return Winograd::Make(spec, form, depth, weights, bias, machine);
      },
      false, std::max(1., NoiseGain(form)));
}

TEST(Winograd, Forms) {
  for (const WinogradForm& form : kWinogradForms) {
    SCOPED_TRACE(Describe(form));
    const WinogradAxis &r = form.rows, &c = form.columns;
    auto window = [&](int64_t h, int64_t w, Axes pad, Axes pad_end) {
      return MakeWindow({1, h, w}, {1, r.r, c.r}, {1, r.stride, c.stride}, {1, 1, 1}, pad, pad_end);
    };
    const Epilogue relu6{0, 6}, swish{.curve = Curve::kSwish, .a = 1};
    const Axes half = {0, r.r / 2, c.r / 2};
    CheckForm({{1, 16, 32, 1, window(14, 13, half, half)}}, form);
    CheckForm({{2, 7, 19, 1, window(9, 11, half, {0, 0, 0}), relu6}, 3, true}, form);
    CheckForm({{1, 33, 5, 1, window(7, 7, {0, 0, 0}, half), swish}, 1, true}, form);
    CheckForm({{1, 3, 4, 1, window(1, 2, {0, 3, 4}, {0, 5, 4})}}, form);
    CheckForm({{1, 4, 8, 1, window(61, 57, half, half)}}, form);
    CheckForm({{1, 36, 40, 1, window(13, 17, half, half)}}, form,
              16);  // two blocks of channels, three partial sums
  }
}

// Calls fn(tap, input pixel) for the taps of output pixel o of a transposed convolution.
template <class Fn>
void ForTransposedTaps(const Window& w, int64_t o, Fn fn) {
  const int64_t oy = o / w.out[2], ox = o % w.out[2];
  for (int64_t ky = 0; ky < w.kernel[1]; ++ky) {
    for (int64_t kx = 0; kx < w.kernel[2]; ++kx) {
      const int64_t y = oy + w.pad[1] - ky, x = ox + w.pad[2] - kx;
      if (y < 0 || x < 0 || y % w.stride[1] != 0 || x % w.stride[2] != 0) continue;
      if (y / w.stride[1] >= w.in[1] || x / w.stride[2] >= w.in[2]) continue;
      fn(ky * w.kernel[2] + kx, y / w.stride[1] * w.in[2] + x / w.stride[2]);
    }
  }
}

// Largest and root-mean-square error of one form over normal data with `k` channels, relative to
// the largest output.
struct Errors {
  double largest = 0, rms = 0;
};
Errors MeasureError(const WinogradForm& form, int64_t k, int64_t depth) {
  constexpr int64_t kOut = 16, kSide = 12;
  ConvSpec spec;
  spec.in_channels = k, spec.out_channels = kOut;
  const WinogradAxis &r = form.rows, &c = form.columns;
  Window& w = spec.window;
  w.kernel = {1, r.r, c.r}, w.stride = {1, r.stride, c.stride};
  if (r.transposed) {
    w.in = {1, kSide / 2, kSide / 2}, w.pad = {0, r.shift, c.shift}, w.out = {1, kSide, kSide};
  } else {
    w.in = {1, (kSide - 1) * r.stride + r.r, (kSide - 1) * c.stride + c.r};
    w.out = {1, kSide, kSide};
  }
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  std::vector<float> in(static_cast<size_t>(w.in_pixels() * k));
  std::vector<float> weights(static_cast<size_t>(kOut * k * w.taps()));
  for (float& x : in) x = normal(rng);
  for (float& x : weights) x = normal(rng);
  const Result<Winograd> impl =
      Winograd::Make(spec, form, depth, weights.data(), nullptr, {BestTarget(), 1, 512 << 10});
  std::vector<float> out(static_cast<size_t>(w.out_pixels() * kOut));
  const AlignedBuffer workspace(impl->workspace_bytes());
  impl->Run({in.data(), k, out.data(), kOut, nullptr, 0, workspace.data()}, Parallel(1));
  // Weights as [tap][k][kOut], so that the sums of a pixel's channels are one loop.
  std::vector<double> by_tap(weights.size());
  for (int64_t m = 0; m < kOut; ++m)
    for (int64_t q = 0; q < k; ++q)
      for (int64_t t = 0; t < w.taps(); ++t) {
        const int64_t pair = r.transposed ? q * kOut + m : m * k + q;
        by_tap[static_cast<size_t>((t * k + q) * kOut + m)] =
            weights[static_cast<size_t>(pair * w.taps() + t)];
      }
  double largest = 0, top = 0, squares = 0;
  for (int64_t p = 0; p < w.out_pixels(); ++p) {
    double sums[kOut] = {};
    const auto add = [&](int64_t t, int64_t pixel) {
      for (int64_t q = 0; q < k; ++q)
        for (int64_t m = 0; m < kOut; ++m)
          sums[m] += in[static_cast<size_t>(pixel * k + q)] *
                     by_tap[static_cast<size_t>((t * k + q) * kOut + m)];
    };
    if (r.transposed) {
      ForTransposedTaps(w, p, add);
    } else {
      ForTaps(w, p, add);
    }
    for (int64_t m = 0; m < kOut; ++m) {
      const double error = std::abs(out[static_cast<size_t>(p * kOut + m)] - sums[m]);
      largest = std::max(largest, error), top = std::max(top, std::abs(sums[m]));
      squares += error * error;
    }
  }
  return {largest / top, std::sqrt(squares / static_cast<double>(out.size())) / top};
}

// What the choice of kernels relies on: no form errs more than its noise gain predicts, and the
// prediction is not idle.
void CheckError(const WinogradForm& form) {
  for (const auto& [k, depth] : {std::pair{8, 8}, {64, 64}, {256, 256}, {256, 32}}) {
    SCOPED_TRACE(testing::Message() << k << " channels by " << depth);
    const Errors e = MeasureError(form, k, depth);
    const double expected = ExpectedError(form, k, depth);
    EXPECT_LT(e.largest, 1.1 * expected);
    EXPECT_GT(e.largest, expected / 6);
    EXPECT_LT(e.rms, expected / 6);
    EXPECT_GT(e.rms, expected / 24);
  }
}

TEST(Winograd, ErrorsAreThosePredicted) {
  for (const WinogradForm& form : kWinogradForms) {
    SCOPED_TRACE(Describe(form));
    CheckError(form);
  }
  for (const WinogradForm& form : kWinogradTransposedForms) {
    SCOPED_TRACE(Describe(form));
    CheckError(form);
  }
}

TEST(Winograd, DepthWithin) {
  const WinogradForm f4{{4, 3}, {4, 3}}, f6{{6, 3}, {6, 3}};
  EXPECT_EQ(DepthWithin(f4, 512, 1e-5), 512);
  EXPECT_EQ(DepthWithin(f6, 512, 1e-5), 64) << "sums in parts keep the larger tile";
  EXPECT_EQ(DepthWithin(f6, 40, 1e-5), 40);
  EXPECT_EQ(DepthWithin(f6, 512, 3e-5), 512);
  EXPECT_EQ(DepthWithin(f6, 512, 2e-6), 0);
  EXPECT_EQ(DepthWithin(f4, 16, 1e-7), 0);
}

// Every transposed form through the operator, against its meaning.
TEST(Winograd, Transposed) {
  for (const WinogradForm& form : kWinogradTransposedForms) {
    const int r = form.rows.r;
    const std::string name = StrCat("winograd_", form.rows.n, "x", form.columns.n, "_", r, "x", r,
                                    "_s", form.rows.stride);
    for (const char* map : {"2,6,4,5", "1,19,7,9", "1,3,1,2"}) {
      for (const char* extra : {"", ", output_padding=[1,1]", ", pads=[1,1,0,1]"}) {
        const std::string_view shape(map);
        const auto comma = shape.find(',') + 1;
        const std::string_view k = shape.substr(comma, shape.find(',', comma) - comma);
        const bool own_pads = std::string_view(extra).find("pads") != std::string_view::npos;
        const std::string text = StrCat(
            "graph \"g\" {\ninput %x: float32[", map, "]\n const %w: float32[", k, ",11,", r, ",",
            r, "] = random(1)\n const %b: float32[11] = random(2)\n",
            "  %y = ConvTranspose(%x, %w, %b) {strides=[2,2]", own_pads ? "" : ", pads=[1,1,1,1]",
            extra, ", activation=\"leaky_relu\", activation_a=0.25}\n  output %y\n}\n");
        EXPECT_THAT(CheckKernels(text, {.absolute = 4 * kEps * (19 * 4 + 4), .only = name}),
                    testing::ElementsAre(name))
            << text;
      }
    }
  }
}

}  // namespace
}  // namespace sula::cpu
