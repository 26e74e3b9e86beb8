#include "ops/norm.h"

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Double inputs: what is left is the error of a few double operations.
constexpr double kTiny = 1e-13;

// (values - mean) / sqrt(variance + epsilon) over the elements that `member` names.
template <class Member>
double Standardise(const std::vector<double>& x, size_t i, Member member, double epsilon) {
  double n = 0, mean = 0, variance = 0;
  for (size_t j = 0; j < x.size(); ++j)
    if (member(j)) mean += x[j], ++n;
  mean /= n;
  for (size_t j = 0; j < x.size(); ++j)
    if (member(j)) variance += (x[j] - mean) * (x[j] - mean) / n;
  return (x[i] - mean) / std::sqrt(variance + epsilon);
}

TEST(BatchNormalization, PerChannel) {
  const Tensor x = Tensor::From<float>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor scale = Tensor::From<float>({2}, {2, -1}), bias = Tensor::From<float>({2}, {0.5, 1}),
               mean = Tensor::From<float>({2}, {1, 3}), var = Tensor::From<float>({2}, {3, 15});
  // 1 / sqrt(3 + 1) = 1/2, 1 / sqrt(15 + 1) = 1/4
  const Params p = Params::Of(NormParams{1});
  EXPECT_EQ(Values(RunOp(op::kBatchNormalization, p, {x, scale, bias, mean, var})),
            (std::vector<double>{0.5, 1.5, 1, 0.75, 4.5, 5.5, 0, -0.25}));
  EXPECT_EQ(Values(RunOp(op::kBatchNormalization, p, {To<Half>(x), scale, bias, mean, var})),
            (std::vector<double>{0.5, 1.5, 1, 0.75, 4.5, 5.5, 0, -0.25}));
  const Tensor flat = Tensor::From<float>({2, 2}, {1, 3, 5, 7});  // no spatial axes
  EXPECT_EQ(Values(RunOp(op::kBatchNormalization, p, {flat, scale, bias, mean, var})),
            (std::vector<double>{0.5, 1, 4.5, 0}));
}

TEST(GroupNormalization, StatisticsPerBatchAndGroup) {
  const Tensor x = To<double>(Ramp({2, 6, 3, 2}));
  const Tensor scale = To<double>(Ramp({6}, 2)), bias = To<double>(Ramp({6}, 3));
  const std::vector<double> v = Values(x);
  for (int64_t groups : {1, 2, 3, 6}) {
    const size_t size = 36 / groups;
    std::vector<double> expected;
    for (size_t i = 0; i < v.size(); ++i) {
      const double z = Standardise(
          v, i, [&](size_t j) { return i / size == j / size; }, 0.25);
      expected.push_back(z * scale.AsDouble(i / 6 % 6) + bias.AsDouble(i / 6 % 6));
    }
    const Params p = Params::Of(GroupNormParams{groups, 0.25f});
    ExpectNear(Values(RunOp(op::kGroupNormalization, p, {x, scale, bias})), expected, kTiny, kTiny);
    if (groups == 6) {
      ExpectNear(Values(RunOp(op::kInstanceNormalization, Params::Of(NormParams{0.25f}),
                              {x, scale, bias})),
                 expected, kTiny, kTiny);
    }
  }
}

TEST(LayerNormalization, AxesBroadcastAndStatistics) {
  const Tensor x = To<double>(Ramp({2, 3, 4}));
  const std::vector<double> v = Values(x);
  for (int64_t axis : {-3, -2, -1, 0, 1, 2}) {
    const size_t size = axis == -1 || axis == 2 ? 4 : axis == -2 || axis == 1 ? 12 : 24;
    const Tensor scale = To<double>(Ramp({4}, 2)), bias = To<double>(Ramp({3, 1}, 3));
    std::vector<double> expected, means;
    for (size_t i = 0; i < v.size(); ++i) {
      const double z = Standardise(
          v, i, [&](size_t j) { return i / size == j / size; }, 0.5);
      expected.push_back(z * scale.AsDouble(i % 4) + bias.AsDouble(i / 4 % 3));
      if (i % size == 0) means.push_back(0);
      means.back() += v[i] / static_cast<double>(size);
    }
    const Params p = Params::Of(LayerNormParams{axis, 0.5f});
    const auto outputs = TryRun(op::kLayerNormalization, p, {x, scale, bias}, 3);
    ASSERT_TRUE(outputs.has_value()) << outputs.error().ToString();
    ExpectNear(Values((*outputs)[0]), expected, kTiny, kTiny);
    ExpectNear(Values((*outputs)[1]), means, kFloatRounding, kTiny);
    EXPECT_EQ((*outputs)[1].rank(), 3);
    EXPECT_EQ((*outputs)[2].dims(), (*outputs)[1].dims());
    EXPECT_EQ((*outputs)[2].dtype(), DType::kFloat32);
    // The third output: what the second and x say about the first.
    const double z0 = (v[0] - Values((*outputs)[1])[0]) * (*outputs)[2].AsDouble(0);
    EXPECT_NEAR(z0 * scale.AsDouble(0) + bias.AsDouble(0), expected[0], 1e-6);
  }
}

TEST(RMSNormalization, ByHand) {
  // mean square 12.5, with epsilon 3.5: 16
  const Tensor x = Tensor::From<float>({2, 2}, {3, 4, -4, 3}),
               scale = Tensor::From<float>({2}, {4, 8});
  EXPECT_EQ(Values(RunOp(op::kRMSNormalization, Params::Of(LayerNormParams{-1, 3.5f}), {x, scale})),
            (std::vector<double>{3, 8, -4, 6}));
  EXPECT_EQ(Values(RunOp(op::kRMSNormalization, Params::Of(LayerNormParams{0, 3.5f}), {x, scale})),
            (std::vector<double>{3, 8, -4, 6}));
}

TEST(LRN, WindowsOfOddAndEvenSize) {
  const Tensor x = To<double>(Ramp({2, 7, 2, 3}));
  const std::vector<double> v = Values(x);
  for (int64_t size : {1, 2, 3, 4, 5, 20}) {
    std::vector<double> expected;
    for (int64_t i = 0; i < 84; ++i) {
      const int64_t c = i / 6 % 7;
      double sum = 0;
      for (int64_t k = 0; k < 7; ++k)
        if (k >= c - (size - 1) / 2 && k <= c + size / 2) {
          const double other = v[i + (k - c) * 6];
          sum += other * other;
        }
      expected.push_back(v[i] / std::pow(2 + 0.5 / static_cast<double>(size) * sum, 0.75));
    }
    ExpectNear(Values(RunOp(op::kLRN, Params::Of(LrnParams{0.5f, 0.75f, 2, size}), {x})), expected,
               kTiny);
  }
  EXPECT_THAT(InferText(op::kLRN, Params::Of(LrnParams{.size = 0}), {F32({1, 2})}),
              HasSubstr("size is 0"));
}

TEST(LpNormalization, ByHand) {
  const Tensor x = Tensor::From<float>({2, 2}, {3, -4, 0, 0});
  ExpectNear(Values(RunOp(op::kLpNormalization, {}, {x})), {0.6, -0.8, 0, 0}, kFloatRounding);
  ExpectNear(Values(RunOp(op::kLpNormalization, Params::Of(LpNormParams{-1, 1}), {x})),
             {3.0 / 7, -4.0 / 7, 0, 0}, kFloatRounding);
  EXPECT_EQ(Values(RunOp(op::kLpNormalization, Params::Of(LpNormParams{0, 2}), {x})),
            (std::vector<double>{1, -1, 0, 0}));
  EXPECT_THAT(InferText(op::kLpNormalization, Params::Of(LpNormParams{0, 3}), {F32({2})}),
              HasSubstr("p is 3"));
}

TEST(Norm, ShapesAndErrors) {
  const Dim n = Sym("N");
  const TensorType c3 = F32({3});
  EXPECT_EQ(InferText(op::kBatchNormalization, {}, {F32({n, 3, 4}), c3, c3, c3, c3}),
            "float32[N,3,4]");
  EXPECT_THAT(InferText(op::kBatchNormalization, {}, {F32({n, 4, 4}), c3, c3, c3, c3}),
              AllOf(HasSubstr("scale"), HasSubstr("[3]"), HasSubstr("[4]")));
  EXPECT_THAT(InferText(op::kBatchNormalization, {}, {F32({n, 3}), c3, c3, c3, F32({2})}),
              HasSubstr("var"));
  EXPECT_THAT(InferText(op::kInstanceNormalization, {}, {F32({3}), c3, c3}), HasSubstr("[3]"));
  EXPECT_THAT(
      InferText(op::kGroupNormalization, Params::Of(GroupNormParams{2}), {F32({n, 3, 4}), c3, c3}),
      HasSubstr("groups is 2"));
  EXPECT_THAT(
      InferText(op::kGroupNormalization, Params::Of(GroupNormParams{0}), {F32({n, 3, 4}), c3, c3}),
      HasSubstr("groups is 0"));
  EXPECT_THAT(InferText(op::kLayerNormalization, {}, {F32({n, 4}), c3}),
              AllOf(HasSubstr("[3]"), HasSubstr("[N,4]")));
  EXPECT_THAT(InferText(op::kRMSNormalization, {}, {F32({4}), F32({2, 4})}), HasSubstr("[2,4]"));
  const auto types = TryInfer(op::kLayerNormalization, Params::Of(LayerNormParams{1}),
                              {F32({n, 3, 4}), c3, c3}, {}, 3);
  EXPECT_FALSE(types.has_value());  // [3] does not broadcast to a last axis of 4
  EXPECT_EQ((*TryInfer(op::kLayerNormalization, Params::Of(LayerNormParams{1}),
                       {F32({n, 4, 3}), c3, c3}, {}, 3))[2]
                .ToString(),
            "float32[N,1,1]");
  EXPECT_EQ(RunOp(op::kInstanceNormalization, {}, {Ramp({0, 2, 3}), Ramp({2}), Ramp({2})}).dims(),
            (Dims{0, 2, 3}));
  EXPECT_EQ(RunOp(op::kLayerNormalization, {}, {Ramp({3, 0}), Ramp({0})}).dims(), (Dims{3, 0}));
}

}  // namespace
}  // namespace sula
