#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/catalogue.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/sizes.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorType F32(Shape shape) { return {DType::kFloat32, std::move(shape)}; }

ValueId Add(Graph& g, const OpDef& op, std::vector<ValueId> inputs) {
  return g.node(g.AddNode(op, op.default_params(), std::move(inputs))).outputs[0];
}

TEST(EvaluateGraph, RunsInOrderAndReusesValues) {
  Graph g;
  const ValueId x = g.AddInput("x", F32({Dim::Symbol("N")}));
  const ValueId c = g.AddConstant("c", Tensor::Scalar(2.0f));
  const ValueId twice = Add(g, op::kMul, {x, c});
  const ValueId sum = Add(g, op::kAdd, {twice, x});
  const ValueId again = Add(g, op::kSub, {sum, twice});
  g.SetOutputs({again, sum, x, c, sum});
  ASSERT_TRUE(InferShapes(g).ok());
  std::vector<NodeId> seen;
  const auto run = EvaluateGraph(g, std::vector<Tensor>{Tensor::From<float>({2}, {1, 5})},
                                 [&](NodeId id, std::span<const Tensor> outputs) {
                                   seen.push_back(id);
                                   EXPECT_EQ(outputs.size(), 1u);
                                   EXPECT_EQ(outputs[0].dims(), (Dims{2}));
                                 });
  ASSERT_TRUE(run.has_value()) << run.error().ToString();
  EXPECT_THAT(seen, ElementsAre(0, 1, 2));
  EXPECT_EQ((*run)[0], Tensor::From<float>({2}, {1, 5}));
  EXPECT_EQ((*run)[1], Tensor::From<float>({2}, {3, 15}));
  EXPECT_EQ((*run)[2], (*run)[0]);
  EXPECT_EQ((*run)[3], Tensor::Scalar(2.0f));
  EXPECT_EQ((*run)[4], (*run)[1]);
}

TEST(EvaluateGraph, AbsentOutputsAndInputs) {
  Graph g;
  const ValueId x = g.AddInput("x", F32({4}));
  const ValueId high = g.AddConstant("high", Tensor::Scalar(1.0f));
  const ValueId clipped = Add(g, op::kClip, {x, kNoValue, high});
  const NodeId split =
      g.AddNode(op::kSplit, op::kSplit.default_params(), {clipped}, 2, "s", {"", "second"});
  ASSERT_FALSE(g.node(split).HasOutput(0));
  g.AddOutput(g.node(split).outputs[1]);
  ASSERT_TRUE(InferShapes(g).ok());
  const auto run = EvaluateGraph(g, std::vector<Tensor>{Tensor::From<float>({4}, {-3, 5, 0, 2})});
  ASSERT_TRUE(run.has_value()) << run.error().ToString();
  EXPECT_EQ((*run)[0], Tensor::From<float>({2}, {0, 1}));
}

TEST(EvaluateGraph, ChecksItsInputs) {
  Graph g;
  const ValueId x = g.AddInput("x", F32({Dim::Symbol("N"), 3}));
  g.AddOutput(Add(g, op::kNeg, {x}));
  ASSERT_TRUE(InferShapes(g).ok());
  const auto error = [&](std::vector<Tensor> inputs) {
    const auto run = EvaluateGraph(g, inputs);
    return run ? "no error" : run.error().message();
  };
  EXPECT_EQ(error({Tensor(DType::kFloat32, {5, 3})}), "no error");
  EXPECT_THAT(error({}), HasSubstr("1 inputs, given 0"));
  EXPECT_THAT(error({Tensor(DType::kFloat32, {5, 4})}), HasSubstr("'x' is declared float32[N,3]"));
  EXPECT_THAT(error({Tensor(DType::kFloat32, {3})}), HasSubstr("given float32[3]"));
  EXPECT_THAT(error({Tensor(DType::kInt32, {5, 3})}), HasSubstr("given int32[5,3]"));
}

TEST(EvaluateGraph, ErrorsNameTheNode) {
  Graph g;
  const ValueId x = g.AddInput("x", F32({2}));
  const ValueId i = g.AddInput("i", {DType::kInt64, Shape{1}});
  g.AddOutput(
      g.node(g.AddNode(op::kGather, op::kGather.default_params(), {x, i}, 1, "pick")).outputs[0]);
  ASSERT_TRUE(InferShapes(g).ok());
  const auto run =
      EvaluateGraph(g, std::vector<Tensor>{Tensor(DType::kFloat32, {2}), Tensor::FromInts({7})});
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(run.error().ToString(), HasSubstr("index 7"));
  EXPECT_THAT(run.error().ToString(), HasSubstr("'pick'"));
}

TEST(Sizes, CheckTensorSize) {
  EXPECT_TRUE(CheckTensorSize(DType::kFloat32, Dims{1000, 1000}).ok());
  EXPECT_TRUE(CheckTensorSize(DType::kFloat32, Dims{}).ok());
  EXPECT_TRUE(CheckTensorSize(DType::kFloat32, Dims{0, INT64_MAX, INT64_MAX}).ok());
  EXPECT_EQ(CheckTensorSize(DType::kFloat32, Dims{-1}).code(), Code::kInvalidModel);
  EXPECT_EQ(CheckTensorSize(DType::kInt8, Dims{INT64_MAX}).code(), Code::kResourceExhausted);
  EXPECT_EQ(CheckTensorSize(DType::kFloat32, Dims{int64_t{1} << 62}).code(),
            Code::kResourceExhausted);
  EXPECT_EQ(CheckTensorSize(DType::kFloat32, Shape{Dim::Symbol("N"), INT64_MAX}).code(),
            Code::kResourceExhausted);
  EXPECT_TRUE(CheckTensorSize(DType::kFloat32, Dims(kMaxRank, 1)).ok());
  EXPECT_EQ(CheckTensorSize(DType::kFloat32, Dims(kMaxRank + 1, 1)).code(), Code::kInvalidModel);
  EXPECT_FALSE(MakeTensor(DType::kFloat32, {INT64_MAX, 2}).has_value());
  EXPECT_EQ(MakeTensor(DType::kInt8, {0, 2})->dims(), (Dims{0, 2}));
}

}  // namespace
}  // namespace sula
