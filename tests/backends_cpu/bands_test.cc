// Kernels that compute several layers by bands of rows, in every variant the machine can run,
// against the kernels of the layers one after the other: the same sums in the same order, so the
// same bits.
#include "backends/cpu/kernels/bands/bands.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace sula::cpu {
namespace {

constexpr float kGuard = 12345.f;  // between pixels and around maps: must not change
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> Random(int64_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = uniform(rng);
  return v;
}

// Rows of `channels` values with guards between them.
std::vector<float> RandomMap(int64_t pixels, int64_t channels, int64_t stride, uint32_t seed) {
  const std::vector<float> values = Random(pixels * channels, seed);
  std::vector<float> map(static_cast<size_t>(pixels * stride), kGuard);
  for (int64_t p = 0; p < pixels; ++p)
    std::copy_n(values.begin() + p * channels, channels, map.begin() + p * stride);
  return map;
}

Window Square(int64_t h, int64_t w, int64_t k, int64_t stride, int64_t dilation, int64_t pad) {
  Window r;
  r.in = {1, h, w}, r.kernel = {1, k, k}, r.stride = {1, stride, stride};
  r.dilation = {1, dilation, dilation}, r.pad = {0, pad, pad};
  for (size_t i = 1; i < 3; ++i)
    r.out[i] = (r.in[i] + 2 * pad - (k - 1) * dilation - 1) / stride + 1;
  return r;
}
Window Pointwise(const Window& of) { return Square(of.out[1], of.out[2], 1, 1, 1, 0); }

// A convolution with random weights.
struct Layer {
  ConvSpec spec;
  std::vector<float> weights, bias;
  bool planar = false;

  Layer(ConvSpec s, uint32_t seed, bool planar = false)
      : spec(s),
        weights(Random(s.out_channels * s.in_channels / s.groups * s.window.taps(), seed)),
        bias(Random(s.out_channels, seed + 1)),
        planar(planar) {
    for (float& w : weights) w *= 0.2f;
    spec.epilogue.lo = -0.5f, spec.epilogue.hi = 1.5f;
  }
  BandConv conv() const { return {spec, weights.data(), bias.data(), planar}; }
};

template <class Impl>
void RunImpl(const Impl& impl, ConvArgs args, int threads) {
  AlignedBuffer workspace(impl.workspace_bytes() + 64);
  std::fill_n(workspace.as<float>(), workspace.bytes() / 4, kNan);
  args.workspace = workspace.data();
  impl.Run(args, Parallel(threads));
  for (size_t i = impl.workspace_bytes() / 4; i < workspace.bytes() / 4; ++i)
    ASSERT_TRUE(std::isnan(workspace.as<float>()[i])) << "wrote past the workspace";
}

// One layer by its own kernel: the output, without gaps.
std::vector<float> RunLayer(const Layer& layer, const float* in, int64_t in_stride,
                            const float* residual, int64_t residual_stride, Target target) {
  const ConvSpec& s = layer.spec;
  std::vector<float> out(static_cast<size_t>(s.batch * s.window.out_pixels() * s.out_channels));
  ConvArgs args{in, in_stride, out.data(), s.out_channels, residual, residual_stride};
  const Machine machine{target};
  const auto run = [&](auto impl) {
    ASSERT_TRUE(impl.has_value());
    RunImpl(*impl, args, 1);
  };
  if (layer.planar)
    run(ConvPlanar::Make(s, layer.weights.data(), layer.bias.data(), machine));
  else if (s.groups > 1)
    run(Depthwise::Make(s, layer.weights.data(), layer.bias.data(), machine));
  else
    run(ConvGemm::Make(s, layer.weights.data(), layer.bias.data(), machine));
  return out;
}

// Sizes of caches for which maps are one band, some, and a row each.
constexpr size_t kCaches[] = {4 << 10, 96 << 10, 1 << 20};

struct Case {
  int64_t batch = 1, height = 9, width = 11, in = 5, middle = 19, out = 13;
  int64_t kernel = 3, stride = 1, dilation = 1, pad = 1;
  int64_t more_rows = 0;  // of padding, above and below
  bool planar = false, first = true, last = true, residual = false;
  Curve curve = Curve::kNone;
};

void Check(const Case& c) {
  Window dw = Square(c.height, c.width, c.kernel, c.stride, c.dilation, c.pad);
  dw.pad[1] += c.more_rows, dw.out[1] += 2 * c.more_rows;  // strides of 1
  Window head = Pointwise(Square(c.height, c.width, 1, 1, 1, 0));
  if (c.planar) head = Square(2 * c.height, 2 * c.width, 3, 2, 1, 1);
  const int64_t channels_in = c.first ? c.in : c.middle;
  std::vector<Layer> layers;
  if (c.first) layers.push_back(Layer({c.batch, c.in, c.middle, 1, head, {}}, 1, c.planar));
  layers.push_back(Layer({c.batch, c.middle, c.middle, c.middle, dw, {}}, 3));
  layers.back().spec.epilogue.curve = c.curve;
  if (c.last) layers.push_back(Layer({c.batch, c.middle, c.out, 1, Pointwise(dw), {}}, 5));
  const int64_t out_channels = c.last ? c.out : c.middle;
  const int64_t in_pixels = c.batch * (c.first ? head : dw).in_pixels();
  const int64_t out_pixels = c.batch * dw.out_pixels();
  const int64_t in_stride = channels_in + 3, out_stride = out_channels + 5;
  const std::vector<float> in =
      c.planar ? Random(in_pixels * c.in, 7) : RandomMap(in_pixels, channels_in, in_stride, 7);
  const int64_t residual_stride = out_channels + 1;
  const std::vector<float> residual = RandomMap(out_pixels, out_channels, residual_stride, 8);

  for (Target target : AvailableTargets()) {
    std::vector<float> want = in;
    int64_t stride = in_stride;
    for (size_t i = 0; i < layers.size(); ++i) {
      const bool add = c.residual && i + 1 == layers.size();
      want = RunLayer(layers[i], want.data(), stride, add ? residual.data() : nullptr,
                      residual_stride, target);
      stride = layers[i].spec.out_channels;
    }
    for (size_t l2 : kCaches) {
      for (int threads : {1, 2, 3}) {
        SCOPED_TRACE(testing::Message()
                     << Name(target) << ", " << threads << " threads, " << l2 << " bytes of L2");
        std::optional<BandConv> first, last;
        if (c.first) first = layers[0].conv();
        if (c.last) last = layers.back().conv();
        const auto bands = DepthwiseBands::Make(first, layers[c.first ? 1 : 0].conv(), last,
                                                {target, threads, l2});
        ASSERT_TRUE(bands.has_value()) << bands.error().ToString();
        std::vector<float> got(static_cast<size_t>(out_pixels * out_stride), kGuard);
        ConvArgs args{in.data(), in_stride, got.data(), out_stride};
        if (c.residual) args.residual = residual.data(), args.residual_stride = residual_stride;
        RunImpl(*bands, args, threads);
        for (int64_t p = 0; p < out_pixels; ++p)
          for (int64_t ch = 0; ch < out_stride; ++ch)
            ASSERT_EQ(got[static_cast<size_t>(p * out_stride + ch)],
                      ch < out_channels ? want[static_cast<size_t>(p * out_channels + ch)] : kGuard)
                << "pixel " << p << ", channel " << ch;
      }
    }
  }
}

TEST(DepthwiseBands, InvertedResiduals) {
  Check({});
  Check({.residual = true});
  Check({.height = 13, .width = 7, .in = 24, .middle = 144, .out = 24, .residual = true});
  Check({.batch = 2, .height = 8, .width = 9, .in = 8, .middle = 96, .out = 16, .stride = 2});
  Check({.batch = 3,
         .height = 5,
         .width = 6,
         .in = 4,
         .middle = 70,
         .out = 33,
         .kernel = 5,
         .pad = 2});
  Check({.height = 12,
         .width = 12,
         .in = 7,
         .middle = 65,
         .out = 7,
         .kernel = 5,
         .stride = 2,
         .pad = 2,
         .curve = Curve::kHardSwish});
}

TEST(DepthwiseBands, UnusualWindows) {
  Check({.pad = 0});                                          // narrower than the map
  Check({.height = 10, .width = 10, .stride = 2, .pad = 0});  // that leaves the last column out
  Check({.height = 3, .width = 2, .more_rows = 3});           // rows of padding alone
  Check({.middle = 512, .more_rows = 4, .first = false});     // likewise, copied
  Check({.width = 13, .middle = 16, .pad = 1});
  Check({.height = 1, .width = 1, .pad = 2});  // windows that meet one pixel
  Check({.height = 5, .width = 1, .kernel = 5, .pad = 4});
  Check({.middle = 512, .first = false});  // copied
  Check({.height = 1, .width = 1});
}

TEST(DepthwiseBands, WithoutFirstOrLast) {
  Check({.height = 17, .middle = 130, .out = 40, .first = false});
  Check({.batch = 2, .middle = 64, .out = 20, .stride = 2, .first = false, .residual = true});
  Check({.height = 17, .middle = 50, .last = false});
  Check({.batch = 2, .middle = 130, .stride = 2, .last = false, .residual = true});
}

TEST(DepthwiseBands, PlanarEntry) {
  Check({.height = 14, .in = 3, .middle = 32, .out = 16, .planar = true});
  Check({.batch = 2, .height = 7, .in = 3, .middle = 17, .out = 9, .stride = 2, .planar = true});
  Check({.in = 3, .middle = 24, .planar = true, .last = false});
}

void CheckPool(int64_t batch, const ConvSpec& conv, const Window& pool, bool planar,
               PoolKind kind) {
  const Layer layer(conv, 1, planar);
  const int64_t in_stride = conv.in_channels + 2, channels = conv.out_channels;
  const int64_t in_pixels = batch * conv.window.in_pixels(), out_stride = channels + 3;
  const std::vector<float> in = planar ? Random(in_pixels * conv.in_channels, 7)
                                       : RandomMap(in_pixels, conv.in_channels, in_stride, 7);
  PoolCall call;
  call.kind = kind, call.window = pool, call.batch = batch, call.channels = channels;
  const int64_t out_pixels = batch * pool.out_pixels();
  for (Target target : AvailableTargets()) {
    const std::vector<float> map = RunLayer(layer, in.data(), in_stride, nullptr, 0, target);
    std::vector<float> want(static_cast<size_t>(out_pixels * out_stride), kGuard);
    PoolCall whole = call;
    whole.in = map.data(), whole.in_stride = channels;
    whole.out = want.data(), whole.out_stride = out_stride;
    RunPool(whole, target, Parallel(1));
    for (size_t l2 : kCaches) {
      for (int threads : {1, 2, 3}) {
        SCOPED_TRACE(testing::Message()
                     << Name(target) << ", " << threads << " threads, " << l2 << " bytes of L2");
        const auto bands = PoolBands::Make(layer.conv(), call, {target, threads, l2});
        ASSERT_TRUE(bands.has_value()) << bands.error().ToString();
        std::vector<float> got(want.size(), kGuard);
        RunImpl(*bands, {in.data(), in_stride, got.data(), out_stride}, threads);
        ASSERT_EQ(got, want);
      }
    }
  }
}

TEST(PoolBands, ConvolutionAndPool) {
  const Window conv = Square(19, 13, 3, 1, 1, 1);
  CheckPool(1, {1, 6, 21, 1, conv, {}}, Square(19, 13, 2, 2, 1, 0), false, PoolKind::kMax);
  CheckPool(2, {2, 6, 21, 1, conv, {}}, Square(19, 13, 3, 2, 1, 1), false, PoolKind::kMax);
  CheckPool(1, {1, 6, 21, 1, conv, {}}, Square(19, 13, 3, 1, 2, 2), false, PoolKind::kMean);
  CheckPool(1, {1, 6, 9, 1, conv, {}}, Square(19, 13, 1, 3, 1, 0), false, PoolKind::kMax);
}

TEST(PoolBands, PlanarInput) {
  const Window conv = Square(31, 27, 3, 2, 1, 1);
  CheckPool(1, {1, 3, 20, 1, conv, {}}, Square(16, 14, 3, 2, 1, 1), true, PoolKind::kMax);
  CheckPool(2, {2, 3, 20, 1, conv, {}}, Square(16, 14, 3, 2, 1, 0), true, PoolKind::kMax);
}

}  // namespace
}  // namespace sula::cpu
