#include "support/random_graph.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>

#include "ir/text.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/norm.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/resize.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace sula::test {
namespace {

constexpr int64_t kMaxElements = 4000;  // of a value at N = 2
using Ints = std::vector<int64_t>;

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  Graph Make() {
    const Dim batch = Pick(2) ? Dim::Symbol("N") : Dim(2);
    values_.push_back(g_.AddInput("x", {DType::kFloat32, Shape{batch, 4, 5, 5}}));
    values_.push_back(g_.AddInput("z", {DType::kFloat32, Shape{batch, 4, 5, 5}}));
    const size_t wanted = 4 + Pick(14);
    for (int attempt = 0; values_.size() < wanted && attempt < 200; ++attempt) Grow();
    // Results that nobody reads, and some that others read too.
    const UseIndex uses(g_);
    for (size_t i = 2; i < values_.size(); ++i)
      if (uses.Count(values_[i]) == 0 || Pick(12) == 0) g_.AddOutput(values_[i]);
    if (g_.outputs().empty()) g_.AddOutput(values_.back());
    return std::move(g_);
  }

 private:
  int64_t Pick(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }

  // Mostly the newest value, so that chains form; sometimes an older one, so that they branch.
  ValueId PickValue() {
    const int64_t n = static_cast<int64_t>(values_.size());
    return values_[Pick(4) ? n - 1 : Pick(n)];
  }
  const Shape& ShapeOf(ValueId v) const { return *g_.value(v).type.shape; }
  int Rank(ValueId v) const { return ShapeOf(v).rank(); }
  // 0 where the size is not a number.
  int64_t Size(ValueId v, int axis) const { return ShapeOf(v)[axis].TryValue().value_or(0); }
  int PickAxis(ValueId v) { return static_cast<int>(Pick(Rank(v))); }

  // Random numbers, away from 0 if they are to divide or to be variances.
  ValueId Constant(Dims dims, bool positive = false) {
    Tensor t = RandomTensor(DType::kFloat32, dims, random_());
    for (float& x : t.mutable_data<float>()) x = positive ? 1.25f + 0.75f * x : x;
    return g_.AddConstant("", std::move(t));
  }
  ValueId Scalar(float x) { return g_.AddConstant("", Tensor::Scalar(x)); }
  ValueId List(const Ints& v) { return g_.AddConstant("", Tensor::FromInts(v)); }

  // Adds the node if its inputs fit, for every N, and its outputs are neither empty nor large.
  ValueId Add(const OpDef& op, Params params, std::vector<ValueId> inputs, int outputs = 1) {
    for (ValueId v : inputs)
      if (v == kFailed) return kFailed;
    Graph trial = g_;
    const NodeId id = trial.AddNode(op, std::move(params), std::move(inputs), outputs);
    if (!InferShapes(trial).ok()) return kFailed;
    for (const int64_t n : {1, 2, 3}) {
      Graph concrete = trial;
      const std::map<std::string, Shape> shapes = {{"x", {n, 4, 5, 5}}, {"z", {n, 4, 5, 5}}};
      if (trial.value(trial.inputs()[0]).type.shape->IsConcrete()) break;
      if (!InferShapes(concrete, &shapes).ok()) return kFailed;
    }
    for (ValueId v : trial.node(id).outputs) {
      const std::optional<Shape>& shape = trial.value(v).type.shape;
      if (!shape) return kFailed;
      const auto dims = shape->Substitute({{"N", 2}}).TryConcrete();
      if (!dims || NumElements(*dims) == 0 || NumElements(*dims) > kMaxElements) return kFailed;
    }
    g_ = std::move(trial);
    for (ValueId v : g_.node(id).outputs) values_.push_back(v);
    return g_.node(id).outputs[0];
  }
  ValueId Add(const OpDef& op, std::vector<ValueId> inputs) {
    return Add(op, op.default_params(), std::move(inputs));
  }

  ValueId Transpose(ValueId x, Ints perm) {
    return Add(op::kTranspose, Params::Of(TransposeParams{.perm = std::move(perm)}), {x});
  }

  void Grow() {
    using Maker = void (Generator::*)(ValueId);
    static constexpr Maker kMakers[] = {
        &Generator::AddConv,         &Generator::AddConv,          &Generator::AddBatchNorm,
        &Generator::AddConstantOp,   &Generator::AddConstantOp,    &Generator::AddBinary,
        &Generator::AddUnary,        &Generator::AddHardSwish,     &Generator::AddTranspose,
        &Generator::AddTranspose,    &Generator::AddPad,           &Generator::AddPool,
        &Generator::AddConcat,       &Generator::AddReduce,        &Generator::AddMatMul,
        &Generator::AddPRelu,        &Generator::AddReshape,       &Generator::AddReshape,
        &Generator::AddSlice,        &Generator::AddSplit,         &Generator::AddChannelsLast,
        &Generator::AddChannelsLast, &Generator::AddShuffle,       &Generator::AddResize,
        &Generator::AddLayerNorm,    &Generator::AddSqueezeExcite, &Generator::AddSiblings,
        &Generator::AddGather};
    const ValueId x = PickValue();
    if (Rank(x) == 0) return;
    (this->*kMakers[Pick(std::size(kMakers))])(x);
  }

  int64_t Channels(ValueId x) const { return Rank(x) > 1 ? Size(x, 1) : 0; }

  void AddConv(ValueId x) {
    const int64_t channels = Channels(x);
    if (channels == 0) return;
    if (Pick(4) == 0) {
      Add(op::kConvTranspose, Params::Of(ConvTransposeParams{}),
          {x, Constant({channels, 3, 2, 2})});
      return;
    }
    const int64_t kernel = 1 + 2 * Pick(2);
    ConvParams p;
    // Depthwise, in two groups, or dense.
    const int64_t kind = Pick(3);
    p.group = kind == 0 ? channels : kind == 1 && channels % 2 == 0 ? 2 : 1;
    if (Pick(3)) p.pads.assign(4, kernel / 2);
    if (Pick(4) == 0) p.strides = {2, 2};
    const int64_t out = p.group == channels ? channels : 4;
    std::vector<ValueId> inputs = {x, Constant({out, channels / p.group, kernel, kernel})};
    if (Pick(2)) inputs.push_back(Constant({out}));
    Add(op::kConv, Params::Of(p), std::move(inputs));
  }

  void AddBatchNorm(ValueId x) {
    const int64_t c = Channels(x);
    if (c == 0) return;
    Add(op::kBatchNormalization,
        {x, Constant({c}), Constant({c}), Constant({c}), Constant({c}, true)});
  }

  void AddConstantOp(ValueId x) {
    static constexpr const OpDef* kOps[] = {&op::kAdd, &op::kSub, &op::kMul,
                                            &op::kDiv, &op::kMax, &op::kMin};
    Dims dims(Pick(Rank(x) + 1), 1);
    if (static_cast<int>(dims.size()) == Rank(x) - 1 && Channels(x)) dims[0] = Channels(x);
    if (dims.size() == 1 && Size(x, Rank(x) - 1)) dims[0] = Size(x, Rank(x) - 1);
    const OpDef& o = *kOps[Pick(std::size(kOps))];
    const ValueId c = Constant(dims, true);
    const bool swap = o.Has(kCommutative) && Pick(2);
    Add(o, swap ? std::vector{c, x} : std::vector{x, c});
  }

  void AddBinary(ValueId x) {
    static constexpr const OpDef* kOps[] = {&op::kAdd, &op::kMul, &op::kSub, &op::kMax};
    Add(*kOps[Pick(std::size(kOps))], {x, PickValue()});
  }

  void AddUnary(ValueId x) {
    static constexpr const OpDef* kOps[] = {&op::kRelu,     &op::kSigmoid,  &op::kTanh,
                                            &op::kNeg,      &op::kIdentity, &op::kAbs,
                                            &op::kHardSwish};
    const ValueId y = Add(*kOps[Pick(std::size(kOps))], {x});
    if (Pick(4) == 0 && g_.node(g_.value(y).producer).Is(op::kSigmoid)) Add(op::kMul, {x, y});
  }

  void AddHardSwish(ValueId x) {
    const ValueId sum = Add(op::kAdd, {x, Scalar(3)});
    const ValueId clip = Add(op::kClip, {sum, Scalar(0), Scalar(6)});
    Add(op::kDiv, {Add(op::kMul, {x, clip}), Scalar(6)});
  }

  void AddTranspose(ValueId x) {
    Ints perm(Rank(x));
    std::iota(perm.begin(), perm.end(), 0);
    if (Rank(x) == 4 && Pick(2)) {
      perm = Pick(2) ? Ints{0, 2, 3, 1} : Ints{0, 3, 1, 2};
    } else {
      std::ranges::shuffle(perm, random_);
    }
    Transpose(x, perm);
  }

  void AddPad(ValueId x) {
    const int rank = Rank(x);
    Ints pads(2 * rank, 0);
    for (int i = Pick(3) ? 2 : 0; i < rank; ++i) pads[i] = Pick(2), pads[rank + i] = Pick(2);
    std::vector<ValueId> inputs = {x, List(pads)};
    if (Pick(3) == 0) inputs.push_back(Scalar(0.5f));
    Add(op::kPad, Params::Of(PadParams{.mode = Pick(4) ? PadMode::kConstant : PadMode::kEdge}),
        std::move(inputs));
  }

  void AddPool(ValueId x) {
    PoolParams p = {.kernel = Ints(std::max(Rank(x) - 2, 1), 2 + Pick(2))};
    if (Pick(2)) p.pads.assign(2 * p.kernel.size(), 1);
    if (Pick(2)) p.strides.assign(p.kernel.size(), 2);
    p.count_include_pad = Pick(2);
    if (Pick(4) == 0) {
      Add(op::kGlobalAveragePool, {x});
    } else {
      Add(Pick(2) ? op::kMaxPool : op::kAveragePool, Params::Of(p), {x});
    }
  }

  void AddConcat(ValueId x) {
    std::vector<ValueId> inputs = {x, PickValue()};
    if (Pick(3) == 0) inputs.push_back(PickValue());
    Add(op::kConcat, Params::Of(ConcatParams{PickAxis(x)}), std::move(inputs));
  }

  void AddReduce(ValueId x) {
    if (Pick(3) == 0) {
      Add(op::kSoftmax, Params::Of(SoftmaxParams{PickAxis(x)}), {x});
      return;
    }
    static constexpr const OpDef* kOps[] = {&op::kReduceMean, &op::kReduceMax, &op::kReduceSum};
    Ints axes = {PickAxis(x)};
    if (const int64_t more = PickAxis(x); more != axes[0]) axes.push_back(more);
    Add(*kOps[Pick(3)], Params::Of(ReduceParams{.axes = axes, .keepdims = Pick(2) == 0}), {x});
  }

  void AddMatMul(ValueId x) {
    const int64_t k = Size(x, Rank(x) - 1);
    if (k > 0) Add(op::kMatMul, {x, Constant({k, 3})});
  }

  void AddPRelu(ValueId x) {
    if (const int64_t c = Channels(x))
      Add(op::kPRelu, {x, Constant(Pick(2) ? Dims{1} : Dims(1, c))});
  }

  // To other sizes, with axes of size 1 more or less, or flat.
  void AddReshape(ValueId x) {
    const int rank = Rank(x);
    switch (Pick(5)) {
      case 0: Add(op::kFlatten, Params::Of(FlattenParams{.axis = Pick(rank + 1)}), {x}); return;
      case 1: Add(op::kUnsqueeze, {x, List({Pick(rank + 1)})}); return;
      case 2:
        for (int i = 0; i < rank; ++i)
          if (Size(x, i) == 1) return void(Add(op::kSqueeze, {x, List({i})}));
        return;
      default: {
        Ints target = {0, -1};
        if (Pick(2) && rank > 1 && Size(x, rank - 1)) target.push_back(Size(x, rank - 1));
        if (Pick(3) == 0) target.insert(target.begin() + 1, 1);
        Add(op::kReshape, {x, List(target)});
      }
    }
  }

  ValueId Slice(ValueId x, int64_t axis, int64_t begin, int64_t end, int64_t step = 1) {
    return Add(op::kSlice, {x, List({begin}), List({end}), List({axis}), List({step})});
  }

  void AddSlice(ValueId x) {
    const int axis = PickAxis(x);
    const int64_t n = Size(x, axis);
    if (n < 2) return;
    const int64_t middle = 1 + Pick(n - 1);
    switch (Pick(4)) {
      case 0: {  // taken apart and put together, in order or not
        const ValueId a = Slice(x, axis, 0, middle), b = Slice(x, axis, middle, n);
        Add(op::kConcat, Params::Of(ConcatParams{axis}),
            Pick(2) ? std::vector{a, b} : std::vector{b, a});
        return;
      }
      case 1: Slice(x, axis, n, INT64_MIN, -1); return;
      case 2: Slice(x, axis, Pick(2), n, 2); return;
      default: Slice(x, axis, middle - 1, -Pick(2) - 1 + n); return;
    }
  }

  void AddSplit(ValueId x) {
    const int axis = PickAxis(x);
    const int64_t n = Size(x, axis);
    if (n < 2) return;
    const int64_t first = 1 + Pick(n - 1);
    const ValueId a =
        Add(op::kSplit, Params::Of(SplitParams{.axis = axis}), {x, List({first, n - first})}, 2);
    if (a == kFailed || Pick(2)) return;
    const ValueId b = values_.back();
    const ValueId f = Pick(2) ? Add(op::kRelu, {a}) : a;
    Add(op::kConcat, Params::Of(ConcatParams{axis}), {f, b});
  }

  // What exporters of channel-last frameworks make of an operator.
  void AddChannelsLast(ValueId x) {
    if (Rank(x) != 4) return;
    ValueId y = Transpose(x, {0, 2, 3, 1});
    if (y == kFailed) return;
    for (int64_t i = 1 + Pick(3); i > 0; --i) {
      const ValueId before = y;
      switch (Pick(5)) {
        case 0: y = Add(op::kAdd, {y, Constant({std::max<int64_t>(Size(y, 3), 1)})}); break;
        case 1: y = Add(op::kSoftmax, Params::Of(SoftmaxParams{-1}), {y}); break;
        case 2: y = Add(op::kConcat, Params::Of(ConcatParams{-1}), {y, y}); break;
        case 3:
          y = Add(op::kReduceMean, Params::Of(ReduceParams{.axes = {1, 2}, .keepdims = true}), {y});
          break;
        default: y = Add(op::kPad, {y, List({0, 1, 1, 0, 0, 0, 1, 0})}); break;
      }
      if (y == kFailed) y = before;
    }
    if (Pick(4)) Transpose(y, {0, 3, 1, 2});
  }

  void AddShuffle(ValueId x) {
    const int64_t c = Channels(x);
    if (Rank(x) != 4 || c % 2 || !Size(x, 2) || !Size(x, 3) || c == 0) return;
    const Ints sizes = {Size(x, 2), Size(x, 3)};
    const ValueId groups = Add(op::kReshape, {x, List({0, 2, c / 2, sizes[0], sizes[1]})});
    if (groups == kFailed) return;
    Add(op::kReshape, {Transpose(groups, {0, 2, 1, 3, 4}), List({0, c, sizes[0], sizes[1]})});
  }

  void AddResize(ValueId x) {
    if (Rank(x) != 4) return;
    ResizeParams p;
    p.mode = Pick(2) ? ResizeMode::kNearest : ResizeMode::kLinear;
    p.coordinate = Pick(2) ? CoordinateMode::kHalfPixel : CoordinateMode::kAsymmetric;
    const ValueId scales = g_.AddConstant("", Tensor::From<float>({4}, {1, 1, 2, 2}));
    Add(op::kResize, Params::Of(p), {x, kNoValue, scales});
  }

  void AddLayerNorm(ValueId x) {
    const int64_t n = Size(x, Rank(x) - 1);
    if (n < 2) return;
    const Params last = Params::Of(ReduceParams{.axes = {-1}, .keepdims = true});
    const ValueId d = Add(op::kSub, {x, Add(op::kReduceMean, last, {x})});
    const ValueId v = Add(op::kReduceMean, last, {Add(op::kMul, {d, d})});
    const ValueId s = Add(op::kSqrt, {Add(op::kAdd, {v, Scalar(1e-2f)})});
    Add(op::kMul, {Add(op::kDiv, {d, s}), Constant({n})});
  }

  void AddSqueezeExcite(ValueId x) {
    const int64_t c = Channels(x);
    if (Rank(x) != 4 || c == 0) return;
    ConvParams one;
    const ValueId pooled = Add(op::kGlobalAveragePool, {x});
    const ValueId few =
        Add(op::kRelu, {Add(op::kConv, Params::Of(one), {pooled, Constant({2, c, 1, 1})})});
    const ValueId many = Add(op::kConv, Params::Of(one), {few, Constant({c, 2, 1, 1})});
    Add(op::kMul, {x, Add(op::kSigmoid, {many})});
  }

  // Convolutions of one input, put together or added.
  void AddSiblings(ValueId x) {
    const int64_t c = Channels(x);
    if (Rank(x) != 4 || c == 0) return;
    const ValueId a = Add(op::kConv, Params::Of(ConvParams{}), {x, Constant({3, c, 1, 1})});
    const ValueId b = Add(op::kConv, Params::Of(ConvParams{}), {x, Constant({3, c, 1, 1})});
    if (Pick(2)) {
      Add(op::kConcat, Params::Of(ConcatParams{1}), {a, Add(op::kRelu, {b})});
    } else {
      Add(op::kAdd, {a, b});
    }
  }

  void AddGather(ValueId x) {
    const int axis = PickAxis(x);
    const int64_t n = Size(x, axis);
    if (n == 0) return;
    const ValueId indices =
        Pick(2) ? List({Pick(n), Pick(n)}) : g_.AddConstant("", Tensor::Scalar<int64_t>(Pick(n)));
    Add(op::kGather, Params::Of(AxisParams{.axis = axis}), {x, indices});
  }

  // No value; kNoValue would be an absent input.
  static constexpr ValueId kFailed = -2;

  std::mt19937_64 random_;
  Graph g_;
  std::vector<ValueId> values_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

Graph RandomGraph(uint64_t seed) { return Generator(seed).Make(); }

std::vector<Tensor> RandomGraphInputs(const Graph& graph, int64_t batch, uint64_t seed) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs()) {
    const TensorType& type = graph.value(v).type;
    inputs.push_back(
        RandomTensor(type.dtype, type.shape->Substitute({{"N", batch}}).Concrete(), seed++));
  }
  return inputs;
}

SeedRange SeedsToTest(uint64_t count) {
  const uint64_t first = FromEnvironment("SULA_RANDOM_SEED", 0);
  return {first, first + FromEnvironment("SULA_RANDOM_COUNT", count)};
}

}  // namespace sula::test
