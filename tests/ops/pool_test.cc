#include "ops/pool.h"

#include <limits>

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

PoolParams Make(Dims kernel, Dims strides = {}, Dims pads = {}) {
  PoolParams p;
  p.kernel = kernel, p.strides = strides, p.pads = pads;
  return p;
}

// A second formulation: every output element looks at each coordinate of its window. What is
// outside the input but inside the declared padding counts as 0 if `include_pad`.
struct Windows {
  std::vector<double> average, max, index;
};
Windows Gather(const Tensor& x, const PoolParams& p, const ConvGeometry& g) {
  Windows result;
  const int axes = g.spatial;
  const int64_t plane = NumElements(g.in), windows = NumElements(g.out),
                taps = NumElements(g.kernel);
  for (int64_t base = 0; base < x.num_elements(); base += plane) {
    for (int64_t o = 0; o < windows; ++o) {
      double sum = 0, max = -std::numeric_limits<double>::infinity();
      int64_t count = 0, best = -1;
      for (int64_t t = 0; t < taps; ++t) {
        int64_t flat = 0, o_rest = o, t_rest = t, scale = 1;
        bool inside = true, counted = true;
        for (int i = axes - 1; i >= 0; --i) {
          const int64_t pos = o_rest % g.out[i] * g.stride[i] - g.pad_begin[i] +
                              t_rest % g.kernel[i] * g.dilation[i];
          o_rest /= g.out[i], t_rest /= g.kernel[i];
          inside &= pos >= 0 && pos < g.in[i];
          const int64_t declared = p.pads.empty() ? 0 : p.pads[axes + i];
          counted &= pos < g.in[i] + declared;
          flat += pos * scale, scale *= g.in[i];
        }
        if (inside) {
          const double v = x.AsDouble(base + flat);
          sum += v;
          if (v > max) max = v, best = base + flat;
        }
        count += p.count_include_pad ? counted : inside;
      }
      result.average.push_back(sum / static_cast<double>(count));
      result.max.push_back(max);
      result.index.push_back(static_cast<double>(best));
    }
  }
  return result;
}

TEST(Pool, AgreesWithGatheringForm) {
  struct {
    Dims x;
    PoolParams p;
  } cases[] = {
      {{1, 2, 7}, Make({3})},
      {{2, 2, 8}, Make({3}, {2}, {1, 1})},
      {{2, 3, 7, 9}, Make({3, 2}, {2, 2}, {1, 0, 1, 1})},
      {{1, 2, 8, 7}, Make({2, 3}, {1, 2})},
      {{1, 2, 4, 5, 6}, Make({2, 3, 2}, {2, 1, 3}, {1, 1, 0, 0, 1, 1})},
  };
  cases[3].p.dilations = {3, 2};
  for (const auto& c : cases) {
    for (bool ceil : {false, true}) {
      for (bool include : {false, true}) {
        PoolParams p = c.p;
        p.ceil_mode = ceil, p.count_include_pad = include;
        const Tensor x = Ramp(c.x);
        const auto g = ResolvePool(p, c.x);
        ASSERT_TRUE(g.has_value()) << g.error().ToString();
        const Windows expected = Gather(x, p, *g);
        ExpectNear(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), expected.average,
                   kFloatRounding);
        const auto outputs = TryRun(op::kMaxPool, Params::Of(p), {x}, 2);
        ASSERT_TRUE(outputs.has_value());
        EXPECT_EQ(Values((*outputs)[0]), expected.max);
        EXPECT_EQ(Values((*outputs)[1]), expected.index);
      }
    }
  }
}

TEST(Pool, CeilModeByHand) {
  // ceil((6 - 3) / 2) + 1 = 3 windows: at 0, 2 and 4; the last has two elements.
  PoolParams p = Make({3}, {2});
  p.ceil_mode = true;
  const Tensor x = Tensor::From<float>({1, 1, 6}, {1, 2, 3, 4, 5, 9});
  EXPECT_EQ(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), (std::vector<double>{2, 4, 7}));
  EXPECT_EQ(Values(RunOp(op::kMaxPool, Params::Of(p), {x})), (std::vector<double>{3, 5, 9}));
  // What ceil_mode adds never counts, with or without count_include_pad.
  p.count_include_pad = true;
  EXPECT_EQ(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), (std::vector<double>{2, 4, 7}));
  // Declared padding does: windows at -1, 1, 3, 5 and one at 7 that would start behind the input.
  p.pads = {1, 1};
  EXPECT_EQ(ResolvePool(p, Dims{1, 1, 6})->out, Dims{4});
  ExpectNear(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), {1, 3, 6, 4.5}, kFloatRounding);
  p.count_include_pad = false;
  ExpectNear(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), {1.5, 3, 6, 9}, kFloatRounding);
}

TEST(Pool, LastWindowMustStartInsideInputOrBeginPadding) {
  // (4 + 2 - 2) / 3: ceil gives 3 windows at -1, 2, 5; the last starts in the end padding.
  PoolParams p = Make({2}, {3}, {1, 1});
  p.ceil_mode = true;
  EXPECT_EQ(ResolvePool(p, Dims{1, 1, 4})->out, Dims{2});
  // With a stride of 2 and no padding: at 0, 2, 4 of 5 elements.
  EXPECT_EQ(ResolvePool(
                [] {
                  PoolParams q = Make({2}, {2});
                  q.ceil_mode = true;
                  return q;
                }(),
                Dims{1, 1, 5})
                ->out,
            Dims{3});
}

TEST(Pool, AutoPad) {
  PoolParams p = Make({2}, {1});
  p.auto_pad = AutoPad::kSameUpper;
  const Tensor x = Tensor::From<float>({1, 1, 3}, {1, 3, 2});
  EXPECT_EQ(Values(RunOp(op::kMaxPool, Params::Of(p), {x})), (std::vector<double>{3, 3, 2}));
  EXPECT_EQ(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), (std::vector<double>{2, 2.5, 2}));
  p.count_include_pad = true;
  EXPECT_EQ(Values(RunOp(op::kAveragePool, Params::Of(p), {x})), (std::vector<double>{2, 2.5, 1}));
  p.auto_pad = AutoPad::kSameLower;
  EXPECT_EQ(Values(RunOp(op::kAveragePool, Params::Of(p), {x})),
            (std::vector<double>{0.5, 2, 2.5}));
  p.auto_pad = AutoPad::kValid;
  EXPECT_EQ(Values(RunOp(op::kMaxPool, Params::Of(p), {x})), (std::vector<double>{3, 3}));
}

TEST(MaxPool, IndicesAreFlatInTheWholeInput) {
  PoolParams p = Make({2, 2}, {2, 2});
  const Tensor x = Tensor::From<float>({1, 2, 2, 4}, {0, 5, 1, 1,  //
                                                      2, 3, 4, 1,  //
                                                      7, 7, 0, 0,  //
                                                      7, 7, 0, 9});
  auto outputs = TryRun(op::kMaxPool, Params::Of(p), {x}, 2);
  ASSERT_TRUE(outputs.has_value());
  EXPECT_EQ((*outputs)[1].ToInts(), (std::vector<int64_t>{1, 6, 8, 15}));  // first of equals
  p.column_major_indices = true;
  outputs = TryRun(op::kMaxPool, Params::Of(p), {x}, 2);
  // row + 2 * column, planes of 8
  EXPECT_EQ((*outputs)[1].ToInts(), (std::vector<int64_t>{2, 5, 8, 15}));
}

TEST(MaxPool, IntegersAndNan) {
  const PoolParams p = Make({2}, {}, {1, 1});
  EXPECT_EQ(
      Values(RunOp(op::kMaxPool, Params::Of(p), {Tensor::From<int8_t>({1, 1, 3}, {-128, -7, -9})})),
      (std::vector<double>{-128, -7, -7, -9}));
  EXPECT_EQ(
      Values(RunOp(op::kMaxPool, Params::Of(p), {Tensor::From<uint8_t>({1, 1, 3}, {200, 7, 255})})),
      (std::vector<double>{200, 200, 255, 255}));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto y =
      Values(RunOp(op::kMaxPool, Params::Of(p), {Tensor::From<float>({1, 1, 3}, {1, nan, 3})}));
  EXPECT_EQ(y[0], 1);
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], 3);
  EXPECT_EQ(Values(RunOp(op::kMaxPool, Params::Of(p), {To<Half>(Ramp({1, 1, 3}))})),
            Values(RunOp(op::kMaxPool, Params::Of(p), {Ramp({1, 1, 3})})));
}

TEST(Pool, Global) {
  const Tensor x = Tensor::From<float>({2, 1, 2, 2}, {1, 2, 3, 6, -1, -2, -3, -4});
  const Tensor average = RunOp(op::kGlobalAveragePool, {}, {x});
  EXPECT_EQ(average.dims(), (Dims{2, 1, 1, 1}));
  EXPECT_EQ(Values(average), (std::vector<double>{3, -2.5}));
  EXPECT_EQ(Values(RunOp(op::kGlobalMaxPool, {}, {x})), (std::vector<double>{6, -1}));
  EXPECT_EQ(Values(RunOp(op::kGlobalAveragePool, {}, {To<double>(x)})), Values(average));
  EXPECT_EQ(InferText(op::kGlobalMaxPool, {}, {F32({Sym("N"), 3, Sym("H"), 5})}),
            "float32[N,3,1,1]");
  EXPECT_THAT(InferText(op::kGlobalMaxPool, {}, {F32({1, 3})}), HasSubstr("[1,3]"));
}

TEST(Pool, InfersSymbolicSizes) {
  const Dim h = Sym("H");
  PoolParams p = Make({3, 3}, {2, 2}, {1, 1, 1, 1});
  EXPECT_EQ(InferText(op::kMaxPool, Params::Of(p), {F32({Sym("N"), 3, h, 8})}),
            F32({Sym("N"), 3, FloorDiv(h - 1, 2) + 1, 4}).ToString());
  p.ceil_mode = true;
  const auto types = TryInfer(op::kMaxPool, Params::Of(p), {F32({Sym("N"), 3, h, 8})}, {}, 2);
  ASSERT_TRUE(types.has_value());
  EXPECT_EQ((*types)[1].dtype, DType::kInt64);
  EXPECT_EQ((*types)[1].shape, (*types)[0].shape);
  for (int64_t size = 1; size < 12; ++size) {
    EXPECT_EQ((*(*types)[0].shape)[2].Evaluate({{"H", size}}).value(),
              ResolvePool(p, Dims{1, 3, size, 8})->out[0]);
  }
}

TEST(Pool, Errors) {
  EXPECT_THAT(InferText(op::kMaxPool, Params::Of(Make({3, 3})), {F32({1, 3, 8})}),
              testing::AllOf(HasSubstr("[1,3,8]"), HasSubstr("[3,3]")));
  EXPECT_THAT(InferText(op::kMaxPool, Params::Of(Make({0})), {F32({1, 3, 8})}),
              HasSubstr("kernel contains 0"));
  EXPECT_THAT(InferText(op::kMaxPool, Params::Of(Make({9})), {F32({1, 3, 8})}),
              HasSubstr("no window fits"));
  EXPECT_THAT(InferText(op::kMaxPool, Params::Of(Make({})), {F32({1, 3})}),
              HasSubstr("spatial axes"));
  const int64_t big = int64_t{1} << 30;
  EXPECT_THAT(InferText(op::kMaxPool, Params::Of(Make({big, big, big})), {F32({1, 3, 8, 8, 8})}),
              HasSubstr("more than"));
}

}  // namespace
}  // namespace sula
