#include "ops/softmax.h"

#include <limits>

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

TEST(Softmax, EveryAxis) {
  const Tensor x = Ramp({2, 3, 4});
  for (int64_t axis = -3; axis < 3; ++axis) {
    const int a = static_cast<int>(axis < 0 ? axis + 3 : axis);
    const Tensor y = RunOp(op::kSoftmax, Params::Of(SoftmaxParams{axis}), {x});
    const Tensor log_y = RunOp(op::kLogSoftmax, Params::Of(SoftmaxParams{axis}), {x});
    const Dims strides = {12, 4, 1};
    std::vector<double> expected, logarithms;
    for (int64_t i = 0; i < 24; ++i) {
      const int64_t first = i - i / strides[a] % x.dim(a) * strides[a];
      double sum = 0;
      for (int64_t j = 0; j < x.dim(a); ++j) sum += std::exp(x.AsDouble(first + j * strides[a]));
      expected.push_back(std::exp(x.AsDouble(i)) / sum);
      logarithms.push_back(x.AsDouble(i) - std::log(sum));
    }
    ExpectNear(Values(y), expected, 2 * kFloatRounding);
    ExpectNear(Values(log_y), logarithms, 2 * kFloatRounding);
  }
}

TEST(Softmax, LargeValuesDoNotOverflow) {
  const Tensor x = Tensor::From<float>({1, 3}, {1e30f, 1e30f, -1e30f});
  EXPECT_EQ(Values(RunOp(op::kSoftmax, {}, {x})), (std::vector<double>{0.5, 0.5, 0}));
  const auto logs = Values(RunOp(op::kLogSoftmax, {}, {Tensor::From<float>({2}, {0, -1000})}));
  EXPECT_EQ(logs, (std::vector<double>{0, -1000}));
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Values(RunOp(op::kSoftmax, {}, {Tensor::From<float>({2}, {0, -inf})})),
            (std::vector<double>{1, 0}));
}

TEST(Hardmax, FirstMaximumWins) {
  const Tensor x = Tensor::From<float>({2, 3}, {1, 3, 3, 5, 5, -1});
  EXPECT_EQ(Values(RunOp(op::kHardmax, {}, {x})), (std::vector<double>{0, 1, 0, 1, 0, 0}));
  EXPECT_EQ(Values(RunOp(op::kHardmax, Params::Of(SoftmaxParams{0}), {x})),
            (std::vector<double>{0, 0, 1, 1, 1, 0}));
}

TEST(Softmax, TypesShapesErrors) {
  const Tensor x = Ramp({3, 5});
  // One rounding to float16; the double result stands for the exact one.
  ExpectNear(Values(RunOp(op::kSoftmax, {}, {To<Half>(x)})),
             Values(RunOp(op::kSoftmax, {}, {To<double>(x)})), 0x1p-11 + 1e-12);
  EXPECT_EQ(RunOp(op::kSoftmax, {}, {Ramp({0, 4})}).dims(), (Dims{0, 4}));
  EXPECT_EQ(RunOp(op::kSoftmax, {}, {Ramp({4, 0})}).dims(), (Dims{4, 0}));
  EXPECT_EQ(InferText(op::kLogSoftmax, {}, {F32({Sym("N"), 10})}), "float32[N,10]");
  EXPECT_THAT(InferText(op::kSoftmax, Params::Of(SoftmaxParams{2}), {F32({3, 4})}), HasSubstr("2"));
  EXPECT_FALSE(TryInfer(op::kSoftmax, {}, {F32({})}).has_value());
}

}  // namespace
}  // namespace sula
