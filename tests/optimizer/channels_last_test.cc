// Networks as exporters of channel-last frameworks write them, a transpose before and after each
// operator that wants channels first: none is left but what inputs and outputs demand.
#include <gtest/gtest.h>

#include <algorithm>

#include "ir/text.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/resize.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"
#include "optimizer/case_file.h"
#include "optimizer/optimizer.h"

namespace sula {
namespace {

// Builds a graph whose maps are [N, H, W, C].
class ChannelsLast {
 public:
  explicit ChannelsLast(const Shape& input) { x_ = g_.AddInput("x", {DType::kFloat32, input}); }

  Graph Take(std::vector<ValueId> outputs) {
    g_.SetOutputs(std::move(outputs));
    EXPECT_TRUE(InferShapes(g_).ok());
    return std::move(g_);
  }
  ValueId input() const { return x_; }

  ValueId Add(const OpDef& op, Params params, std::vector<ValueId> inputs) {
    return g_.node(g_.AddNode(op, std::move(params), std::move(inputs))).outputs[0];
  }
  ValueId Add(const OpDef& op, std::vector<ValueId> inputs) {
    return Add(op, op.default_params(), std::move(inputs));
  }
  ValueId Weights(Dims dims) {
    Tensor t = RandomTensor(DType::kFloat32, dims, ++seed_);
    for (float& w : t.mutable_data<float>()) w *= 0.5f;
    return g_.AddConstant("", std::move(t));
  }
  ValueId Ints(const std::vector<int64_t>& v) { return g_.AddConstant("", Tensor::FromInts(v)); }

  ValueId First(ValueId x) {
    return Add(op::kTranspose, Params::Of(TransposeParams{{0, 3, 1, 2}}), {x});
  }
  ValueId Last(ValueId x) {
    return Add(op::kTranspose, Params::Of(TransposeParams{{0, 2, 3, 1}}), {x});
  }
  // Convolution, bias and ReLU6; depthwise with group = from.
  ValueId Conv(ValueId x, int64_t from, int64_t to, int64_t kernel, int64_t stride = 1,
               int64_t group = 1, bool relu = true) {
    ConvParams p;
    p.auto_pad = AutoPad::kSameUpper;
    p.strides = {stride, stride};
    p.group = group;
    const ValueId y = Last(
        Add(op::kConv, Params::Of(p), {First(x), Weights({to, from / group, kernel, kernel})}));
    const ValueId biased = Add(op::kAdd, {y, Weights({to})});
    if (!relu) return biased;
    return Add(op::kClip, {biased, g_.AddConstant("", Tensor::Scalar(0.f)),
                           g_.AddConstant("", Tensor::Scalar(6.f))});
  }
  ValueId MeanOverPixels(ValueId x, bool keepdims) {
    return Add(op::kReduceMean, Params::Of(ReduceParams{.axes = {1, 2}, .keepdims = keepdims}),
               {x});
  }
  ValueId MaxPool(ValueId x) {
    const PoolParams p = {.kernel = {2, 2}, .strides = {2, 2}};
    return Last(Add(op::kMaxPool, Params::Of(p), {First(x)}));
  }
  ValueId Double(ValueId x) {
    ResizeParams p;
    p.mode = ResizeMode::kLinear;
    const ValueId scales = g_.AddConstant("", Tensor::From<float>({4}, {1, 2, 2, 1}));
    return Add(op::kResize, Params::Of(p), {x, kNoValue, scales});
  }
  ValueId Concat(std::vector<ValueId> inputs) {
    return Add(op::kConcat, Params::Of(ConcatParams{-1}), std::move(inputs));
  }

 private:
  Graph g_;
  ValueId x_;
  uint64_t seed_ = 0;
};

int CountTransposes(const Graph& g) {
  int count = 0;
  for (NodeId id = 0; id < g.node_slots(); ++id)
    count += g.IsLive(id) && g.node(id).Is(op::kTranspose);
  return count;
}

void ExpectTransposesLeft(const Graph& before, int expected) {
  Graph after = before;
  OptimizeOptions options;
  options.verify = true;
  const Result<OptimizeReport> report = Optimize(after, options);
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  EXPECT_EQ(CountTransposes(after), expected) << Print(after);
}

TEST(ChannelsLast, MobileNetWithResidualsAndGates) {
  ChannelsLast net({Dim::Symbol("N"), 32, 32, 3});
  ValueId x = net.Conv(net.input(), 3, 8, 3, 2);
  for (int block = 0; block < 3; ++block) {
    ValueId y = net.Conv(x, 8, 16, 1);
    y = net.Conv(y, 16, 16, 3, 1, 16);
    // Squeeze and excitation: by dense layers, by 1x1 convolutions, and none.
    if (block == 0) {
      const ValueId few = net.Add(
          op::kRelu, {net.Add(op::kMatMul, {net.MeanOverPixels(y, false), net.Weights({16, 4})})});
      const ValueId gate =
          net.Add(op::kSigmoid, {net.Add(op::kMatMul, {few, net.Weights({4, 16})})});
      y = net.Add(op::kMul, {y, net.Add(op::kReshape, {gate, net.Ints({-1, 1, 1, 16})})});
    } else if (block == 1) {
      const ValueId few = net.Conv(net.MeanOverPixels(y, true), 16, 4, 1);
      y = net.Add(op::kMul, {y, net.Add(op::kSigmoid, {net.Conv(few, 4, 16, 1, 1, 1, false)})});
    }
    x = net.Add(op::kAdd, {x, net.Conv(y, 16, 8, 1, 1, 1, false)});
  }
  x = net.Add(op::kPad, {x, net.Ints({0, 1, 1, 0, 0, 1, 1, 0})});
  x = net.Conv(x, 8, 32, 3, 2);
  x = net.Add(op::kMatMul, {net.MeanOverPixels(x, false), net.Weights({32, 10})});
  const Graph g = net.Take({net.Add(op::kSoftmax, {x})});
  EXPECT_GT(CountTransposes(g), 20);
  ExpectTransposesLeft(g, 1);  // of the input
}

TEST(ChannelsLast, UNetWithSkipsAndSwish) {
  ChannelsLast net({1, 16, 16, 3});
  const auto swish = [&](ValueId x) { return net.Add(op::kMul, {x, net.Add(op::kSigmoid, {x})}); };
  ValueId x = swish(net.Conv(net.input(), 3, 8, 3, 1, 1, false));
  const ValueId skip1 = x;
  x = swish(net.Conv(net.MaxPool(x), 8, 16, 3, 1, 1, false));
  const ValueId skip2 = x;
  x = swish(net.Conv(net.MaxPool(x), 16, 16, 3, 1, 1, false));
  x = net.Conv(net.Concat({net.Double(x), skip2}), 32, 8, 3);
  x = net.Conv(net.Concat({net.Double(x), skip1}), 16, 8, 3);
  x = net.Add(op::kPRelu, {x, net.Weights({8})});
  x = net.Conv(x, 8, 2, 1, 1, 1, false);
  const Graph g = net.Take({net.Add(op::kSoftmax, {x})});
  EXPECT_GT(CountTransposes(g), 15);
  ExpectTransposesLeft(g, 2);  // of the input and of the output
}

TEST(ChannelsLast, SplitsSlicesAndBranches) {
  ChannelsLast net({1, 8, 8, 6});
  const ValueId x = net.Conv(net.input(), 6, 8, 3);
  const ValueId a = net.Add(op::kSlice, {x, net.Ints({0}), net.Ints({4}), net.Ints({3})});
  const ValueId b = net.Add(op::kSlice, {x, net.Ints({4}), net.Ints({8}), net.Ints({-1})});
  const ValueId p = net.Conv(a, 4, 4, 3), q = net.Conv(b, 4, 4, 1);
  const ValueId top = net.Add(op::kReduceMax, Params::Of(ReduceParams{.axes = {3}}), {x});
  const ValueId y = net.Add(op::kMul, {net.Concat({p, q}), net.Add(op::kTanh, {top})});
  const ValueId best =
      net.Add(op::kArgMax, Params::Of(ArgParams{.axis = -1, .keepdims = false}), {y});
  ExpectTransposesLeft(net.Take({best}), 1);  // of the input
}

// A transpose at the input and one at the output of a network that works on channels last as such.
TEST(ChannelsLast, OneAroundTheNetwork) {
  ChannelsLast net({1, 3, 8, 8});
  ValueId x = net.Last(net.input());
  x = net.Add(op::kMul, {x, net.Weights({3})});
  x = net.Add(op::kSub, {x, net.Weights({3})});
  x = net.Add(op::kPad, {x, net.Ints({0, 0, 1, 0, 0, 1, 0, 0})});
  x = net.Double(net.Add(op::kAdd, {x, net.MeanOverPixels(x, true)}));
  ExpectTransposesLeft(net.Take({net.First(x)}), 0);
}

}  // namespace
}  // namespace sula
