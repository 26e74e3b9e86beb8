#include "ops/shape_ops.h"

#include <limits>

#include "ir/graph.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorType I64(Shape shape) { return {DType::kInt64, std::move(shape)}; }

Dims DimsOf(const OpDef& op, const Inputs& inputs, Params params = {}) {
  return RunOp(op, std::move(params), inputs).dims();
}

std::string ErrorOf(const OpDef& op, const Inputs& inputs, Params params = {}) {
  const auto outputs = TryRun(op, std::move(params), inputs);
  return outputs ? "no error" : outputs.error().ToString();
}

TEST(Reshape, Sizes) {
  const Tensor x = Ramp({2, 3, 4});
  EXPECT_EQ(DimsOf(op::kReshape, {x, Tensor::FromInts({4, 6})}), (Dims{4, 6}));
  EXPECT_EQ(DimsOf(op::kReshape, {x, Tensor::FromInts({-1})}), (Dims{24}));
  EXPECT_EQ(DimsOf(op::kReshape, {x, Tensor::FromInts({0, -1, 2})}), (Dims{2, 6, 2}));
  EXPECT_EQ(Values(RunOp(op::kReshape, {}, {x, Tensor::FromInts({12, -1})})), Values(x));
  EXPECT_EQ(DimsOf(op::kReshape, {Tensor::Scalar(1.0f), Tensor::FromInts({1, 1})}), (Dims{1, 1}));
  EXPECT_EQ(DimsOf(op::kReshape, {Ramp({1, 1}), Tensor::FromInts({})}), Dims{});
}

TEST(Reshape, ZeroSizes) {
  const Tensor empty(DType::kFloat32, {0, 3});
  const Params allow = Params::Of(ReshapeParams{.allowzero = true});
  EXPECT_EQ(DimsOf(op::kReshape, {empty, Tensor::FromInts({3, 0})}, allow), (Dims{3, 0}));
  EXPECT_EQ(DimsOf(op::kReshape, {empty, Tensor::FromInts({-1, 5})}), (Dims{0, 5}));
  EXPECT_THAT(ErrorOf(op::kReshape, {empty, Tensor::FromInts({0, -1})}, allow),
              HasSubstr("cannot reshape [0,3] to [0,-1]"));
}

TEST(Reshape, Refuses) {
  const Tensor x = Ramp({2, 3});
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {4}, {-1, -1}, {-2, 3}, {4, -1}, {1, 2, 0}, {INT64_MAX, 2}}) {
    EXPECT_NE(ErrorOf(op::kReshape, {x, Tensor::FromInts(shape)}), "no error");
  }
}

TEST(Reshape, InferSymbolic) {
  const TensorType x = F32({Sym("N"), Sym("S"), 768});
  const auto infer = [&](std::vector<int64_t> shape) {
    return InferText(op::kReshape, {}, {x, I64({static_cast<int64_t>(shape.size())})},
                     {std::nullopt, Tensor::FromInts(shape)});
  };
  EXPECT_EQ(infer({0, 0, 12, -1}), "float32[N,S,12,64]");
  EXPECT_EQ(infer({0, -1}), "float32[N,S*768]");
  EXPECT_EQ(infer({-1, 768}), "float32[N*S,768]");
  EXPECT_EQ(InferText(op::kReshape, {}, {x, I64({2})}), "float32[_0,_1]");
  EXPECT_EQ(InferText(op::kReshape, {}, {x, I64({Sym("k")})}), "float32[?]");
  EXPECT_EQ(InferText(op::kReshape, {}, {TensorType{DType::kInt8, std::nullopt}, I64({3})},
                      {std::nullopt, Tensor::FromInts({0, 5, -1})}),
            "int8[_0,5,_1]");
}

TEST(Flatten, Axes) {
  const Tensor x = Ramp({2, 3, 4});
  const auto flatten = [&](int64_t axis) {
    return DimsOf(op::kFlatten, {x}, Params::Of(FlattenParams{axis}));
  };
  EXPECT_EQ(flatten(0), (Dims{1, 24}));
  EXPECT_EQ(flatten(1), (Dims{2, 12}));
  EXPECT_EQ(flatten(3), (Dims{24, 1}));
  EXPECT_EQ(flatten(-1), (Dims{6, 4}));
  EXPECT_THAT(ErrorOf(op::kFlatten, {x}, Params::Of(FlattenParams{4})), HasSubstr("axis 4"));
  EXPECT_EQ(InferText(op::kFlatten, {}, {F32({Sym("N"), 3, 4})}), "float32[N,12]");
  EXPECT_EQ(DimsOf(op::kFlatten, {Tensor::Scalar(1.0f)}, Params::Of(FlattenParams{0})),
            (Dims{1, 1}));
}

TEST(Squeeze, Axes) {
  const Tensor x = Ramp({1, 3, 1});
  EXPECT_EQ(DimsOf(op::kSqueeze, {x}), (Dims{3}));
  EXPECT_EQ(DimsOf(op::kSqueeze, {x, Tensor::FromInts({-1})}), (Dims{1, 3}));
  EXPECT_EQ(Values(RunOp(op::kSqueeze, {}, {x})), Values(x));
  EXPECT_THAT(ErrorOf(op::kSqueeze, {x, Tensor::FromInts({1})}), HasSubstr("not the size 1"));
  EXPECT_THAT(ErrorOf(op::kSqueeze, {x, Tensor::FromInts({3})}), HasSubstr("axis 3"));
  EXPECT_THAT(ErrorOf(op::kSqueeze, {x, Tensor::FromInts({0, -3})}), HasSubstr("twice"));
  EXPECT_EQ(InferText(op::kSqueeze, {}, {F32({Sym("N"), 1}), I64({1})},
                      {std::nullopt, Tensor::FromInts({1})}),
            "float32[N]");
  // The rank depends on N.
  EXPECT_EQ(InferText(op::kSqueeze, {}, {F32({Sym("N"), 1})}), "float32[?]");
}

TEST(Unsqueeze, Axes) {
  const Tensor x = Ramp({3});
  EXPECT_EQ(DimsOf(op::kUnsqueeze, {x, Tensor::FromInts({0, -1})}), (Dims{1, 3, 1}));
  EXPECT_EQ(DimsOf(op::kUnsqueeze, {x, Tensor::FromInts({})}), (Dims{3}));
  EXPECT_THAT(ErrorOf(op::kUnsqueeze, {x, Tensor::FromInts({2})}), HasSubstr("axis 2"));
  EXPECT_THAT(ErrorOf(op::kUnsqueeze, {x, Tensor::FromInts({1, 1})}), HasSubstr("twice"));
  EXPECT_EQ(InferText(op::kUnsqueeze, {}, {F32({Sym("N")}), I64({2})}), "float32[_0,_1,_2]");
}

TEST(ShapeOp, Ranges) {
  const Tensor x(DType::kInt8, {2, 0, 4});
  const auto shape = [&](int64_t start, int64_t end) {
    return RunOp(op::kShape, Params::Of(ShapeParams{start, end}), {x}).ToInts();
  };
  EXPECT_THAT(shape(0, INT64_MAX), ElementsAre(2, 0, 4));
  EXPECT_THAT(shape(1, 2), ElementsAre(0));
  EXPECT_THAT(shape(-1, INT64_MAX), ElementsAre(4));
  EXPECT_THAT(shape(-9, -1), ElementsAre(2, 0));
  EXPECT_TRUE(shape(2, 1).empty());
  EXPECT_TRUE(shape(INT64_MAX, INT64_MIN).empty());
  EXPECT_EQ(RunOp(op::kSize, {}, {x}), Tensor::Scalar(int64_t{0}));
  EXPECT_EQ(RunOp(op::kSize, {}, {Tensor::Scalar(1.0f)}), Tensor::Scalar(int64_t{1}));
  EXPECT_EQ(InferText(op::kShape, {}, {TensorType{DType::kInt8, std::nullopt}}), "int64[_0]");
}

TEST(ConstantOfShape, Fills) {
  EXPECT_EQ(RunOp(op::kConstantOfShape, {}, {Tensor::FromInts({2, 1})}),
            Tensor::From<float>({2, 1}, {0, 0}));
  EXPECT_EQ(
      RunOp(op::kConstantOfShape, {}, {Tensor::FromInts({3}), Tensor::From<int16_t>({1}, {-7})}),
      Tensor::From<int16_t>({3}, {-7, -7, -7}));
  EXPECT_EQ(RunOp(op::kConstantOfShape, {}, {Tensor::FromInts({}), Tensor::Scalar(true)}),
            Tensor::Scalar(true));
  EXPECT_EQ(DimsOf(op::kConstantOfShape, {Tensor::FromInts({0, 5})}), (Dims{0, 5}));
}

TEST(ConstantOfShape, RefusesHostileSizes) {
  EXPECT_THAT(ErrorOf(op::kConstantOfShape, {Tensor::FromInts({int64_t{1} << 40, 1024})}),
              HasSubstr("resource exhausted"));
  EXPECT_THAT(ErrorOf(op::kConstantOfShape, {Tensor::FromInts({INT64_MAX, INT64_MAX})}),
              HasSubstr("resource exhausted"));
  EXPECT_THAT(ErrorOf(op::kConstantOfShape, {Tensor::FromInts({-1})}), HasSubstr("negative"));
}

template <class T>
Result<std::vector<Tensor>> TryRange(T start, T limit, T delta) {
  return TryRun(op::kRange, {},
                {Tensor::Scalar(start), Tensor::Scalar(limit), Tensor::Scalar(delta)});
}

TEST(Range, Values) {
  EXPECT_THAT(Values((*TryRange<int64_t>(2, 9, 3))[0]), ElementsAre(2, 5, 8));
  EXPECT_THAT(Values((*TryRange<int32_t>(5, 0, -2))[0]), ElementsAre(5, 3, 1));
  EXPECT_THAT(Values((*TryRange<float>(1, 2, 0.25f))[0]), ElementsAre(1, 1.25, 1.5, 1.75));
  EXPECT_TRUE(Values((*TryRange<int64_t>(2, 2, 1))[0]).empty());
  EXPECT_TRUE(Values((*TryRange<double>(2, 1, 1))[0]).empty());
  EXPECT_THAT((*TryRange<int64_t>(INT64_MIN, INT64_MAX, int64_t{1} << 62))[0].ToInts(),
              ElementsAre(INT64_MIN, -(int64_t{1} << 62), 0, int64_t{1} << 62));
}

TEST(Range, Refuses) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE((TryRange<int64_t>(0, 5, 0).has_value()));
  EXPECT_FALSE((TryRange<float>(0, 5, 0).has_value()));
  EXPECT_FALSE((TryRange<double>(0, nan, 1).has_value()));
  EXPECT_FALSE((TryRange<int64_t>(0, INT64_MAX, 1).has_value()));
  EXPECT_FALSE((TryRange<int64_t>(INT64_MIN, INT64_MAX, 1).has_value()));
  EXPECT_FALSE((TryRange<double>(0, 1e300, 1).has_value()));
}

TEST(Expand, BothWays) {
  const Tensor x = Tensor::From<float>({2, 1}, {1, 2});
  const Tensor y = RunOp(op::kExpand, {}, {x, Tensor::FromInts({2, 1, 3})});
  EXPECT_EQ(y.dims(), (Dims{2, 2, 3}));
  EXPECT_THAT(Values(y), ElementsAre(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
  EXPECT_EQ(DimsOf(op::kExpand, {x, Tensor::FromInts({1})}), (Dims{2, 1}));
  EXPECT_EQ(DimsOf(op::kExpand, {x, Tensor::FromInts({0})}), (Dims{2, 0}));
  EXPECT_THAT(ErrorOf(op::kExpand, {x, Tensor::FromInts({3, 1})}), HasSubstr("broadcast"));
  EXPECT_THAT(ErrorOf(op::kExpand, {x, Tensor::FromInts({-1})}), HasSubstr("negative"));
  EXPECT_THAT(ErrorOf(op::kExpand, {x, Tensor::FromInts({int64_t{1} << 50, 2, 1})}),
              HasSubstr("resource exhausted"));
  EXPECT_EQ(InferText(op::kExpand, {}, {F32({Sym("N"), 1}), I64({2})}), "float32[_0,_1]");
}

// What exporters write: sizes taken from Shape, computed on, and used again.
TEST(Contents, FlowThroughShapeArithmetic) {
  Graph g;
  const ValueId x = g.AddInput("x", F32({Sym("N"), Sym("C"), Sym("H"), 10}));
  const auto add = [&](const OpDef& op, Params params, std::vector<ValueId> inputs) {
    const NodeId id = g.AddNode(op, std::move(params), std::move(inputs));
    return g.node(id).outputs[0];
  };
  const auto ints = [&](std::vector<int64_t> v) { return g.AddConstant("", Tensor::FromInts(v)); };
  const auto scalar = [&](int64_t v) { return g.AddConstant("", Tensor::Scalar(v)); };
  const ValueId shape = add(op::kShape, op::kShape.default_params(), {x});
  const ValueId n = add(op::kGather, op::kGather.default_params(), {shape, scalar(0)});
  const ValueId n1 = add(op::kUnsqueeze, op::kUnsqueeze.default_params(), {n, ints({0})});
  const ValueId hw = add(op::kSlice, op::kSlice.default_params(), {shape, ints({-2}), ints({99})});
  const ValueId half = add(op::kDiv, op::kDiv.default_params(), {hw, scalar(2)});
  const ValueId twice = add(op::kMul, op::kMul.default_params(), {half, scalar(6)});
  const ValueId narrow = add(op::kCast, Params::Of(CastParams{.to = DType::kInt32}), {twice});
  const ValueId wide = add(op::kCast, Params::Of(CastParams{.to = DType::kInt64}), {narrow});
  const ValueId target = add(op::kConcat, op::kConcat.default_params(), {n1, ints({3}), wide});
  const ValueId y = add(op::kConstantOfShape, op::kConstantOfShape.default_params(), {target});
  g.AddOutput(y);
  ASSERT_TRUE(InferShapes(g).ok());
  EXPECT_EQ(g.value(y).type.ToString(), "float32[N,3,floor(H/2)*6,30]");

  const auto run = EvaluateGraph(g, std::vector<Tensor>{Tensor(DType::kFloat32, {2, 1, 5, 10})});
  ASSERT_TRUE(run.has_value()) << run.error().ToString();
  EXPECT_EQ((*run)[0].dims(), (Dims{2, 3, 12, 30}));
}

// Shapes that are data: millions of axes must not cost millions of anything.
TEST(Shapes, OfTooManyAxesAreRefused) {
  const Tensor ones = Tensor::FromInts(std::vector<int64_t>(1000000, 1));
  const Tensor x = Ramp({1});
  EXPECT_THAT(ErrorOf(op::kReshape, {x, ones}), HasSubstr("1000000 axes"));
  EXPECT_THAT(ErrorOf(op::kUnsqueeze, {x, ones}), HasSubstr("1000000 axes"));
  EXPECT_THAT(ErrorOf(op::kExpand, {x, ones}), HasSubstr("1000000 axes"));
  EXPECT_THAT(ErrorOf(op::kConstantOfShape, {ones}), HasSubstr("1000000 axes"));
  const TensorType million = I64({1000000});
  EXPECT_EQ(InferText(op::kReshape, {}, {F32({1}), million}), "float32[?]");
  EXPECT_EQ(InferText(op::kConstantOfShape, {}, {million}), "float32[?]");
}

TEST(Contents, SelectWithWhereForExpand) {
  Graph g;
  const ValueId x = g.AddInput("x", F32({Sym("N"), 1}));
  const ValueId shape = g.node(g.AddNode(op::kShape, op::kShape.default_params(), {x})).outputs[0];
  const ValueId condition = g.AddConstant("c", Tensor::From<bool>({2}, {false, true}));
  const ValueId eight = g.AddConstant("e", Tensor::FromInts({8, 8}));
  const ValueId target =
      g.node(g.AddNode(op::kWhere, op::kWhere.default_params(), {condition, eight, shape}))
          .outputs[0];
  const ValueId y =
      g.node(g.AddNode(op::kExpand, op::kExpand.default_params(), {x, target})).outputs[0];
  g.AddOutput(y);
  ASSERT_TRUE(InferShapes(g).ok());
  EXPECT_EQ(g.value(y).type.ToString(), "float32[N,8]");
}

}  // namespace
}  // namespace sula
