#include <cmath>
#include <functional>
#include <limits>

#include "ops/elementwise.h"
#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

// A unary operator and its formula in another place than the implementation.
struct Case {
  const OpDef* op;
  std::function<double(double)> formula;
  std::vector<float> at;
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const std::vector<float> kAll = {-20, -3.5f, -1, -0.5f, -0.25f, 0, 0.25f, 0.5f, 1, 2.5f, 20};
const std::vector<float> kPositive = {0.25f, 0.5f, 1, 2.5f, 20};
const std::vector<float> kUnit = {-1, -0.5f, 0, 0.25f, 1};
const std::vector<float> kOpenUnit = {-0.75f, -0.5f, 0, 0.25f, 0.75f};
const std::vector<float> kAboveOne = {1, 1.5f, 20};

TEST(Unary, FollowsItsFormula) {
  const Case cases[] = {
      {&op::kRelu, [](double x) { return std::max(x, 0.0); }, kAll},
      {&op::kSigmoid, Sigmoid, kAll},
      {&op::kTanh, [](double x) { return 1 - 2 / (std::exp(2 * x) + 1); }, kAll},
      {&op::kHardSwish, [](double x) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }, kAll},
      {&op::kSoftplus, [](double x) { return std::log(1 + std::exp(x)); }, kAll},
      {&op::kSoftsign, [](double x) { return x / (1 + std::abs(x)); }, kAll},
      {&op::kMish, [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); }, kAll},
      {&op::kErf, [](double x) { return 1 - std::erfc(x); }, kAll},
      {&op::kNeg, [](double x) { return 0 - x; }, kAll},
      {&op::kAbs, [](double x) { return x < 0 ? -x : x; }, kAll},
      {&op::kExp, [](double x) { return std::pow(std::exp(1.0), x); }, kAll},
      {&op::kLog, [](double x) { return std::log2(x) * std::log(2.0); }, kPositive},
      {&op::kSqrt, [](double x) { return std::pow(x, 0.5); }, kPositive},
      {&op::kReciprocal, [](double x) { return std::pow(x, -1); }, kPositive},
      {&op::kFloor, [](double x) { return -std::ceil(-x); }, kAll},
      {&op::kCeil, [](double x) { return -std::floor(-x); }, kAll},
      {&op::kSign, [](double x) { return x == 0 ? 0 : x / std::abs(x); }, kAll},
      {&op::kSin, [](double x) { return std::cos(x - M_PI / 2); }, kUnit},
      {&op::kCos, [](double x) { return std::sin(x + M_PI / 2); }, kUnit},
      {&op::kTan, [](double x) { return std::sin(x) / std::cos(x); }, kUnit},
      {&op::kAsin, [](double x) { return std::atan2(x, std::sqrt(1 - x * x)); }, kUnit},
      {&op::kAcos, [](double x) { return std::atan2(std::sqrt(1 - x * x), x); }, kUnit},
      {&op::kAtan, [](double x) { return std::atan2(x, 1); }, kAll},
      {&op::kSinh, [](double x) { return (std::exp(x) - std::exp(-x)) / 2; }, kAll},
      {&op::kCosh, [](double x) { return (std::exp(x) + std::exp(-x)) / 2; }, kAll},
      {&op::kAsinh,
       [](double x) { return std::copysign(std::log(std::abs(x) + std::sqrt(x * x + 1)), x); },
       kAll},
      {&op::kAcosh, [](double x) { return std::log(x + std::sqrt(x * x - 1)); }, kAboveOne},
      {&op::kAtanh, [](double x) { return std::log((1 + x) / (1 - x)) / 2; }, kOpenUnit},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.op->name);
    const Tensor x = Tensor::From<float>({static_cast<int64_t>(c.at.size())}, c.at);
    const Tensor y = RunOp(*c.op, {}, {x});
    ASSERT_EQ(y.dims(), x.dims());
    std::vector<double> expected;
    for (float v : c.at) expected.push_back(c.formula(v));
    // One rounding to float; the two formulas differ by a few roundings in double, near 1.
    ExpectNear(Values(y), expected, kFloatRounding * 1.01, 1e-14);
  }
}

TEST(Unary, RoundGoesToEven) {
  const Tensor x = Tensor::From<float>({7}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 2.75f});
  EXPECT_THAT(Values(RunOp(op::kRound, {}, {x})), ElementsAre(0, 2, 2, 0, -2, -2, 3));
}

TEST(Unary, WithAlphaAndBeta) {
  const Tensor x = Tensor::From<float>({4}, {-2, -0.5f, 0.5f, 2});
  const auto run = [&](const OpDef& op, float alpha, float beta = 0) {
    return Values(RunOp(op, Params::Of(AlphaParams{alpha, beta}), {x}));
  };
  const double r = kFloatRounding * 1.01;
  ExpectNear(run(op::kLeakyRelu, 0.25f), {-0.5, -0.125, 0.5, 2}, 0);
  ExpectNear(run(op::kElu, 2), {2 * (std::exp(-2) - 1), 2 * (std::exp(-.5) - 1), 0.5, 2}, r);
  ExpectNear(run(op::kSelu, 2, 3), {6 * (std::exp(-2) - 1), 6 * (std::exp(-.5) - 1), 1.5, 6}, r);
  ExpectNear(run(op::kCelu, 2), {2 * (std::exp(-1) - 1), 2 * (std::exp(-.25) - 1), 0.5, 2}, r);
  ExpectNear(run(op::kHardSigmoid, 0.5f, 0.25f), {0, 0, 0.5, 1}, 0);
  ExpectNear(run(op::kSwish, 2),
             {-2 * Sigmoid(-4), -0.5 * Sigmoid(-1), 0.5 * Sigmoid(1), 2 * Sigmoid(4)}, r);
  ExpectNear(run(op::kThresholdedRelu, 0.5f), {0, 0, 0, 2}, 0);
}

TEST(Unary, GeluBothWays) {
  const Tensor x = Tensor::From<float>({3}, {-1, 0.5f, 3});
  std::vector<double> exact, approximate;
  for (double v : {-1.0, 0.5, 3.0}) {
    exact.push_back(v * std::erfc(-v / std::sqrt(2.0)) / 2);
    approximate.push_back(v * Sigmoid(2 * std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
  }
  ExpectNear(Values(RunOp(op::kGelu, {}, {x})), exact, kFloatRounding * 1.01);
  ExpectNear(Values(RunOp(op::kGelu, Params::Of(GeluParams{.tanh = true}), {x})), approximate,
             kFloatRounding * 1.01);
}

TEST(Unary, IntegersWrap) {
  const Tensor x = Tensor::From<int8_t>({3}, {-128, -5, 7});
  EXPECT_THAT(Values(RunOp(op::kNeg, {}, {x})), ElementsAre(-128, 5, -7));
  EXPECT_THAT(Values(RunOp(op::kAbs, {}, {x})), ElementsAre(-128, 5, 7));
  EXPECT_THAT(Values(RunOp(op::kSign, {}, {x})), ElementsAre(-1, -1, 1));
  EXPECT_THAT(Values(RunOp(op::kRelu, {}, {x})), ElementsAre(0, 0, 7));
  const Tensor wide = Tensor::From<int64_t>({2}, {INT64_MIN, 3});
  EXPECT_THAT(RunOp(op::kNeg, {}, {wide}).ToInts(), ElementsAre(INT64_MIN, -3));
  EXPECT_THAT(RunOp(op::kAbs, {}, {wide}).ToInts(), ElementsAre(INT64_MIN, 3));
}

TEST(Unary, NaNAndInfinity) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::From<float>({4}, {kNaN, infinity, -infinity, 1});
  EXPECT_THAT(Values(RunOp(op::kIsNaN, {}, {x})), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(Values(RunOp(op::kIsInf, {}, {x})), ElementsAre(0, 1, 1, 0));
  EXPECT_TRUE(std::isnan(RunOp(op::kRelu, {}, {x}).AsDouble(0)));
  EXPECT_TRUE(std::isnan(RunOp(op::kSign, {}, {x}).AsDouble(0)));
  EXPECT_EQ(RunOp(op::kSoftplus, {}, {x}).AsDouble(1), kInfinity);
  EXPECT_EQ(RunOp(op::kSoftplus, {}, {x}).AsDouble(2), 0);
  EXPECT_EQ(RunOp(op::kSigmoid, {}, {x}).AsDouble(2), 0);
}

TEST(Unary, OtherTypesAndShapes) {
  const Tensor x = Tensor::From<float>({}, {-2});
  EXPECT_EQ(RunOp(op::kAbs, {}, {To<Half>(x)}), To<Half>(Tensor::Scalar(2.0f)));
  EXPECT_EQ(RunOp(op::kAbs, {}, {To<BFloat16>(x)}), To<BFloat16>(Tensor::Scalar(2.0f)));
  EXPECT_EQ(RunOp(op::kAbs, {}, {To<double>(x)}), Tensor::Scalar(2.0));
  const Tensor empty(DType::kFloat32, {0, 3});
  EXPECT_EQ(RunOp(op::kExp, {}, {empty}).dims(), empty.dims());
  EXPECT_EQ(RunOp(op::kNot, {}, {Tensor::From<bool>({2}, {true, false})}),
            Tensor::From<bool>({2}, {false, true}));
  // More than one block of the loop.
  const Tensor many = Ramp({3, 1000});
  const Tensor y = RunOp(op::kNeg, {}, {many});
  for (int64_t i = 0; i < 3000; ++i) ASSERT_EQ(y.AsDouble(i), -many.AsDouble(i));
}

TEST(Unary, Infer) {
  EXPECT_EQ(InferText(op::kExp, {}, {F32({Sym("N"), 4})}), "float32[N,4]");
  EXPECT_EQ(InferText(op::kIsNaN, {}, {F32({Sym("N")})}), "bool[N]");
  EXPECT_EQ(InferText(op::kRelu, {}, {TensorType{DType::kFloat16, std::nullopt}}), "float16[?]");
}

}  // namespace
}  // namespace sula
