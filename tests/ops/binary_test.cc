#include <cmath>
#include <limits>

#include "ops/elementwise.h"
#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class T>
std::vector<double> Pairwise(const OpDef& op, std::initializer_list<T> a,
                             std::initializer_list<T> b, Params params = {}) {
  return Values(RunOp(op, std::move(params),
                      {Tensor::From<T>({static_cast<int64_t>(a.size())}, a),
                       Tensor::From<T>({static_cast<int64_t>(b.size())}, b)}));
}

TEST(Binary, FloatArithmetic) {
  EXPECT_THAT(Pairwise<float>(op::kAdd, {1, 2}, {0.5f, -2}), ElementsAre(1.5, 0));
  EXPECT_THAT(Pairwise<float>(op::kSub, {1, 2}, {0.5f, -2}), ElementsAre(0.5, 4));
  EXPECT_THAT(Pairwise<float>(op::kMul, {1, 2}, {0.5f, -2}), ElementsAre(0.5, -4));
  EXPECT_THAT(Pairwise<float>(op::kDiv, {1, 2}, {0.5f, -2}), ElementsAre(2, -1));
  EXPECT_THAT(Pairwise<double>(op::kAdd, {1e-30}, {1}), ElementsAre(1));
  EXPECT_EQ(Pairwise<float>(op::kDiv, {1}, {0})[0], std::numeric_limits<double>::infinity());
  EXPECT_THAT(Pairwise<Half>(op::kMul, {1.5f}, {2.0f}), ElementsAre(3));
}

TEST(Binary, IntegersWrapAndDivideTowardsZero) {
  EXPECT_THAT(Pairwise<int8_t>(op::kAdd, {127, -128}, {1, -1}), ElementsAre(-128, 127));
  EXPECT_THAT(Pairwise<uint8_t>(op::kSub, {1}, {2}), ElementsAre(255));
  EXPECT_THAT(Pairwise<int32_t>(op::kMul, {1 << 30}, {4}), ElementsAre(0));
  EXPECT_THAT(Pairwise<int32_t>(op::kDiv, {7, -7, 7, -7}, {2, 2, -2, -2}),
              ElementsAre(3, -3, -3, 3));
  EXPECT_THAT(Pairwise<int64_t>(op::kDiv, {5, INT64_MIN}, {0, 0}), ElementsAre(0, 0));
  EXPECT_EQ(RunOp(op::kDiv, {}, {Tensor::Scalar(INT64_MIN), Tensor::Scalar(int64_t{-1})}),
            Tensor::Scalar(INT64_MIN));
  EXPECT_EQ(RunOp(op::kDiv, {}, {Tensor::Scalar(INT32_MIN), Tensor::Scalar(int32_t{-1})}),
            Tensor::Scalar(INT32_MIN));
  EXPECT_EQ(RunOp(op::kAdd, {}, {Tensor::Scalar(INT64_MAX), Tensor::Scalar(int64_t{1})}),
            Tensor::Scalar(INT64_MIN));
}

TEST(Binary, Mod) {
  const Params c = Params::Of(ModParams{.fmod = true});
  EXPECT_THAT(Pairwise<int32_t>(op::kMod, {7, -7, 7, -7, 6}, {3, 3, -3, -3, -3}),
              ElementsAre(1, 2, -2, -1, 0));
  EXPECT_THAT(Pairwise<int32_t>(op::kMod, {7, -7, 7, -7}, {3, 3, -3, -3}, c),
              ElementsAre(1, -1, 1, -1));
  EXPECT_THAT(Pairwise<int64_t>(op::kMod, {7, INT64_MIN}, {0, -1}), ElementsAre(0, 0));
  EXPECT_THAT(Pairwise<int64_t>(op::kMod, {7, INT64_MIN}, {0, -1}, c), ElementsAre(0, 0));
  EXPECT_THAT(Pairwise<float>(op::kMod, {5.5f, -5.5f}, {2, 2}, c), ElementsAre(1.5, -1.5));
  EXPECT_THAT(Pairwise<float>(op::kMod, {5.5f, -5.5f}, {2, 2}), ElementsAre(1.5, 0.5));
  EXPECT_TRUE(std::isnan(Pairwise<float>(op::kMod, {1}, {0}, c)[0]));
}

TEST(Binary, Pow) {
  EXPECT_THAT(Pairwise<float>(op::kPow, {2, 9, 2}, {3, 0.5f, -1}), ElementsAre(8, 3, 0.5));
  EXPECT_THAT(Pairwise<int64_t>(op::kPow, {3, -2, 2, -1, -1, 1, 0}, {4, 3, -1, -3, -4, -9, -1}),
              ElementsAre(81, -8, 0, -1, 1, 1, 0));
  EXPECT_THAT(Pairwise<int32_t>(op::kPow, {2}, {32}), ElementsAre(0));
  const Tensor three = Tensor::Scalar(int32_t{3});
  EXPECT_EQ(RunOp(op::kPow, {}, {Tensor::Scalar(2.0f), three}), Tensor::Scalar(8.0f));
  EXPECT_EQ(RunOp(op::kPow, {}, {three, Tensor::Scalar(0.5f)}), Tensor::Scalar(int32_t{1}));
  EXPECT_EQ(RunOp(op::kPow, {}, {three, Tensor::Scalar(100.0f)}), Tensor::Scalar(INT32_MAX));
}

TEST(Binary, MaxAndMin) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Pairwise<float>(op::kMax, {1, -2}, {0, 3}), ElementsAre(1, 3));
  EXPECT_THAT(Pairwise<int16_t>(op::kMin, {1, -2}, {0, 3}), ElementsAre(0, -2));
  for (const OpDef* op : {&op::kMax, &op::kMin}) {
    EXPECT_TRUE(std::isnan(Pairwise<float>(*op, {nan}, {1})[0]));
    EXPECT_TRUE(std::isnan(Pairwise<float>(*op, {1}, {nan})[0]));
  }
}

TEST(Binary, Comparisons) {
  EXPECT_THAT(Pairwise<float>(op::kLess, {1, 2, 3}, {2, 2, 2}), ElementsAre(1, 0, 0));
  EXPECT_THAT(Pairwise<float>(op::kLessOrEqual, {1, 2, 3}, {2, 2, 2}), ElementsAre(1, 1, 0));
  EXPECT_THAT(Pairwise<int64_t>(op::kGreater, {1, 2, 3}, {2, 2, 2}), ElementsAre(0, 0, 1));
  EXPECT_THAT(Pairwise<uint8_t>(op::kGreaterOrEqual, {1, 2, 200}, {2, 2, 2}), ElementsAre(0, 1, 1));
  EXPECT_THAT(Pairwise<bool>(op::kEqual, {true, false}, {true, true}), ElementsAre(1, 0));
  // Neighbours that are the same as doubles.
  EXPECT_THAT(Pairwise<int64_t>(op::kEqual, {INT64_MAX}, {INT64_MAX - 1}), ElementsAre(0));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Pairwise<float>(op::kEqual, {nan}, {nan}), ElementsAre(0));
}

TEST(Binary, Logic) {
  EXPECT_THAT(Pairwise<bool>(op::kAnd, {true, true, false}, {true, false, false}),
              ElementsAre(1, 0, 0));
  EXPECT_THAT(Pairwise<bool>(op::kOr, {true, true, false}, {true, false, false}),
              ElementsAre(1, 1, 0));
  EXPECT_THAT(Pairwise<bool>(op::kXor, {true, true, false}, {true, false, false}),
              ElementsAre(0, 1, 0));
}

TEST(Binary, Broadcasts) {
  const Tensor column = Tensor::From<float>({2, 1}, {10, 20});
  const Tensor row = Tensor::From<float>({3}, {1, 2, 3});
  const Tensor y = RunOp(op::kAdd, {}, {column, row});
  EXPECT_EQ(y.dims(), (Dims{2, 3}));
  EXPECT_THAT(Values(y), ElementsAre(11, 12, 13, 21, 22, 23));
  EXPECT_EQ(RunOp(op::kAdd, {}, {Tensor(DType::kFloat32, {0, 3}), row}).dims(), (Dims{0, 3}));
  EXPECT_EQ(RunOp(op::kAdd, {}, {Tensor::Scalar(1.0f), Tensor::Scalar(2.0f)}),
            Tensor::Scalar(3.0f));
  // Rows longer than a block, from an operand that repeats one element.
  const Tensor wide = Ramp({2, 3000});
  const Tensor scaled = RunOp(op::kMul, {}, {wide, column});
  for (int64_t i = 0; i < 6000; ++i)
    ASSERT_EQ(scaled.AsDouble(i), wide.AsDouble(i) * (i < 3000 ? 10 : 20));
}

TEST(Binary, FusedActivation) {
  BinaryParams p;
  p.Fuse({.kind = ActivationKind::kClip, .a = 0, .b = 2});
  EXPECT_THAT(Pairwise<float>(op::kAdd, {1, -2, 5}, {0.5f, 1, 1}, Params::Of(p)),
              ElementsAre(1.5, 0, 2));
  const auto ints = TryRun(op::kAdd, Params::Of(p), {Tensor::FromInts({1}), Tensor::FromInts({1})});
  ASSERT_FALSE(ints.has_value());
  EXPECT_THAT(ints.error().message(), HasSubstr("floats"));
}

TEST(Binary, PReluBroadcastsOneWay) {
  const Tensor x = Tensor::From<float>({1, 2, 2}, {-1, 2, -3, 4});
  const Tensor slope = Tensor::From<float>({2, 1}, {0.5f, 0.25f});
  EXPECT_THAT(Values(RunOp(op::kPRelu, {}, {x, slope})), ElementsAre(-0.5, 2, -0.75, 4));
  EXPECT_THAT(InferText(op::kPRelu, {}, {F32({2}), F32({3, 2})}), HasSubstr("does not broadcast"));
  EXPECT_THAT(InferText(op::kPRelu, {}, {F32({1, 2}), F32({3, 2})}),
              HasSubstr("does not broadcast"));
  EXPECT_EQ(InferText(op::kPRelu, {}, {F32({Sym("N"), 8, 4}), F32({8, 1})}), "float32[N,8,4]");
}

TEST(Binary, InferShapes) {
  EXPECT_EQ(InferText(op::kAdd, {}, {F32({Sym("N"), 1, 4}), F32({3, 1})}), "float32[N,3,4]");
  EXPECT_EQ(InferText(op::kLess, {}, {F32({2}), F32({2})}), "bool[2]");
  EXPECT_THAT(InferText(op::kAdd, {}, {F32({2, 3}), F32({4})}), HasSubstr("broadcast"));
  EXPECT_THAT(InferText(op::kAdd, {}, {F32({2}), TensorType{DType::kInt32, Shape{2}}}),
              HasSubstr("type"));
  EXPECT_EQ(InferText(op::kEqual, {}, {F32({2}), TensorType{DType::kFloat32, std::nullopt}}),
            "bool[?]");
}

}  // namespace
}  // namespace sula
