#include "ops/elementwise.h"

#include <cmath>
#include <limits>

#include "ir/graph.h"
#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const float kNaN = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

Tensor Cast(const Tensor& x, DType to) {
  return RunOp(op::kCast, Params::Of(CastParams{.to = to}), {x});
}

TEST(Cast, FloatToIntegerCutsAndSaturates) {
  const Tensor x =
      Tensor::From<float>({8}, {1.9f, -1.9f, 300, -300, kNaN, kInfinity, -kInfinity, 1e20f});
  EXPECT_THAT(Values(Cast(x, DType::kInt8)), ElementsAre(1, -1, 127, -128, 0, 127, -128, 127));
  EXPECT_THAT(Values(Cast(x, DType::kUInt8)), ElementsAre(1, 0, 255, 0, 0, 255, 0, 255));
  EXPECT_EQ(Cast(x, DType::kInt64).ToInts()[7], INT64_MAX);
  EXPECT_EQ(Cast(x, DType::kInt32).ToInts()[6], INT32_MIN);
}

TEST(Cast, IntegersWrap) {
  const Tensor x = Tensor::From<int32_t>({3}, {300, -1, INT32_MIN});
  EXPECT_THAT(Values(Cast(x, DType::kUInt8)), ElementsAre(44, 255, 0));
  EXPECT_THAT(Values(Cast(x, DType::kInt64)), ElementsAre(300, -1, INT32_MIN));
}

TEST(Cast, ToAndFromBool) {
  const Tensor x = Tensor::From<float>({4}, {0, -0.0f, 0.25f, kNaN});
  EXPECT_THAT(Values(Cast(x, DType::kBool)), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(Values(Cast(Tensor::From<int64_t>({2}, {256, 0}), DType::kBool)), ElementsAre(1, 0));
  EXPECT_THAT(Values(Cast(Tensor::From<bool>({2}, {true, false}), DType::kFloat16)),
              ElementsAre(1, 0));
}

TEST(Cast, BetweenFloats) {
  const Tensor x = Tensor::From<double>({3}, {1e300, 1.0 / 3, 65520});
  EXPECT_THAT(Values(Cast(x, DType::kFloat32)),
              ElementsAre(kInfinity, static_cast<double>(1.0f / 3), 65520));
  EXPECT_EQ(Values(Cast(x, DType::kFloat16))[2], kInfinity);
  EXPECT_EQ(Cast(x, DType::kFloat64), x);
}

TEST(Cast, InferKeepsShapeAndContents) {
  EXPECT_EQ(InferText(op::kCast, Params::Of(CastParams{.to = DType::kInt32}), {F32({Sym("N")})}),
            "int32[N]");
  EXPECT_EQ(InferText(op::kCast, Params::Of(CastParams{.to = DType::kBool}),
                      {TensorType{DType::kInt8, std::nullopt}}),
            "bool[?]");
}

TEST(Clip, Bounds) {
  const Tensor x = Tensor::From<float>({4}, {-5, 0.5f, 7, kNaN});
  const Tensor zero = Tensor::Scalar(0.0f), one = Tensor::Scalar(1.0f);
  const auto numbers = [](const Tensor& t) {
    EXPECT_TRUE(std::isnan(t.AsDouble(3)));
    return std::vector<double>{t.AsDouble(0), t.AsDouble(1), t.AsDouble(2)};
  };
  EXPECT_THAT(numbers(RunOp(op::kClip, {}, {x, zero, one})), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(numbers(RunOp(op::kClip, {}, {x, std::nullopt, one})), ElementsAre(-5, 0.5, 1));
  EXPECT_THAT(numbers(RunOp(op::kClip, {}, {x, one})), ElementsAre(1, 1, 7));
  EXPECT_THAT(numbers(RunOp(op::kClip, {}, {x})), ElementsAre(-5, 0.5, 7));
  // min > max: max wins.
  EXPECT_THAT(numbers(RunOp(op::kClip, {}, {x, one, zero})), ElementsAre(0, 0, 0));
}

TEST(Clip, Integers) {
  const Tensor x = Tensor::From<int8_t>({3}, {-5, 3, 100});
  const Tensor low = Tensor::From<int8_t>({1}, {0}), high = Tensor::Scalar(int8_t{9});
  EXPECT_THAT(Values(RunOp(op::kClip, {}, {x, low, high})), ElementsAre(0, 3, 9));
}

TEST(Clip, RefusesWrongBounds) {
  EXPECT_THAT(InferText(op::kClip, {}, {F32({2}), F32({2})}), HasSubstr("min"));
  EXPECT_THAT(InferText(op::kClip, {}, {F32({2}), TensorType{DType::kInt8, Shape{}}}),
              HasSubstr("type"));
}

TEST(Identity, Copies) {
  const Tensor x = Ramp({2, 3});
  EXPECT_EQ(RunOp(op::kIdentity, {}, {x}), x);
  const Tensor empty(DType::kInt8, {0});
  EXPECT_EQ(RunOp(op::kIdentity, {}, {empty}), empty);
}

TEST(Where, BroadcastsAllThree) {
  const Tensor condition = Tensor::From<bool>({2, 1}, {true, false});
  const Tensor x = Tensor::From<int64_t>({3}, {1, 2, 3});
  const Tensor z = RunOp(op::kWhere, {}, {condition, x, Tensor::Scalar(int64_t{-1})});
  EXPECT_EQ(z, Tensor::From<int64_t>({2, 3}, {1, 2, 3, -1, -1, -1}));
  EXPECT_EQ(RunOp(op::kWhere, {},
                  {Tensor::Scalar(false), Tensor::Scalar(Half(1)), Tensor::Scalar(Half(2))}),
            Tensor::Scalar(Half(2)));
  EXPECT_THAT(InferText(op::kWhere, {}, {TensorType{DType::kBool, Shape{2}}, F32({3}), F32({})}),
              HasSubstr("broadcast"));
  EXPECT_THAT(
      InferText(op::kWhere, {},
                {TensorType{DType::kBool, Shape{}}, F32({}), TensorType{DType::kInt8, Shape{}}}),
      HasSubstr("type"));
}

std::optional<Activation> ActivationOf(const OpDef& op, Params params = {},
                                       const Inputs& constants = {}) {
  std::vector<bool> present = {true};
  std::vector<const Tensor*> pointers = {nullptr};
  for (size_t i = 1; i < constants.size(); ++i) {
    present.push_back(constants[i].has_value());
    pointers.push_back(constants[i] && !constants[i]->empty() ? &*constants[i] : nullptr);
  }
  return AsActivation(MakeNode(op, std::move(params), present, 1), pointers);
}

// The activation computes what the operator does.
TEST(AsActivation, MeansTheOperator) {
  const Tensor low = Tensor::Scalar(-0.5f), high = Tensor::Scalar(0.25f);
  const struct {
    const OpDef* op;
    Params params;
    Inputs inputs;
  } cases[] = {
      {&op::kRelu, {}, {}},
      {&op::kSigmoid, {}, {}},
      {&op::kTanh, {}, {}},
      {&op::kHardSwish, {}, {}},
      {&op::kGelu, {}, {}},
      {&op::kClip, {}, {std::nullopt, low, high}},
      {&op::kClip, {}, {std::nullopt, high, low}},
      {&op::kClip, {}, {std::nullopt, low}},
      {&op::kClip, {}, {std::nullopt, std::nullopt, high}},
      {&op::kClip, {}, {std::nullopt, Tensor::Scalar(0.0f)}},
      {&op::kLeakyRelu, Params::Of(AlphaParams{.alpha = 0.3f}), {}},
      {&op::kSwish, Params::Of(AlphaParams{.alpha = 1.7f}), {}},
      {&op::kHardSigmoid, Params::Of(AlphaParams{.alpha = 0.4f, .beta = 0.6f}), {}},
  };
  const Tensor x = Tensor::From<float>({6}, {-4, -0.75f, -0.25f, 0, 0.5f, 4});
  for (const auto& c : cases) {
    SCOPED_TRACE(c.op->name);
    const auto activation = ActivationOf(*c.op, c.params, c.inputs);
    ASSERT_TRUE(activation.has_value());
    Inputs inputs = c.inputs;
    inputs.resize(std::max<size_t>(1, inputs.size()));
    inputs[0] = x;
    std::vector<double> expected;
    for (float v : x.data<float>()) expected.push_back(Apply(*activation, v));
    ExpectNear(Values(RunOp(*c.op, c.params, inputs)), expected, kFloatRounding);
  }
}

TEST(AsActivation, RefusesWhatItCannotExpress) {
  EXPECT_FALSE(ActivationOf(op::kExp).has_value());
  EXPECT_FALSE(ActivationOf(op::kGelu, Params::Of(GeluParams{.tanh = true})).has_value());
  EXPECT_FALSE(ActivationOf(op::kClip, {}, {std::nullopt, Tensor()}).has_value());
  EXPECT_FALSE(ActivationOf(op::kClip, {}, {std::nullopt, Tensor::Scalar(int8_t{0})}).has_value());
}

}  // namespace
}  // namespace sula
