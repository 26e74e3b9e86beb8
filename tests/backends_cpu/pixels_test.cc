// Pictures to floats: every variant the machine can run against the operator's meaning.
#include "backends/cpu/kernels/pixels/pixels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "backends/cpu/pixels_adapter.h"
#include "backends_cpu/kernel_harness.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "ops/pixels.h"

namespace sula::cpu {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();
constexpr float kGuard = 12345.f;

std::string GraphText(std::string_view dims, std::string_view fields) {
  return StrCat("graph \"g\" {\n input %x: uint8", dims, "\n %y = FromPixels(%x) {", fields,
                "}\n output %y\n}\n");
}

struct Case {
  Graph graph;
  Tensor x, want;
  PixelSpec spec;
};

Case Prepare(std::string_view dims, std::string_view fields) {
  Result<Graph> graph = ParseGraph(GraphText(dims, fields), AllOps());
  EXPECT_TRUE(graph) << graph.error().ToString();
  Case c{.graph = std::move(graph).value()};
  const ValueId input = c.graph.inputs()[0];
  c.x = Tensor(DType::kUInt8, c.graph.value(input).type.shape->Concrete());
  std::mt19937 rng(static_cast<uint32_t>(dims.size() * 31 + fields.size()));
  for (uint8_t& p : c.x.mutable_data<uint8_t>()) p = static_cast<uint8_t>(rng());
  const auto y = EvaluateGraph(c.graph, {&c.x, 1});
  EXPECT_TRUE(y) << y.error().ToString();
  c.want = (*y)[0];
  const std::vector<TensorDesc> in = {DenseDesc(DType::kUInt8, c.x.dims())};
  const std::vector<TensorDesc> out = {DenseDesc(DType::kFloat32, c.want.dims())};
  const std::vector<const Tensor*> constants = {nullptr};
  const Node& node = c.graph.node(c.graph.TopologicalOrder().at(0));
  const KernelRequest request{.node = &node, .inputs = in, .outputs = out, .constants = constants};
  EXPECT_TRUE(AcceptPixels(request)) << AcceptPixels(request).reason();
  c.spec = PixelSpecOf(request);
  return c;
}

// The picture lies at the end of its memory and the rows of the result among guards.
void Check(const Case& c, Target target, int threads, bool planar) {
  const PixelSpec& s = c.spec;
  const int64_t pixel = planar ? 1 : s.channels + 2, row = s.width * pixel + 3;
  PixelArgs args{
      .channel_stride = planar ? s.height * row : 1, .row_stride = row, .pixel_stride = pixel};
  args.image_stride = planar ? s.channels * args.channel_stride : s.height * row;
  std::vector<float> y(static_cast<size_t>(s.batch * args.image_stride), kGuard);
  const size_t bytes = PixelScratchBytes(s) * static_cast<size_t>(threads);
  std::vector<float> scratch(bytes / sizeof(float) + 16 + 16,
                             std::numeric_limits<float>::quiet_NaN());
  const std::vector<uint8_t> picture(c.x.data<uint8_t>().begin(), c.x.data<uint8_t>().end());
  args.in = picture.data(), args.out = y.data(), args.workspace = scratch.data();
  RunPixels(s, target, args, Parallel(threads));
  for (size_t i = bytes / sizeof(float); i < scratch.size(); ++i)
    ASSERT_TRUE(std::isnan(scratch[i])) << "wrote past its scratch";

  // Sums of levels with weights of at most 2 in all, then of channels.
  double largest = 0, shift = 0;
  for (size_t o = 0; o < static_cast<size_t>(s.channels); ++o) {
    double sum = 0;
    for (float m : s.mix[o]) sum += std::abs(m);
    largest = std::max(largest, sum), shift = std::max(shift, std::abs(double{s.shift[o]}));
  }
  const auto terms = static_cast<double>(s.rows.taps + s.columns.taps + s.in_channels + 2);
  const double tolerance = terms * kEps * (2 * 255 * largest + shift);
  std::vector<bool> written(y.size());
  for (int64_t n = 0, at = 0; n < s.batch; ++n)
    for (int64_t o = 0; o < s.channels; ++o)
      for (int64_t i = 0; i < s.height; ++i)
        for (int64_t j = 0; j < s.width; ++j, ++at) {
          const auto k = static_cast<size_t>(n * args.image_stride + o * args.channel_stride +
                                             i * row + j * pixel);
          written[k] = true;
          ASSERT_NEAR(y[k], c.want.data<float>()[static_cast<size_t>(at)], tolerance)
              << "picture " << n << ", channel " << o << ", row " << i << ", column " << j;
        }
  for (size_t k = 0; k < y.size(); ++k) {
    if (!written[k]) ASSERT_EQ(y[k], kGuard) << "wrote element " << k;
  }
}

void CheckAll(std::string_view dims, std::string_view fields) {
  const Case c = Prepare(dims, fields);
  for (Target target : AvailableTargets())
    for (int threads : {1, 2})
      for (bool planar : {true, false}) {
        SCOPED_TRACE(StrCat(Name(target), ", ", threads, " threads, planar ", planar, ", ", dims,
                            " ", fields));
        Check(c, target, threads, planar);
      }
}

// Channels of the picture and what is made of them.
const struct {
  int channels;
  const char* mix;
} kMixes[] = {
    {1, "mix=[0.5], shift=[-3.0]"},
    {1, "mix=[1.0, 2.0, 3.0], shift=[1.0, 0.0, -1.0]"},
    {2, "mix=[1.0, -1.0], shift=[0.5]"},
    {3, "mix=[0.0, 0.0, 2.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0], shift=[1.0, 2.0, 3.0]"},
    {3, "mix=[0.299, 0.587, 0.114], shift=[-0.5]"},
    {4, "mix=[1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0], shift=[7.0, 8.0, 9.0]"},
};

TEST(PixelKernel, NotResampled) {
  for (const auto& m : kMixes)
    for (const char* size : {"[2,5,33,", "[1,1,1,", "[3,7,16,", "[1,9,70,"})
      CheckAll(StrCat(size, m.channels, "]"), m.mix);
}

TEST(PixelKernel, EveryFilter) {
  for (const auto& m : kMixes)
    for (const char* filter :
         {"nearest", "nearest_floor", "linear", "linear_antialias", "cubic_antialias"})
      for (const char* size : {"[2,13,37,", "[1,3,5,", "[1,1,1,"})
        CheckAll(StrCat(size, m.channels, "]"),
                 StrCat(m.mix, ", height=9, width=19, fit=\"stretch\", filter=\"", filter, "\""));
}

TEST(PixelKernel, CutAndFilled) {
  const std::string mix = StrCat(kMixes[3].mix, ", height=11, width=18, fill=[9.0, 99.0, 200.0]");
  for (const char* fit :
       {"fit=\"crop\"", "fit=\"crop\", shorter=21", "fit=\"crop\", anchor=\"top_left\"",
        "fit=\"letterbox\"", "fit=\"letterbox\", anchor=\"top_left\""})
    for (const char* size : {"[2,40,31,3]", "[1,11,18,3]", "[1,5,60,3]", "[1,22,2,3]"})
      for (const char* filter : {"linear", "linear_antialias"})
        CheckAll(size, StrCat(mix, ", ", fit, ", filter=\"", filter, "\""));
}

TEST(PixelKernel, ThroughTheAdapter) {
  const std::string text =
      GraphText("[2,13,37,3]", StrCat(kMixes[3].mix, ", height=9, width=19, fit=\"stretch\""));
  EXPECT_EQ(CheckKernels(text, {.absolute = 1e-4}),
            (std::vector<std::string>{"planes", "channel_last"}));
}

}  // namespace
}  // namespace sula::cpu
