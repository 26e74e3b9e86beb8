#include "ops/reduce.h"

#include <cmath>
#include <functional>
#include <limits>

#include "ops/run_op.h"
#include "tensor/shape.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Params Axes(std::vector<int64_t> axes, bool keepdims = true, bool noop = false) {
  return Params::Of(ReduceParams{std::move(axes), keepdims, noop});
}

std::string ErrorOf(const OpDef& op, const Inputs& inputs, Params params = {}) {
  const auto result = TryRun(op, std::move(params), inputs);
  return result ? "no error" : result.error().ToString();
}

struct Formula {
  const OpDef* op;
  std::function<double(const std::vector<double>&)> of;
};

double Fold(const std::vector<double>& v, double first, double (*f)(double, double)) {
  for (double x : v) first = f(first, x);
  return first;
}

const Formula kFormulas[] = {
    {&op::kReduceSum,
     [](const auto& v) { return Fold(v, 0, [](double a, double b) { return a + b; }); }},
    {&op::kReduceMean,
     [](const auto& v) {
       return Fold(v, 0, [](double a, double b) { return a + b; }) / static_cast<double>(v.size());
     }},
    {&op::kReduceMax,
     [](const auto& v) {
       return Fold(v, -kInfinity, [](double a, double b) { return a > b ? a : b; });
     }},
    {&op::kReduceMin,
     [](const auto& v) {
       return Fold(v, kInfinity, [](double a, double b) { return a < b ? a : b; });
     }},
    {&op::kReduceProd,
     [](const auto& v) { return Fold(v, 1, [](double a, double b) { return a * b; }); }},
    {&op::kReduceL1,
     [](const auto& v) { return Fold(v, 0, [](double a, double b) { return a + std::abs(b); }); }},
    {&op::kReduceL2,
     [](const auto& v) {
       return std::sqrt(Fold(v, 0, [](double a, double b) { return a + b * b; }));
     }},
    {&op::kReduceLogSum,
     [](const auto& v) { return std::log(Fold(v, 0, [](double a, double b) { return a + b; })); }},
    {&op::kReduceLogSumExp,
     [](const auto& v) {
       return std::log(Fold(v, 0, [](double a, double b) { return a + std::exp(b); }));
     }},
    {&op::kReduceSumSquare,
     [](const auto& v) { return Fold(v, 0, [](double a, double b) { return a + b * b; }); }},
};

// Every output element over the elements of x that agree with it on the axes that stay.
TEST(Reduce, AgreesWithItsFormulaOverAllSetsOfAxes) {
  Tensor x = Ramp({2, 3, 4, 5});
  for (float& v : x.mutable_data<float>()) v += 1.5f;  // positive: LogSum
  for (const Formula& f : kFormulas) {
    for (int mask = 1; mask < 16; ++mask) {
      SCOPED_TRACE(StrCat(f.op->name, " mask ", mask));
      std::vector<int64_t> axes;
      Dims dims = x.dims();
      for (int i = 0; i < 4; ++i) {
        if (mask & (1 << i)) axes.push_back(i % 2 == 0 ? i : i - 4), dims[i] = 1;
      }
      const Tensor y = RunOp(*f.op, Axes(axes), {x});
      ASSERT_EQ(y.dims(), dims);
      std::vector<std::vector<double>> groups(y.num_elements());
      const Dims strides = RowMajorStrides(dims);
      for (int64_t i = 0; i < x.num_elements(); ++i) {
        int64_t rest = i, to = 0;
        for (int axis = 3; axis >= 0; --axis) {
          if (!(mask & (1 << axis))) to += rest % x.dim(axis) * strides[axis];
          rest /= x.dim(axis);
        }
        groups[to].push_back(x.AsDouble(i));
      }
      std::vector<double> expected;
      for (const auto& g : groups) expected.push_back(f.of(g));
      // One rounding to float; at most 120 roundings in double besides.
      ExpectNear(Values(y), expected, kFloatRounding * 1.01, 1e-12);
    }
  }
}

TEST(Reduce, AxesInputAndKeepdims) {
  const Tensor x = Tensor::From<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(RunOp(op::kReduceSum, Axes({0}, false), {x, Tensor::FromInts({1})}),
            Tensor::From<float>({2}, {3, 7}));
  EXPECT_EQ(RunOp(op::kReduceSum, {}, {x}), Tensor::From<float>({1, 1}, {10}));
  EXPECT_EQ(RunOp(op::kReduceSum, Axes({}, false), {x}), Tensor::Scalar(10.0f));
  EXPECT_EQ(RunOp(op::kReduceSum, {}, {x, Tensor::FromInts({})}),
            Tensor::From<float>({1, 1}, {10}));
  EXPECT_EQ(RunOp(op::kReduceSum, Axes({}, true, true), {x}), x);
  EXPECT_EQ(RunOp(op::kReduceSumSquare, Axes({}, true, true), {x, Tensor::FromInts({})}),
            Tensor::From<float>({2, 2}, {1, 4, 9, 16}));
  EXPECT_EQ(RunOp(op::kReduceMax, {}, {Tensor::Scalar(3.0f)}), Tensor::Scalar(3.0f));
}

TEST(Reduce, OverNothing) {
  const Tensor floats(DType::kFloat32, {2, 0});
  const auto at = [&](const OpDef& op) { return RunOp(op, Axes({1}), {floats}).AsDouble(0); };
  EXPECT_EQ(at(op::kReduceSum), 0);
  EXPECT_EQ(at(op::kReduceProd), 1);
  EXPECT_EQ(at(op::kReduceMax), -kInfinity);
  EXPECT_EQ(at(op::kReduceMin), kInfinity);
  EXPECT_EQ(at(op::kReduceL2), 0);
  EXPECT_EQ(at(op::kReduceLogSum), -kInfinity);
  EXPECT_EQ(at(op::kReduceLogSumExp), -kInfinity);
  EXPECT_TRUE(std::isnan(at(op::kReduceMean)));
  const Tensor bytes(DType::kInt8, {0});
  EXPECT_EQ(RunOp(op::kReduceMax, {}, {bytes}).AsInt(0), -128);
  EXPECT_EQ(RunOp(op::kReduceMin, {}, {bytes}).AsInt(0), 127);
  EXPECT_EQ(RunOp(op::kReduceMean, {}, {bytes}).AsInt(0), 0);
  EXPECT_EQ(RunOp(op::kReduceMax, {}, {Tensor(DType::kBool, {0})}),
            Tensor::From<bool>({1}, {false}));
  EXPECT_EQ(RunOp(op::kReduceMin, {}, {Tensor(DType::kBool, {0})}),
            Tensor::From<bool>({1}, {true}));
  EXPECT_EQ(RunOp(op::kReduceSum, Axes({0}), {floats}).dims(), (Dims{1, 0}));
}

TEST(Reduce, IntegersAndBool) {
  const Tensor x = Tensor::From<int32_t>({3}, {-7, 2, INT32_MAX});
  EXPECT_EQ(RunOp(op::kReduceSum, {}, {x}).AsInt(0), INT32_MAX - 5);
  EXPECT_EQ(RunOp(op::kReduceMin, {}, {x}).AsInt(0), -7);
  EXPECT_EQ(RunOp(op::kReduceMean, {}, {Tensor::From<int32_t>({2}, {-7, 2})}).AsInt(0), -2);
  EXPECT_EQ(RunOp(op::kReduceL1, {}, {Tensor::From<int64_t>({2}, {-7, 2})}).AsInt(0), 9);
  EXPECT_EQ(RunOp(op::kReduceL2, {}, {Tensor::From<int64_t>({2}, {-3, 4})}).AsInt(0), 5);
  EXPECT_EQ(RunOp(op::kReduceSumSquare, {}, {Tensor::From<int8_t>({2}, {10, 10})}).AsInt(0), -56);
  const Tensor b = Tensor::From<bool>({2, 2}, {true, false, true, true});
  EXPECT_THAT(Values(RunOp(op::kReduceMin, Axes({1}), {b})), ElementsAre(0, 1));
  EXPECT_THAT(Values(RunOp(op::kReduceMax, Axes({0}), {b})), ElementsAre(1, 1));
}

TEST(Reduce, LogSumExpDoesNotOverflow) {
  const Tensor x = Tensor::From<float>({2}, {1000, 1000});
  ExpectNear(Values(RunOp(op::kReduceLogSumExp, {}, {x})), {1000 + std::log(2)}, kFloatRounding);
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(RunOp(op::kReduceLogSumExp, {}, {Tensor::From<float>({2}, {-inf, -inf})}).AsDouble(0),
            -kInfinity);
  EXPECT_EQ(RunOp(op::kReduceLogSumExp, {}, {Tensor::From<float>({2}, {inf, 1})}).AsDouble(0),
            kInfinity);
}

TEST(Reduce, NaNWins) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::From<float>({3}, {1, nan, 2});
  EXPECT_TRUE(std::isnan(RunOp(op::kReduceMax, {}, {x}).AsDouble(0)));
  EXPECT_TRUE(std::isnan(RunOp(op::kReduceMin, {}, {x}).AsDouble(0)));
}

TEST(Reduce, InferAndRefuse) {
  const TensorType x = F32({Sym("N"), 3, Sym("L")});
  EXPECT_EQ(InferText(op::kReduceSum, Axes({-1}, false), {x}), "float32[N,3]");
  EXPECT_EQ(InferText(op::kReduceSum, {}, {x}), "float32[1,1,1]");
  const TensorType axes = {DType::kInt64, Shape{1}};
  EXPECT_EQ(InferText(op::kReduceSum, {}, {x, axes}), "float32[_0,_1,_2]");
  EXPECT_EQ(InferText(op::kReduceSum, Axes({}, false), {x, axes}), "float32[?]");
  EXPECT_THAT(InferText(op::kReduceSum, Axes({3}), {x}), HasSubstr("axis 3"));
  EXPECT_THAT(InferText(op::kReduceSum, Axes({0, -3}), {x}), HasSubstr("twice"));
}

TEST(ArgMax, TiesAxesAndTypes) {
  const Tensor x = Tensor::From<float>({2, 3}, {1, 5, 5, 7, 2, 7});
  EXPECT_EQ(RunOp(op::kArgMax, Params::Of(ArgParams{.axis = 1}), {x}),
            Tensor::From<int64_t>({2, 1}, {1, 0}));
  EXPECT_EQ(
      RunOp(op::kArgMax,
            Params::Of(ArgParams{.axis = -1, .keepdims = false, .select_last_index = true}), {x}),
      Tensor::From<int64_t>({2}, {2, 2}));
  EXPECT_EQ(RunOp(op::kArgMin, Params::Of(ArgParams{.keepdims = false}), {x}),
            Tensor::From<int64_t>({3}, {0, 1, 0}));
  EXPECT_EQ(RunOp(op::kArgMax, {}, {Tensor::From<uint8_t>({2}, {3, 200})}),
            Tensor::From<int64_t>({1}, {1}));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(RunOp(op::kArgMax, {}, {Tensor::From<float>({4}, {1, nan, 9, nan})}).AsInt(0), 1);
  EXPECT_EQ(RunOp(op::kArgMin, {}, {Tensor::From<float>({3}, {1, nan, 0})}).AsInt(0), 1);
}

TEST(ArgMax, Refuses) {
  EXPECT_THAT(ErrorOf(op::kArgMax, {Tensor(DType::kFloat32, {0, 2})}), HasSubstr("nothing"));
  EXPECT_THAT(ErrorOf(op::kArgMax, {Tensor::Scalar(1.0f)}), HasSubstr("axis 0"));
}

TEST(CumSum, Directions) {
  const Tensor x = Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto sum = [&](int64_t axis, bool exclusive, bool reverse) {
    return Values(RunOp(op::kCumSum, Params::Of(CumSumParams{exclusive, reverse}),
                        {x, Tensor::Scalar(axis)}));
  };
  EXPECT_THAT(sum(1, false, false), ElementsAre(1, 3, 6, 4, 9, 15));
  EXPECT_THAT(sum(-1, true, false), ElementsAre(0, 1, 3, 0, 4, 9));
  EXPECT_THAT(sum(1, false, true), ElementsAre(6, 5, 3, 15, 11, 6));
  EXPECT_THAT(sum(1, true, true), ElementsAre(5, 3, 0, 11, 6, 0));
  EXPECT_THAT(sum(0, false, false), ElementsAre(1, 2, 3, 5, 7, 9));
  EXPECT_THAT(
      Values(RunOp(op::kCumSum, {},
                   {Tensor::From<int8_t>({2}, {100, 100}), Tensor::From<int32_t>({1}, {0})})),
      ElementsAre(100, -56));
  EXPECT_THAT(ErrorOf(op::kCumSum, {x, Tensor::Scalar(int64_t{2})}), HasSubstr("axis 2"));
}

TEST(TopK, OrderAndTies) {
  const Tensor x = Tensor::From<float>({2, 4}, {3, 1, 3, 2, 0, -1, 5, 5});
  const auto top = [&](TopKParams p, int64_t k) {
    auto result = TryRun(op::kTopK, Params::Of(p), {x, Tensor::FromInts({k})}, 2);
    EXPECT_TRUE(result.has_value()) << result.error().ToString();
    return result ? *result : std::vector<Tensor>(2);
  };
  auto largest = top({}, 2);
  EXPECT_THAT(Values(largest[0]), ElementsAre(3, 3, 5, 5));
  EXPECT_THAT(Values(largest[1]), ElementsAre(0, 2, 2, 3));
  auto smallest = top({.largest = false}, 3);
  EXPECT_THAT(Values(smallest[0]), ElementsAre(1, 2, 3, -1, 0, 5));
  EXPECT_THAT(Values(smallest[1]), ElementsAre(1, 3, 0, 1, 0, 2));
  auto columns = top({.axis = 0}, 1);
  EXPECT_THAT(Values(columns[0]), ElementsAre(3, 1, 5, 5));
  EXPECT_THAT(Values(columns[1]), ElementsAre(0, 0, 1, 1));
  EXPECT_EQ(top({}, 0)[0].dims(), (Dims{2, 0}));
}

TEST(TopK, InferAndRefuse) {
  const Tensor x = Ramp({3});
  EXPECT_THAT(ErrorOf(op::kTopK, {x, Tensor::FromInts({4})}), HasSubstr("k = 4"));
  EXPECT_THAT(ErrorOf(op::kTopK, {x, Tensor::FromInts({-1})}), HasSubstr("k = -1"));
  EXPECT_THAT(ErrorOf(op::kTopK, {x, Tensor::FromInts({1, 1})}), HasSubstr("k"));
  EXPECT_EQ(InferText(op::kTopK, {}, {F32({Sym("N"), 9}), {{DType::kInt64, Shape{1}}}}),
            "float32[N,_0]");
}

}  // namespace
}  // namespace sula
