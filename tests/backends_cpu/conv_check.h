// Checks kernels of convolution, in every variant the machine can run, against plain loops in
// double precision.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

inline constexpr double kEps = std::numeric_limits<float>::epsilon();
inline constexpr float kGuard = 12345.f;  // between pixels and around maps: must not change

inline std::vector<float> Random(int64_t n, uint32_t seed) {
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

inline Window MakeWindow(Axes in, Axes kernel, Axes stride, Axes dilation, Axes pad, Axes pad_end) {
  Window w{in, {}, kernel, stride, dilation, pad};
  for (size_t i = 0; i < 3; ++i)
    w.out[i] = (in[i] + pad[i] + pad_end[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1;
  return w;
}
inline Window Square(int64_t h, int64_t w, int64_t k, int64_t stride, int64_t dilation, int64_t pad,
                     int64_t pad_end) {
  return MakeWindow({1, h, w}, {1, k, k}, {1, stride, stride}, {1, dilation, dilation},
                    {0, pad, pad}, {0, pad_end, pad_end});
}

inline double Act(double x, const Epilogue& e) {
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

// Runs a kernel on all targets with one and two threads. `tolerance`: absolute error of the sums in
// units of eps * K, K the number of products; inputs and weights are at most 1.
// `make`: Make of the kernel.
template <class Make>
void CheckConv(const Case& c, Make make, bool planar = false, double tolerance = 1) {
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
  // The sums in double, before the epilogue.
  std::vector<double> sums(static_cast<size_t>(s.batch * w.out_pixels() * s.out_channels));
  for (int64_t p = 0; p < residual.pixels; ++p) {
    const int64_t image = p / w.out_pixels() * w.in_pixels();
    for (int64_t m = 0; m < s.out_channels; ++m) {
      double sum = bias[static_cast<size_t>(m)];
      ForTaps(w, p % w.out_pixels(), [&](int64_t t, int64_t pixel) {
        for (int64_t q = 0; q < k; ++q)
          sum += static_cast<double>(in.at(image + pixel, m / n * k + q)) *
                 weights[static_cast<size_t>((m * k + q) * taps + t)];
      });
      if (c.residual) sum += residual.at(p, m);
      sums[static_cast<size_t>(p * s.out_channels + m)] = sum;
    }
  }
  for (Target target : AvailableTargets()) {
    for (int threads : {1, 2}) {
      SCOPED_TRACE(testing::Message() << Name(target) << ", " << threads << " threads");
      auto impl = make(s, weights.data(), bias.data(), Machine{target, threads, 512 << 10});
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
        for (int64_t m = 0; m < s.out_channels; ++m) {
          const double want = Act(sums[static_cast<size_t>(p * s.out_channels + m)], s.epilogue);
          // Curves have slopes up to 1.1 and errors of their own of a few ulp.
          ASSERT_NEAR(out.at(p, m), want, 1.2 * allowed + 8 * kEps * std::abs(want))
              << "pixel " << p << " channel " << m;
        }
      }
    }
  }
}

}  // namespace sula::cpu
