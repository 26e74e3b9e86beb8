#include "ops/gather.h"

#include <limits>

#include "ops/run_op.h"
#include "tensor/shape.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorType I64(Shape shape) { return {DType::kInt64, std::move(shape)}; }
Tensor I64(Dims dims, std::initializer_list<int64_t> values) {
  return Tensor::From<int64_t>(std::move(dims), values);
}
Params Axis(int64_t axis) { return Params::Of(AxisParams{axis}); }
Params Scatter(int64_t axis, ScatterReduction reduction = ScatterReduction::kNone) {
  return Params::Of(ScatterParams{axis, reduction});
}

std::string ErrorOf(const OpDef& op, const Inputs& inputs, Params params = {}) {
  const auto result = TryRun(op, std::move(params), inputs);
  return result ? "no error" : result.error().ToString();
}

const Tensor kX = Tensor::From<float>({2, 3}, {0, 1, 2, 10, 11, 12});

TEST(Gather, AlongAnyAxis) {
  EXPECT_EQ(RunOp(op::kGather, {}, {kX, Tensor::Scalar(int64_t{-1})}),
            Tensor::From<float>({3}, {10, 11, 12}));
  EXPECT_EQ(RunOp(op::kGather, Axis(1), {kX, I64({1, 2}, {2, 0})}),
            Tensor::From<float>({2, 1, 2}, {2, 0, 12, 10}));
  EXPECT_EQ(RunOp(op::kGather, Axis(-1), {kX, Tensor::From<int32_t>({1}, {-3})}),
            Tensor::From<float>({2, 1}, {0, 10}));
  EXPECT_EQ(RunOp(op::kGather, {}, {kX, I64({0}, {})}).dims(), (Dims{0, 3}));
  EXPECT_EQ(RunOp(op::kGather, {}, {Tensor::From<bool>({2}, {true, false}), I64({2}, {1, 0})}),
            Tensor::From<bool>({2}, {false, true}));
}

TEST(Gather, Refuses) {
  EXPECT_THAT(ErrorOf(op::kGather, {kX, I64({1}, {2})}), HasSubstr("index 2"));
  EXPECT_THAT(ErrorOf(op::kGather, {kX, I64({1}, {-3})}), HasSubstr("index -3"));
  EXPECT_THAT(ErrorOf(op::kGather, {kX, I64({1}, {INT64_MIN})}), HasSubstr("outside"));
  EXPECT_THAT(ErrorOf(op::kGather, {Tensor(DType::kFloat32, {0, 4}), I64({1}, {0})}),
              HasSubstr("index 0"));
  EXPECT_THAT(ErrorOf(op::kGather, {kX, I64({1}, {0})}, Axis(2)), HasSubstr("axis 2"));
  EXPECT_EQ(InferText(op::kGather, Axis(1), {F32({Sym("N"), 3, 4}), I64({Sym("k"), 2})}),
            "float32[N,k,2,4]");
}

TEST(GatherElements, PicksAlongAxis) {
  EXPECT_EQ(RunOp(op::kGatherElements, Axis(1), {kX, I64({2, 2}, {0, -1, 1, 1})}),
            Tensor::From<float>({2, 2}, {0, 2, 11, 11}));
  EXPECT_EQ(RunOp(op::kGatherElements, {}, {kX, I64({1, 2}, {1, 0})}),
            Tensor::From<float>({1, 2}, {10, 1}));
  EXPECT_THAT(ErrorOf(op::kGatherElements, {kX, I64({1, 1}, {2})}), HasSubstr("index 2"));
  EXPECT_THAT(ErrorOf(op::kGatherElements, {kX, I64({1, 4}, {0, 0, 0, 0})}),
              HasSubstr("do not fit"));
  EXPECT_THAT(ErrorOf(op::kGatherElements, {kX, I64({1}, {0})}), HasSubstr("do not fit"));
}

TEST(GatherND, TuplesAndBatches) {
  EXPECT_EQ(RunOp(op::kGatherND, {}, {kX, I64({2, 2}, {0, 1, -1, -1})}),
            Tensor::From<float>({2}, {1, 12}));
  EXPECT_EQ(RunOp(op::kGatherND, {}, {kX, I64({1}, {1})}), Tensor::From<float>({3}, {10, 11, 12}));
  EXPECT_EQ(RunOp(op::kGatherND, Params::Of(GatherNDParams{1}), {kX, I64({2, 1}, {2, 0})}),
            Tensor::From<float>({2}, {2, 10}));
  EXPECT_EQ(RunOp(op::kGatherND, Params::Of(GatherNDParams{1}), {kX, I64({2, 2, 1}, {2, 0, 1, 1})}),
            Tensor::From<float>({2, 2}, {2, 0, 11, 11}));
}

TEST(GatherND, Refuses) {
  EXPECT_THAT(ErrorOf(op::kGatherND, {kX, I64({1, 2}, {0, 3})}), HasSubstr("index 3"));
  EXPECT_THAT(ErrorOf(op::kGatherND, {kX, I64({1, 3}, {0, 0, 0})}), HasSubstr("tuples of 3"));
  EXPECT_THAT(ErrorOf(op::kGatherND, {kX, Tensor::Scalar(int64_t{0})}), HasSubstr("batch_dims"));
  EXPECT_THAT(ErrorOf(op::kGatherND, {kX, I64({3, 1}, {0, 0, 0})}, Params::Of(GatherNDParams{1})),
              HasSubstr("batch axis 0"));
  EXPECT_EQ(InferText(op::kGatherND, {}, {F32({2, 3}), I64({4, Sym("k")})}), "float32[?]");
}

TEST(ScatterElements, Reductions) {
  const Tensor x = Tensor::From<float>({1, 3}, {1, 2, 3});
  const Tensor indices = I64({1, 2}, {1, -2}), updates = Tensor::From<float>({1, 2}, {5, -7});
  const auto middle = [&](ScatterReduction r) {
    return RunOp(op::kScatterElements, Scatter(1, r), {x, indices, updates}).AsDouble(1);
  };
  EXPECT_EQ(middle(ScatterReduction::kNone), -7);
  EXPECT_EQ(middle(ScatterReduction::kAdd), 0);
  EXPECT_EQ(middle(ScatterReduction::kMul), -70);
  EXPECT_EQ(middle(ScatterReduction::kMax), 5);
  EXPECT_EQ(middle(ScatterReduction::kMin), -7);
  EXPECT_EQ(
      RunOp(op::kScatterElements, Scatter(0, ScatterReduction::kAdd),
            {Tensor::From<int8_t>({1}, {100}), I64({1}, {0}), Tensor::From<int8_t>({1}, {100})}),
      Tensor::From<int8_t>({1}, {-56}));
}

TEST(ScatterElements, Refuses) {
  const Tensor one = Tensor::From<float>({1, 1}, {1});
  EXPECT_THAT(ErrorOf(op::kScatterElements, {kX, I64({1, 1}, {2}), one}), HasSubstr("index 2"));
  EXPECT_THAT(ErrorOf(op::kScatterElements, {kX, I64({1, 2}, {0, 0}), one}), HasSubstr("differ"));
  EXPECT_THAT(
      ErrorOf(op::kScatterElements, {kX, I64({1, 1}, {0}), Tensor::From<int8_t>({1, 1}, {1})}),
      HasSubstr("type"));
  EXPECT_THAT(
      ErrorOf(op::kScatterElements,
              {Tensor::From<bool>({1}, {true}), I64({1}, {0}), Tensor::From<bool>({1}, {true})},
              Scatter(0, ScatterReduction::kAdd)),
      HasSubstr("bool"));
}

TEST(ScatterND, SlicesAndReductions) {
  EXPECT_EQ(
      RunOp(op::kScatterND, {}, {kX, I64({1, 1}, {-1}), Tensor::From<float>({1, 3}, {7, 8, 9})}),
      Tensor::From<float>({2, 3}, {0, 1, 2, 7, 8, 9}));
  EXPECT_EQ(RunOp(op::kScatterND, Scatter(0, ScatterReduction::kAdd),
                  {kX, I64({2, 2}, {0, 0, 0, 0}), Tensor::From<float>({2}, {1, 2})}),
            Tensor::From<float>({2, 3}, {3, 1, 2, 10, 11, 12}));
  EXPECT_EQ(RunOp(op::kScatterND, {}, {kX, I64({0, 1}, {}), Tensor(DType::kFloat32, {0, 3})}), kX);
}

TEST(ScatterND, Refuses) {
  const Tensor row = Tensor::From<float>({1, 3}, {7, 8, 9});
  EXPECT_THAT(ErrorOf(op::kScatterND, {kX, I64({1, 1}, {2}), row}), HasSubstr("index 2"));
  EXPECT_THAT(ErrorOf(op::kScatterND, {kX, I64({1, 2}, {0, 0}), row}), HasSubstr("[1]"));
  EXPECT_THAT(ErrorOf(op::kScatterND, {kX, I64({1, 3}, {0, 0, 0}), row}), HasSubstr("tuples of 3"));
  EXPECT_THAT(ErrorOf(op::kScatterND, {kX, Tensor::Scalar(int64_t{0}), row}), HasSubstr("rank 1"));
}

TEST(OneHot, AxesAndRange) {
  const Tensor indices = I64({3}, {0, -1, 5}), depth = Tensor::Scalar(int64_t{2});
  const Tensor values = Tensor::From<float>({2}, {-1, 3});
  EXPECT_EQ(RunOp(op::kOneHot, {}, {indices, depth, values}),
            Tensor::From<float>({3, 2}, {3, -1, -1, 3, -1, -1}));
  EXPECT_EQ(RunOp(op::kOneHot, Params::Of(OneHotParams{0}), {indices, depth, values}),
            Tensor::From<float>({2, 3}, {3, -1, -1, -1, 3, -1}));
  EXPECT_EQ(RunOp(op::kOneHot, {},
                  {Tensor::Scalar(1.0f), Tensor::From<float>({1}, {2}),
                   Tensor::From<int8_t>({2}, {0, 1})}),
            Tensor::From<int8_t>({2}, {0, 1}));
}

TEST(OneHot, InferAndRefuse) {
  const TensorType indices = I64({Sym("N")}), depth = I64({}), values = F32({2});
  EXPECT_EQ(InferText(op::kOneHot, {}, {indices, depth, values}), "float32[N,_0]");
  EXPECT_EQ(InferText(op::kOneHot, {}, {indices, depth, values},
                      {std::nullopt, Tensor::Scalar(int64_t{7})}),
            "float32[N,7]");
  const Tensor index = I64({1}, {0}), on_off = Tensor::From<float>({2}, {0, 1});
  EXPECT_NE(ErrorOf(op::kOneHot, {index, Tensor::Scalar(int64_t{-1}), on_off}), "no error");
  EXPECT_THAT(ErrorOf(op::kOneHot, {index, Tensor::Scalar(INT64_MAX), on_off}),
              HasSubstr("resource exhausted"));
  EXPECT_NE(ErrorOf(op::kOneHot, {index, Tensor::Scalar(int64_t{2}), kX}), "no error");
}

TEST(NonZero, Places) {
  const Tensor x = Tensor::From<float>({2, 2}, {1, 0, -0.0f, 3});
  EXPECT_EQ(RunOp(op::kNonZero, {}, {x}), I64({2, 2}, {0, 1, 0, 1}));
  EXPECT_EQ(RunOp(op::kNonZero, {}, {Tensor::From<bool>({3}, {false, true, true})}),
            I64({1, 2}, {1, 2}));
  EXPECT_EQ(RunOp(op::kNonZero, {}, {Tensor::Scalar(2.0f)}), I64({1, 1}, {0}));
  EXPECT_EQ(RunOp(op::kNonZero, {}, {Tensor(DType::kInt8, {0, 3})}).dims(), (Dims{2, 0}));
  EXPECT_EQ(InferText(op::kNonZero, {}, {F32({Sym("N"), 3})}), "int64[2,_0]");
}

// ---- NonMaxSuppression

const Tensor kBoxes = Tensor::From<float>(
    {1, 4, 4}, {0, 0, 1, 1, /**/ 0, 0.1f, 1, 1.1f, /**/ 0, 10, 1, 11, /**/ 1, 11, 0, 10});
const Tensor kScores = Tensor::From<float>({1, 1, 4}, {0.5f, 0.9f, 0.25f, 0.125f});

std::vector<double> Nms(std::optional<int64_t> max, std::optional<float> iou,
                        std::optional<float> score, bool center = false,
                        const Tensor& boxes = kBoxes) {
  Inputs inputs = {boxes, kScores, std::nullopt, std::nullopt, std::nullopt};
  if (max) inputs[2] = Tensor::Scalar(*max);
  if (iou) inputs[3] = Tensor::From<float>({1}, {*iou});
  if (score) inputs[4] = Tensor::Scalar(*score);
  const Tensor y =
      RunOp(op::kNonMaxSuppression, Params::Of(NonMaxSuppressionParams{center}), inputs);
  EXPECT_EQ(y.dim(1), 3);
  std::vector<double> boxes_of;
  for (int64_t i = 0; i < y.dim(0); ++i) boxes_of.push_back(y.AsDouble(3 * i + 2));
  return boxes_of;
}

TEST(NonMaxSuppression, SelectsBestFirst) {
  // Boxes 0 and 1 overlap by 9 / 11, boxes 2 and 3 (corners swapped) are the same.
  EXPECT_THAT(Nms(10, 0.5f, std::nullopt), ElementsAre(1, 2));
  EXPECT_THAT(Nms(10, 0.9f, std::nullopt), ElementsAre(1, 0, 2));
  EXPECT_THAT(Nms(10, 1.0f, std::nullopt), ElementsAre(1, 0, 2, 3));
  EXPECT_THAT(Nms(1, 0.9f, std::nullopt), ElementsAre(1));
  EXPECT_THAT(Nms(10, 0.9f, 0.25f), ElementsAre(1, 0));
  EXPECT_THAT(Nms(10, std::nullopt, std::nullopt), ElementsAre(1, 2));
  EXPECT_TRUE(Nms(std::nullopt, 0.5f, std::nullopt).empty());
  EXPECT_TRUE(Nms(0, 0.5f, std::nullopt).empty());
}

TEST(NonMaxSuppression, CenterFormat) {
  const Tensor boxes = Tensor::From<float>(
      {1, 4, 4}, {0.5f, 0.5f, 1, 1, 0.6f, 0.5f, 1, 1, 10.5f, 0.5f, 1, 1, 20, 20, 1, 1});
  EXPECT_THAT(Nms(10, 0.5f, std::nullopt, true, boxes), ElementsAre(1, 2, 3));
}

TEST(NonMaxSuppression, EmptyAndNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor scores = Tensor::From<float>({1, 1, 4}, {nan, 0.9f, nan, 0.5f});
  const Tensor y = RunOp(op::kNonMaxSuppression, {}, {kBoxes, scores, Tensor::Scalar(int64_t{1})});
  EXPECT_EQ(y, I64({1, 3}, {0, 0, 1}));
  const Tensor none = RunOp(op::kNonMaxSuppression, {},
                            {Tensor(DType::kFloat32, {1, 0, 4}), Tensor(DType::kFloat32, {1, 2, 0}),
                             Tensor::Scalar(int64_t{5})});
  EXPECT_EQ(none.dims(), (Dims{0, 3}));
}

TEST(NonMaxSuppression, InferAndRefuse) {
  EXPECT_EQ(InferText(op::kNonMaxSuppression, {}, {F32({1, Sym("n"), 4}), F32({1, 2, Sym("n")})}),
            "int64[_0,3]");
  EXPECT_THAT(ErrorOf(op::kNonMaxSuppression, {kBoxes, Ramp({1, 1, 5})}), HasSubstr("[1,1,5]"));
  EXPECT_THAT(ErrorOf(op::kNonMaxSuppression, {Ramp({4, 4}), kScores}), HasSubstr("[4,4]"));
  EXPECT_THAT(ErrorOf(op::kNonMaxSuppression, {kBoxes, kScores, I64({2}, {1, 1})}),
              HasSubstr("max_per_class"));
}

}  // namespace
}  // namespace sula
