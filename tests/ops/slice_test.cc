// Slice, ReverseSequence, Pad.
#include "ops/movement.h"
#include "ops/run_op.h"
#include "tensor/shape.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorType I64(Shape shape) { return {DType::kInt64, std::move(shape)}; }

Tensor Iota(Dims dims) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.num_elements(); ++i) t.mutable_data<float>()[i] = static_cast<float>(i);
  return t;
}

std::string ErrorOf(const OpDef& op, const Inputs& inputs, Params params = {}) {
  const auto result = TryRun(op, std::move(params), inputs);
  return result ? "no error" : result.error().ToString();
}

// Python's rule for sequence[start:end:step], by its definition.
std::vector<double> PythonSlice(int64_t size, int64_t start, int64_t end, int64_t step) {
  const auto adjust = [&](int64_t i) {
    if (i < 0) i = i < -size ? -1 : i + size;
    if (i < 0) i = step < 0 ? -1 : 0;
    if (i >= size) i = step < 0 ? size - 1 : size;
    return i;
  };
  std::vector<double> values;
  const int64_t last = adjust(end);
  for (int64_t i = adjust(start); step > 0 ? i < last : i > last; i += step)
    values.push_back(static_cast<double>(i));
  return values;
}

TEST(Slice, AgreesWithPython) {
  for (int64_t size : {0, 1, 5}) {
    const Tensor x = Iota({size});
    for (int64_t start = -7; start <= 7; ++start) {
      for (int64_t end = -7; end <= 7; ++end) {
        for (int64_t step : {-9, -2, -1, 1, 2, 9}) {
          const auto expected = PythonSlice(size, start, end, step);
          const Tensor y = RunOp(op::kSlice, {},
                                 {x, Tensor::FromInts({start}), Tensor::FromInts({end}),
                                  Tensor::FromInts({0}), Tensor::FromInts({step})});
          ASSERT_EQ(Values(y), expected) << size << ": " << start << ":" << end << ":" << step;
          // The symbolic formula, with the size put in later.
          const auto types =
              TryInfer(op::kSlice, {}, {F32({Sym("N")}), I64({1}), I64({1}), I64({1}), I64({1})},
                       {std::nullopt, Tensor::FromInts({start}), Tensor::FromInts({end}),
                        Tensor::FromInts({0}), Tensor::FromInts({step})});
          ASSERT_TRUE(types.has_value());
          const auto symbolic = (*(*types)[0].shape)[0].Evaluate({{"N", size}});
          ASSERT_TRUE(symbolic.has_value());
          ASSERT_EQ(*symbolic, static_cast<int64_t>(expected.size()))
              << size << ": " << start << ":" << end << ":" << step;
        }
      }
    }
  }
}

TEST(Slice, ExtremeNumbers) {
  const Tensor x = Iota({4});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return Values(RunOp(op::kSlice, {},
                        {x, Tensor::FromInts({start}), Tensor::FromInts({end}),
                         Tensor::FromInts({-1}), Tensor::FromInts({step})}));
  };
  EXPECT_THAT(slice(0, INT64_MAX, 1), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(slice(INT64_MAX, INT64_MIN, -1), ElementsAre(3, 2, 1, 0));
  EXPECT_THAT(slice(INT64_MIN, INT64_MAX, INT64_MAX), ElementsAre(0));
  EXPECT_THAT(slice(INT64_MAX, INT64_MIN, INT64_MIN), ElementsAre(3));
}

TEST(Slice, SeveralAxes) {
  const Tensor x = Iota({2, 3, 4});
  const Tensor y = RunOp(op::kSlice, {},
                         {x, Tensor::FromInts({1, 3}), Tensor::FromInts({-4, 0}),
                          Tensor::FromInts({1, 2}), Tensor::FromInts({-1, -2})});
  EXPECT_EQ(y.dims(), (Dims{2, 2, 2}));
  EXPECT_THAT(Values(y), ElementsAre(7, 5, 3, 1, 19, 17, 15, 13));
  EXPECT_EQ(RunOp(op::kSlice, {}, {x, Tensor::FromInts({1}), Tensor::FromInts({2})}).dims(),
            (Dims{1, 3, 4}));
  const Tensor i32 = Tensor::From<int32_t>({1}, {1});
  EXPECT_EQ(RunOp(op::kSlice, {}, {x, i32, Tensor::From<int32_t>({1}, {2})}).dims(),
            (Dims{1, 3, 4}));
}

TEST(Slice, InferPartlyKnown) {
  const TensorType x = F32({Sym("N"), 8, 8});
  const auto ints = [](std::vector<int64_t> v) { return Tensor::FromInts(v); };
  EXPECT_EQ(InferText(op::kSlice, {}, {x, I64({1}), I64({1}), I64({1})},
                      {std::nullopt, ints({0}), ints({INT64_MAX}), ints({0})}),
            "float32[N,8,8]");
  EXPECT_EQ(InferText(op::kSlice, {}, {x, I64({1}), I64({1}), I64({1})},
                      {std::nullopt, std::nullopt, std::nullopt, ints({2})}),
            "float32[N,8,_0]");
  EXPECT_EQ(InferText(op::kSlice, {}, {x, I64({1}), I64({1}), I64({1})}), "float32[_0,_1,_2]");
  EXPECT_EQ(InferText(op::kSlice, {}, {x, I64({Sym("k")}), I64({Sym("k")})}), "float32[_0,_1,_2]");
}

TEST(Slice, SymbolicSizesStayPlain) {
  const auto count = [](int64_t start, int64_t end, int64_t step) {
    return InferText(op::kSlice, {}, {F32({Sym("N")}), I64({1}), I64({1}), I64({1}), I64({1})},
                     {std::nullopt, Tensor::FromInts({start}), Tensor::FromInts({end}),
                      Tensor::FromInts({0}), Tensor::FromInts({step})});
  };
  EXPECT_EQ(count(0, INT32_MAX, 1), "float32[N]");
  EXPECT_EQ(count(0, INT64_MAX, 2), "float32[floor((N+1)/2)]");
  EXPECT_EQ(count(-1, INT64_MIN, -1), "float32[N]");
  EXPECT_EQ(count(INT64_MAX, INT64_MIN, -1), "float32[N]");
  EXPECT_EQ(count(-1, INT64_MAX, 1), "float32[min(1,N)]");
  EXPECT_EQ(count(0, -1, 1), "float32[max(0,N-1)]");
}

TEST(Slice, Refuses) {
  const Tensor x = Iota({4});
  const Tensor one = Tensor::FromInts({1}), two = Tensor::FromInts({1, 1});
  EXPECT_THAT(ErrorOf(op::kSlice, {x, one, one, one, one}), HasSubstr("axis 1"));
  EXPECT_THAT(ErrorOf(op::kSlice, {x, one, one, Tensor::FromInts({0}), Tensor::FromInts({0})}),
              HasSubstr("step of 0"));
  EXPECT_THAT(ErrorOf(op::kSlice, {x, one, two}), HasSubstr("1 starts, 2 ends"));
  EXPECT_THAT(ErrorOf(op::kSlice, {x, two, two}), HasSubstr("2 starts for 1 axes"));
  EXPECT_THAT(ErrorOf(op::kSlice, {x, two, two, Tensor::FromInts({0, -1})}), HasSubstr("twice"));
  EXPECT_THAT(ErrorOf(op::kSlice, {x, one, one, Tensor::FromInts({0, 0})}), HasSubstr("2 axes"));
}

TEST(ReverseSequence, BothAxisOrders) {
  const Tensor x = Iota({4, 2});
  const Tensor lengths = Tensor::FromInts({3, 1});
  EXPECT_THAT(Values(RunOp(op::kReverseSequence, {}, {x, lengths})),
              ElementsAre(4, 1, 2, 3, 0, 5, 6, 7));
  const Params batch_first = Params::Of(ReverseSequenceParams{.batch_axis = 0, .time_axis = 1});
  EXPECT_THAT(
      Values(RunOp(op::kReverseSequence, batch_first, {Iota({2, 3, 2}), Tensor::FromInts({0, 2})})),
      ElementsAre(0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11));
}

TEST(ReverseSequence, Refuses) {
  const Tensor x = Iota({4, 2});
  EXPECT_THAT(ErrorOf(op::kReverseSequence, {x, Tensor::FromInts({5, 1})}), HasSubstr("length 5"));
  EXPECT_THAT(ErrorOf(op::kReverseSequence, {x, Tensor::FromInts({-1, 1})}),
              HasSubstr("length -1"));
  EXPECT_THAT(ErrorOf(op::kReverseSequence, {x, Tensor::FromInts({1})}), HasSubstr("lengths"));
  EXPECT_THAT(ErrorOf(op::kReverseSequence, {Iota({4}), Tensor::FromInts({1})}),
              HasSubstr("rank 2"));
  EXPECT_THAT(ErrorOf(op::kReverseSequence, {x, Tensor::FromInts({1, 1})},
                      Params::Of(ReverseSequenceParams{.batch_axis = 1, .time_axis = 2})),
              HasSubstr("time_axis 2"));
}

std::vector<double> PadLine(PadMode mode, int64_t begin, int64_t end, int64_t size = 3) {
  return Values(
      RunOp(op::kPad, Params::Of(PadParams{mode}), {Iota({size}), Tensor::FromInts({begin, end})}));
}

TEST(Pad, Modes) {
  EXPECT_THAT(PadLine(PadMode::kConstant, 1, 2), ElementsAre(0, 0, 1, 2, 0, 0));
  EXPECT_THAT(PadLine(PadMode::kEdge, 2, 1), ElementsAre(0, 0, 0, 1, 2, 2));
  EXPECT_THAT(PadLine(PadMode::kReflect, 2, 1), ElementsAre(2, 1, 0, 1, 2, 1));
  EXPECT_THAT(PadLine(PadMode::kWrap, 2, 1), ElementsAre(1, 2, 0, 1, 2, 0));
  // Wider than the axis: goes on with the same rule.
  EXPECT_THAT(PadLine(PadMode::kReflect, 0, 5), ElementsAre(0, 1, 2, 1, 0, 1, 2, 1));
  EXPECT_THAT(PadLine(PadMode::kWrap, 4, 0), ElementsAre(2, 0, 1, 2, 0, 1, 2));
  EXPECT_THAT(PadLine(PadMode::kReflect, 2, 1, 1), ElementsAre(0, 0, 0, 0));
}

TEST(Pad, NegativePadsCutFirst) {
  EXPECT_THAT(PadLine(PadMode::kConstant, -1, 0), ElementsAre(1, 2));
  EXPECT_THAT(PadLine(PadMode::kConstant, -1, -1), ElementsAre(1));
  EXPECT_THAT(PadLine(PadMode::kConstant, -2, 2), ElementsAre(2, 0, 0));
  EXPECT_THAT(PadLine(PadMode::kEdge, 2, -1), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(PadLine(PadMode::kWrap, -1, 2), ElementsAre(1, 2, 1, 2));
  EXPECT_THAT(PadLine(PadMode::kConstant, -4, 2), ElementsAre(0));
}

TEST(Pad, ValueAndAxes) {
  const Tensor x = Iota({2, 2});
  const Tensor y = RunOp(
      op::kPad, {}, {x, Tensor::FromInts({1, 0}), Tensor::Scalar(9.0f), Tensor::FromInts({-1})});
  EXPECT_THAT(Values(y), ElementsAre(9, 0, 1, 9, 2, 3));
  const Tensor all = RunOp(op::kPad, {}, {x, Tensor::FromInts({1, 0, 0, 1}), Tensor::Scalar(9.0f)});
  EXPECT_THAT(Values(all), ElementsAre(9, 9, 9, 0, 1, 9, 2, 3, 9));
  EXPECT_EQ(RunOp(op::kPad, {}, {Tensor::Scalar(true), Tensor::FromInts({})}),
            Tensor::Scalar(true));
  EXPECT_EQ(RunOp(op::kPad, {},
                  {Tensor(DType::kInt8, {0}), Tensor::FromInts({1, 1}), Tensor::Scalar(int8_t{3})}),
            Tensor::From<int8_t>({2}, {3, 3}));
}

TEST(Pad, InferAndRefuse) {
  EXPECT_EQ(InferText(op::kPad, {}, {F32({Sym("N"), 4}), I64({4})},
                      {std::nullopt, Tensor::FromInts({0, 1, 0, 2})}),
            "float32[N,7]");
  EXPECT_EQ(InferText(op::kPad, {}, {F32({Sym("N"), 4}), I64({4})}), "float32[_0,_1]");
  const Tensor x = Iota({2});
  EXPECT_THAT(ErrorOf(op::kPad, {x, Tensor::FromInts({1})}), HasSubstr("2 pads"));
  EXPECT_THAT(ErrorOf(op::kPad, {x, Tensor::FromInts({-2, -1})}), HasSubstr("cut more"));
  EXPECT_NE(ErrorOf(op::kPad, {x, Tensor::FromInts({INT64_MAX, INT64_MAX})}), "no error");
  EXPECT_NE(ErrorOf(op::kPad, {x, Tensor::FromInts({INT64_MIN, INT64_MIN})}), "no error");
  EXPECT_THAT(ErrorOf(op::kPad, {x, Tensor::FromInts({int64_t{1} << 50, 0})}),
              HasSubstr("resource exhausted"));
  EXPECT_THAT(ErrorOf(op::kPad, {Tensor(DType::kFloat32, {0}), Tensor::FromInts({1, 1})},
                      Params::Of(PadParams{PadMode::kEdge})),
              HasSubstr("nothing to fill"));
  EXPECT_THAT(ErrorOf(op::kPad, {Iota({2, 2}), Tensor::FromInts({1, 1, 1, 1}), std::nullopt,
                                 Tensor::FromInts({1, -1})}),
              HasSubstr("twice"));
  EXPECT_THAT(ErrorOf(op::kPad, {x, Tensor::FromInts({1, 1}), Tensor::Scalar(int8_t{0})}),
              HasSubstr("type"));
}

}  // namespace
}  // namespace sula
