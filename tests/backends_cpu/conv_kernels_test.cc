// Convolution and pooling kernels, in every variant the machine can run, against plain loops in
// double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/pool/pool.h"
#include "backends/cpu/kernels/winograd/winograd.h"

namespace sula::cpu {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();
constexpr float kGuard = 12345.f;  // between pixels and around maps: must not change

std::vector<float> Random(int64_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = uniform(rng);
  return v;
}

// A channel-last map with guards between its pixels.
struct Map {
  int64_t pixels, channels, stride;
  std::vector<float> data;
  Map(int64_t pixels, int64_t channels, int64_t stride, uint32_t seed)
      : pixels(pixels), channels(channels), stride(stride) {
    data.assign(static_cast<size_t>((pixels + 1) * stride), kGuard);
    const std::vector<float> values = Random(pixels * channels, seed);
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c)
        at(p, c) = values[static_cast<size_t>(p * channels + c)];
  }
  float& at(int64_t p, int64_t c) { return data[static_cast<size_t>(p * stride + c)]; }
  float at(int64_t p, int64_t c) const { return data[static_cast<size_t>(p * stride + c)]; }
  void CheckGuards() const {
    for (int64_t i = 0; i < static_cast<int64_t>(data.size()); ++i) {
      if (i / stride < pixels && i % stride < channels) continue;
      ASSERT_EQ(data[static_cast<size_t>(i)], kGuard) << "overwritten at " << i;
    }
  }
};

struct Case {
  ConvSpec spec;
  int64_t pad_channels = 0;  // stride beyond the channels
  bool residual = false;
};

Window MakeWindow(Axes in, Axes kernel, Axes stride, Axes dilation, Axes pad, Axes pad_end) {
  Window w{in, {}, kernel, stride, dilation, pad};
  for (size_t i = 0; i < 3; ++i)
    w.out[i] = (in[i] + pad[i] + pad_end[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1;
  return w;
}
Window Square(int64_t h, int64_t w, int64_t k, int64_t stride, int64_t dilation, int64_t pad,
              int64_t pad_end) {
  return MakeWindow({1, h, w}, {1, k, k}, {1, stride, stride}, {1, dilation, dilation},
                    {0, pad, pad}, {0, pad_end, pad_end});
}

double Act(double x, const Epilogue& e) {
  x = std::min<double>(std::max<double>(x, e.lo), e.hi);
  switch (e.curve) {
    case Curve::kNone: return x;
    case Curve::kLeakyRelu: return x < 0 ? e.a * x : x;
    case Curve::kSigmoid: return 1 / (1 + std::exp(-x));
    case Curve::kTanh: return std::tanh(x);
    case Curve::kHardSigmoid: return std::min(std::max(e.a * x + e.b, 0.), 1.);
    case Curve::kHardSwish: return x * std::min(std::max(x / 6 + .5, 0.), 1.);
    case Curve::kSwish: return x / (1 + std::exp(-e.a * x));
    case Curve::kGelu: return x * .5 * std::erfc(-x / std::sqrt(2.));
  }
  return x;
}

// Calls fn(tap, input pixel within the image) for the taps of output pixel o that lie inside.
template <class Fn>
void ForTaps(const Window& w, int64_t o, Fn fn) {
  const Axes at = {o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1], o % w.out[2]};
  for (int64_t t = 0; t < w.taps(); ++t) {
    const Axes k = {t / (w.kernel[1] * w.kernel[2]), t / w.kernel[2] % w.kernel[1],
                    t % w.kernel[2]};
    int64_t pixel = 0;
    bool inside = true;
    for (size_t i = 0; i < 3; ++i) {
      const int64_t x = at[i] * w.stride[i] + k[i] * w.dilation[i] - w.pad[i];
      inside &= x >= 0 && x < w.in[i];
      pixel = pixel * w.in[i] + x;
    }
    if (inside) fn(t, pixel);
  }
}

// Runs Impl on all targets with one and two threads. `tolerance`: absolute error of the sums in
// units of eps * K, K the number of products; inputs and weights are at most 1.
template <class Impl>
void Check(const Case& c, bool planar = false, double tolerance = 1) {
  const ConvSpec& s = c.spec;
  const Window& w = s.window;
  const int64_t k = s.in_channels / s.groups, n = s.out_channels / s.groups, taps = w.taps();
  const Map in(s.batch * w.in_pixels(), s.in_channels, s.in_channels + c.pad_channels, 1);
  std::vector<float> planes(static_cast<size_t>(s.batch * w.in_pixels() * s.in_channels));
  for (int64_t p = 0; p < in.pixels; ++p)
    for (int64_t ch = 0; ch < s.in_channels; ++ch) {
      const int64_t image = p / w.in_pixels(), at = p % w.in_pixels();
      planes[static_cast<size_t>((image * s.in_channels + ch) * w.in_pixels() + at)] = in.at(p, ch);
    }
  const std::vector<float> weights = Random(s.out_channels * k * taps, 2);
  const std::vector<float> bias = Random(s.out_channels, 3);
  const Map residual(s.batch * w.out_pixels(), s.out_channels, s.out_channels + 2 * c.pad_channels,
                     4);
  for (Target target : AvailableTargets()) {
    for (int threads : {1, 2}) {
      SCOPED_TRACE(testing::Message() << Name(target) << ", " << threads << " threads");
      Result<Impl> impl = Impl::Make(s, weights.data(), bias.data(), {target, threads, 512 << 10});
      ASSERT_TRUE(impl.has_value()) << impl.error().ToString();
      Map out(s.batch * w.out_pixels(), s.out_channels, s.out_channels + c.pad_channels, 5);
      size_t workspace_bytes = 0;
      if constexpr (requires { impl->workspace_bytes(); })
        workspace_bytes = impl->workspace_bytes();
      AlignedBuffer workspace(workspace_bytes);
      std::fill_n(workspace.as<float>(), workspace_bytes / 4,
                  std::numeric_limits<float>::quiet_NaN());
      ConvArgs args;
      args.in = planar ? planes.data() : in.data.data();
      args.in_stride = in.stride;
      args.out = out.data.data(), args.out_stride = out.stride;
      if (c.residual) args.residual = residual.data.data(), args.residual_stride = residual.stride;
      args.workspace = workspace.data();
      impl->Run(args, Parallel(threads));
      out.CheckGuards();
      const double allowed = tolerance * kEps * static_cast<double>(k * taps + 2);
      for (int64_t p = 0; p < out.pixels; ++p) {
        const int64_t image = p / w.out_pixels() * w.in_pixels();
        for (int64_t m = 0; m < s.out_channels; ++m) {
          double sum = bias[static_cast<size_t>(m)];
          ForTaps(w, p % w.out_pixels(), [&](int64_t t, int64_t pixel) {
            for (int64_t q = 0; q < k; ++q)
              sum += static_cast<double>(in.at(image + pixel, m / n * k + q)) *
                     weights[static_cast<size_t>((m * k + q) * taps + t)];
          });
          if (c.residual) sum += residual.at(p, m);
          const double want = Act(sum, s.epilogue);
          // Curves have slopes up to 1.1 and errors of their own of a few ulp.
          ASSERT_NEAR(out.at(p, m), want, 1.2 * allowed + 8 * kEps * std::abs(want))
              << "pixel " << p << " channel " << m;
        }
      }
    }
  }
}

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ConvGemm, ChannelCounts) {
  for (int64_t channels : {1, 3, 7, 16, 17, 24, 33, 58}) {
    SCOPED_TRACE(channels);
    Check<ConvGemm>({{1, channels, 59 - channels, 1, Square(5, 7, 1, 1, 1, 0, 0)}, 3});
    Check<ConvGemm>({{1, 59 - channels, channels, 1, Square(5, 4, 3, 1, 1, 1, 1)}, 5});
  }
}

TEST(ConvGemm, Windows) {
  Check<ConvGemm>({{2, 5, 19, 1, Square(9, 8, 3, 2, 1, 1, 0)}});
  Check<ConvGemm>({{1, 4, 8, 1, Square(11, 13, 3, 3, 2, 2, 1)}, 1});
  Check<ConvGemm>({{1, 4, 8, 1, Square(8, 9, 5, 1, 1, 2, 2)}});
  Check<ConvGemm>({{1, 4, 40, 1, Square(9, 9, 1, 2, 1, 0, 0)}});
  // Padding wider than the window: whole windows outside.
  Check<ConvGemm>({{1, 3, 5, 1, Square(3, 4, 2, 1, 1, 3, 3)}});
  Check<ConvGemm>(
      {{1, 6, 9, 1, MakeWindow({1, 5, 9}, {1, 1, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 3}, {0, 0, 3})}});
  Check<ConvGemm>(
      {{2, 6, 9, 1,
        MakeWindow({1, 1, 31}, {1, 1, 4}, {1, 1, 3}, {1, 1, 2}, {0, 0, 1}, {0, 0, 2})}});
  Check<ConvGemm>(
      {{2, 3, 9, 1, MakeWindow({4, 5, 6}, {3, 2, 3}, {2, 1, 1}, {1, 2, 1}, {1, 0, 2}, {1, 1, 0})}});
}

TEST(ConvGemm, Groups) {
  Check<ConvGemm>({{1, 12, 18, 3, Square(6, 5, 3, 1, 1, 1, 1)}, 2});
  Check<ConvGemm>({{1, 32, 32, 8, Square(6, 5, 3, 2, 1, 1, 1)}});
  Check<ConvGemm>({{2, 9, 27, 9, Square(4, 5, 3, 1, 1, 1, 1)}, 1});  // multiplier 3
  Check<ConvGemm>({{1, 66, 99, 3, Square(3, 4, 1, 1, 1, 0, 0)}});
}

TEST(ConvGemm, EpilogueAndResidual) {
  const Epilogue epilogues[] = {{0, kInf},
                                {0, 6},
                                {.curve = Curve::kLeakyRelu, .a = .1f},
                                {.curve = Curve::kSigmoid},
                                {.curve = Curve::kTanh},
                                {.curve = Curve::kHardSigmoid, .a = .2f, .b = .5f},
                                {.curve = Curve::kHardSwish},
                                {.curve = Curve::kSwish, .a = 1},
                                {.curve = Curve::kGelu}};
  for (const Epilogue& e : epilogues) {
    for (bool residual : {false, true}) {
      Check<ConvGemm>({{1, 5, 21, 1, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual});
      Check<ConvGemm>({{1, 5, 21, 1, Square(6, 5, 1, 1, 1, 0, 0), e}, 2, residual});
      Check<Depthwise>({{1, 21, 21, 21, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual});
      Check<ConvPlanar>({{1, 2, 21, 1, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual}, true);
    }
  }
}

TEST(ConvGemm, ManyTasks) {
  Check<ConvGemm>({{2, 24, 130, 1, Square(28, 27, 1, 1, 1, 0, 0)}});
  Check<ConvGemm>({{1, 40, 300, 1, Square(7, 7, 3, 1, 1, 1, 1)}});
}

TEST(ConvPlanar, Windows) {
  Check<ConvPlanar>({{1, 3, 32, 1, Square(17, 19, 3, 2, 1, 1, 1)}}, true);
  Check<ConvPlanar>({{2, 3, 17, 1, Square(20, 21, 7, 2, 1, 3, 3)}, 3}, true);
  Check<ConvPlanar>({{1, 1, 5, 1, Square(9, 8, 5, 1, 1, 2, 1)}}, true);
  Check<ConvPlanar>({{1, 4, 8, 1, Square(19, 23, 3, 3, 2, 2, 2)}}, true);
  Check<ConvPlanar>({{1, 3, 96, 1, Square(33, 35, 11, 4, 1, 2, 2)}}, true);
  Check<ConvPlanar>({{1, 3, 7, 1, Square(4, 3, 4, 1, 1, 5, 5)}}, true);
}

TEST(Depthwise, Windows) {
  for (int64_t channels : {1, 3, 16, 24, 33, 130}) {
    SCOPED_TRACE(channels);
    for (int64_t stride : {1, 2, 3}) {
      SCOPED_TRACE(stride);
      Check<Depthwise>({{2, channels, channels, channels, Square(9, 19, 3, stride, 1, 1, 1)}, 1});
      Check<Depthwise>({{1, channels, channels, channels, Square(8, 7, 5, stride, 1, 2, 2)}});
    }
  }
  Check<Depthwise>({{1, 20, 20, 20, Square(9, 10, 3, 1, 2, 2, 2)}});
  Check<Depthwise>({{1, 20, 20, 20, Square(3, 2, 3, 1, 1, 2, 2)}});  // all edge
  Check<Depthwise>({{1, 20, 20, 20, Square(3, 2, 3, 2, 1, 0, 3)}});
  Check<Depthwise>({{1, 20, 20, 20, Square(9, 10, 7, 1, 1, 3, 3)}});
  Check<Depthwise>(
      {{2, 5, 5, 5, MakeWindow({4, 5, 6}, {3, 2, 3}, {2, 1, 1}, {1, 2, 1}, {1, 0, 2}, {1, 1, 0})}});
}

// Winograd with its form as a type, so that it is made like the others.
template <int kForm>
struct WinogradOf : Winograd {
  explicit WinogradOf(Winograd w) : Winograd(std::move(w)) {}
  static Result<WinogradOf> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                 const Machine& machine) {
    ASSIGN_OR_RETURN(Winograd w, Winograd::Make(spec, kForm, weights, bias, machine));
    return WinogradOf(std::move(w));
  }
};

template <int kForm>
void CheckWinograd() {
  constexpr WinogradForm kF = kWinogradForms[kForm];
  auto window = [&](int64_t h, int64_t w, Axes pad, Axes pad_end) {
    return MakeWindow({1, h, w}, {1, kF.kernel_rows, kF.kernel_columns}, {1, 1, 1}, {1, 1, 1}, pad,
                      pad_end);
  };
  // Noise that direct summation would have, times the gain of this form.
  const double noise = NoiseGain(kF);
  const Epilogue relu6{0, 6}, swish{.curve = Curve::kSwish, .a = 1};
  const Axes half = {0, kF.kernel_rows / 2, kF.kernel_columns / 2};
  Check<WinogradOf<kForm>>({{1, 16, 32, 1, window(14, 13, half, half)}}, false, noise);
  Check<WinogradOf<kForm>>({{2, 7, 19, 1, window(9, 11, half, {0, 0, 0}), relu6}, 3, true}, false,
                           noise);
  Check<WinogradOf<kForm>>({{1, 33, 5, 1, window(7, 7, {0, 0, 0}, half), swish}, 1, true}, false,
                           noise);
  Check<WinogradOf<kForm>>({{1, 3, 4, 1, window(1, 2, {0, 3, 4}, {0, 5, 4})}}, false, noise);
  Check<WinogradOf<kForm>>({{1, 4, 8, 1, window(61, 57, half, half)}}, false, noise);
}

TEST(Winograd, Forms) {
  CheckWinograd<0>();
  CheckWinograd<1>();
  CheckWinograd<2>();
  CheckWinograd<3>();
  CheckWinograd<4>();
  CheckWinograd<5>();
  CheckWinograd<6>();
  CheckWinograd<7>();
}

TEST(Winograd, MatricesAreExact) {
  for (int n = 1; n <= 10; ++n) {
    for (int r = 1; n + r - 1 <= kMaxWinogradSize; ++r) {
      const WinogradMatrices m = CookToom(n, r);
      EXPECT_TRUE(m.valid && IsExact(m)) << "F(" << n << ", " << r << ")";
      // A^T and B^T hold dyadic numbers; those of the sizes in use are exact in float.
      if (m.size() > 8) continue;
      for (const WinogradMatrix* matrix : {&m.at, &m.bt})
        for (const auto& row : *matrix)
          for (const Rational& x : row) EXPECT_EQ(static_cast<float>(x.ToDouble()), x.ToDouble());
    }
  }
  WinogradMatrices wrong = CookToom(4, 3);
  wrong.g[1][1] = wrong.g[1][1] + Rational(1);
  EXPECT_FALSE(IsExact(wrong));
  EXPECT_FALSE(CookToom(11, 3).valid);
}

// The figures of the published analysis of these point sets.
TEST(Winograd, NoiseGain) {
  EXPECT_NEAR(NoiseGain(WinogradForm{2, 3, 2, 3}), 1.67, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{4, 3, 4, 3}), 4.78, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{6, 3, 6, 3}), 20.6, .1);
  EXPECT_NEAR(NoiseGain(WinogradForm{2, 5, 2, 5}), 5.39, .01);
  EXPECT_NEAR(NoiseGain(WinogradForm{1, 1, 2, 7}), 4.98, .01);
}

void CheckPool(const PoolCall& shape, int64_t pad_channels) {
  const Window& w = shape.window;
  const Map in(shape.batch * w.in_pixels(), shape.channels, shape.channels + pad_channels, 1);
  for (Target target : AvailableTargets()) {
    for (int threads : {1, 2}) {
      SCOPED_TRACE(testing::Message() << Name(target) << ", " << threads << " threads");
      Map out(shape.batch * w.out_pixels(), shape.channels, shape.channels + pad_channels, 2);
      PoolCall call = shape;
      call.in = in.data.data(), call.in_stride = in.stride;
      call.out = out.data.data(), call.out_stride = out.stride;
      RunPool(call, target, Parallel(threads));
      out.CheckGuards();
      for (int64_t p = 0; p < out.pixels; ++p) {
        const int64_t o = p % w.out_pixels(), image = p / w.out_pixels() * w.in_pixels();
        for (int64_t c = 0; c < shape.channels; ++c) {
          double sum = 0, top = -kInf;
          int64_t count = 0;
          ForTaps(w, o, [&](int64_t, int64_t pixel) {
            const float x = in.at(image + pixel, c);
            sum += x, top = std::max<double>(top, x), ++count;
          });
          if (call.kind == PoolKind::kMeanPadding) {
            const Axes at = {o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1], o % w.out[2]};
            count = 1;
            for (size_t i = 0; i < 3; ++i) {
              int64_t inside = 0;
              for (int64_t k = 0; k < w.kernel[i]; ++k)
                inside +=
                    at[i] * w.stride[i] + k * w.dilation[i] - w.pad[i] < w.in[i] + call.pad_end[i];
              count *= inside;
            }
          }
          const double want = call.kind == PoolKind::kMax ? top
                              : count                     ? sum / static_cast<double>(count)
                                                          : 0;
          // A mean's rounding: one eps per addition and two at the end, relative to the largest.
          const double allowed = call.kind == PoolKind::kMax ? 0 : kEps * (double(count) + 2);
          if (want == -kInf)
            ASSERT_EQ(out.at(p, c), want);
          else
            ASSERT_NEAR(out.at(p, c), want, allowed) << "pixel " << p << " channel " << c;
        }
      }
    }
  }
}

TEST(Pool, Windows) {
  for (PoolKind kind : {PoolKind::kMax, PoolKind::kMean, PoolKind::kMeanPadding}) {
    for (int64_t channels : {1, 17, 64, 259}) {
      PoolCall call;
      call.kind = kind;
      call.channels = channels;
      call.batch = 2;
      call.window = Square(9, 8, 3, 2, 1, 1, 1);
      call.pad_end = {0, 1, 1};
      CheckPool(call, 3);
      call.window = Square(7, 9, 2, 2, 1, 0, 1);
      call.pad_end = {0, 0, 0};  // as ceil_mode reaches behind the declared padding
      CheckPool(call, 0);
      call.window = Square(7, 9, 3, 1, 2, 2, 2);
      call.pad_end = {0, 2, 2};
      CheckPool(call, 0);
      call.window = MakeWindow({1, 1, 49}, {1, 1, 49}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0});
      call.pad_end = {0, 0, 0};
      CheckPool(call, 1);
    }
  }
}

}  // namespace
}  // namespace sula::cpu
