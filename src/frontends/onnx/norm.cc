// Normalisations and softmax.
#include "ops/norm.h"

#include "frontends/onnx/node_import.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace sula::onnx {
namespace {

// y = (x - mean) / sqrt(var + epsilon) * scale + bias, statistics given for every activation:
// spatial = 0, up to opset 8. Statistics have the shape of x without the batch.
void PerActivation(NodeImport& n, float epsilon) {
  DType type = n.TypeOf(n.Input(0));
  BinaryParams p;
  ValueId eps = n.Scalar(epsilon, type, "epsilon");
  ValueId centred = n.Add(op::kSub, p, {n.Input(0), n.Input(3)}, "centred");
  ValueId variance = n.Add(op::kAdd, p, {n.Input(4), eps}, "variance");
  ValueId deviation = n.Add(op::kSqrt, NoParams{}, {variance}, "deviation");
  ValueId normal = n.Add(op::kDiv, p, {centred, deviation}, "normal");
  ValueId scaled = n.Add(op::kMul, p, {normal, n.Input(1)}, "scaled");
  n.EmitOutput(0, op::kAdd, p, {scaled, n.Input(2)});
}

void BatchNormalization(NodeImport& n) {
  n.Ignore("consumed_inputs");
  n.Ignore("momentum");  // of running means, in training
  float epsilon = n.Float("epsilon", 1e-5f);
  bool spatial = n.Flag("spatial", true);
  // Up to opset 6 is_test said it, up to 13 the number of outputs, since then training_mode.
  // Exporters of opset 1 to 6 left is_test out often enough, so that one output counts, too.
  bool training = n.Flag("training_mode", false);
  n.Ignore("is_test");
  for (int i = 1; i < n.num_outputs(); ++i) training |= n.HasOutput(i);
  if (training) return n.Fail(Unsupported("operator BatchNormalization in training mode"));
  if (!spatial) return PerActivation(n, epsilon);
  n.EmitOutput(0, op::kBatchNormalization, NormParams{.epsilon = epsilon}, n.inputs());
}

void InstanceNormalization(NodeImport& n) {
  n.Ignore("consumed_inputs");
  n.Emit(op::kInstanceNormalization, NormParams{.epsilon = n.Float("epsilon", 1e-5f)}, n.inputs());
}

LayerNormParams ReadLayerNorm(NodeImport& n) {
  n.Ignore("stash_type");  // of intermediate sums: sula's are double
  LayerNormParams p;
  p.axis = n.Int("axis", -1);
  p.epsilon = n.Float("epsilon", 1e-5f);
  return p;
}
void LayerNormalization(NodeImport& n) {
  n.Emit(op::kLayerNormalization, ReadLayerNorm(n), n.inputs());
}
void RmsNormalization(NodeImport& n) {
  n.Emit(op::kRMSNormalization, ReadLayerNorm(n), n.inputs());
}

// [groups] -> [channels], each repeated for the channels of its group: opset 18 to 20 give scale
// and bias by group.
ValueId PerChannel(NodeImport& n, ValueId v, int64_t groups, int64_t channels,
                   const std::string& name) {
  ValueId column =
      n.Add(op::kUnsqueeze, NoParams{}, {v, n.Constant({1}, name + "_axes")}, name + "_column");
  ValueId shape = n.Constant({groups, channels / groups}, name + "_shape");
  ValueId wide = n.Add(op::kExpand, NoParams{}, {column, shape}, name + "_wide");
  return n.Add(op::kReshape, ReshapeParams{}, {wide, n.Constant({channels}, name + "_flat")},
               name + "_channels");
}

void GroupNormalization(NodeImport& n) {
  n.Ignore("stash_type");
  GroupNormParams p;
  p.groups = n.RequiredInt("num_groups");
  p.epsilon = n.Float("epsilon", 1e-5f);
  if (n.opset() >= 21) return n.Emit(op::kGroupNormalization, p, n.inputs());
  const auto& shape = n.ShapeOf(n.Input(0));
  if (!shape || shape->rank() < 2 || !(*shape)[1].is_const())
    return n.Fail(
        Unsupported("operator GroupNormalization of opset 18 to 20 with an unknown "
                    "number of channels"));
  int64_t channels = (*shape)[1].value();
  if (p.groups < 1 || channels % p.groups != 0)
    return n.Fail(
        InvalidModel("attribute 'num_groups' is ", p.groups, " for ", channels, " channels"));
  ValueId scale = PerChannel(n, n.Input(1), p.groups, channels, "scale");
  ValueId bias = PerChannel(n, n.Input(2), p.groups, channels, "bias");
  n.Emit(op::kGroupNormalization, p, {n.Input(0), scale, bias});
}

void Lrn(NodeImport& n) {
  LrnParams p;
  p.alpha = n.Float("alpha", 1e-4f);
  p.beta = n.Float("beta", 0.75f);
  p.bias = n.Float("bias", 1);
  p.size = n.RequiredInt("size");
  n.Emit(op::kLRN, p, n.inputs());
}

void LpNormalization(NodeImport& n) {
  LpNormParams p;
  p.axis = n.Int("axis", -1);
  p.p = n.Int("p", 2);
  n.Emit(op::kLpNormalization, p, n.inputs());
}

// (x - mean) / (sqrt(variance) + 1e-9), as ONNX defines it by a function.
void MeanVarianceNormalization(NodeImport& n) {
  ReduceParams reduce;
  reduce.axes = n.Ints("axes");
  if (!n.Has("axes")) reduce.axes = {0, 2, 3};
  BinaryParams p;
  ValueId x = n.Input(0);
  ValueId mean = n.Add(op::kReduceMean, reduce, {x}, "mean");
  ValueId centred = n.Add(op::kSub, p, {x, mean}, "centred");
  ValueId square = n.Add(op::kMul, p, {centred, centred}, "square");
  ValueId variance = n.Add(op::kReduceMean, reduce, {square}, "variance");
  ValueId deviation = n.Add(op::kSqrt, NoParams{}, {variance}, "deviation");
  ValueId epsilon = n.Scalar(1e-9, n.TypeOf(x), "epsilon");
  ValueId divisor = n.Add(op::kAdd, p, {deviation, epsilon}, "divisor");
  n.Emit(op::kDiv, p, {centred, divisor});
}

// Since opset 13 along one axis; before over all axes from `axis` on, as one long row.
template <const OpDef& kOp>
void SoftmaxLike(NodeImport& n) {
  SoftmaxParams p;
  p.axis = n.Int("axis", n.opset() >= 13 ? -1 : 1);
  ValueId x = n.Input(0);
  if (n.opset() >= 13) return n.Emit(kOp, p, {x});
  auto rank = n.RankOf(x, "the axis before opset 13");
  if (!rank) return;
  if (p.axis < -*rank || p.axis > *rank)
    return n.Fail(InvalidModel("attribute 'axis' is ", p.axis, " for rank ", *rank));
  int64_t axis = p.axis < 0 ? p.axis + *rank : p.axis;
  if (axis == *rank - 1) return n.Emit(kOp, SoftmaxParams{.axis = axis}, {x});
  ValueId rows = n.Add(op::kFlatten, FlattenParams{.axis = axis}, {x}, "rows");
  ValueId result = n.Add(kOp, SoftmaxParams{.axis = 1}, {rows}, "result");
  ValueId shape = n.Add(op::kShape, ShapeParams{}, {x}, "shape");
  n.Emit(op::kReshape, ReshapeParams{.allowzero = true}, {result, shape});
}

constexpr OpHandler kHandlers[] = {
    {"BatchNormalization", BatchNormalization, 5, 5, 5},
    {"GroupNormalization", GroupNormalization, 3, 3},
    {"Hardmax", SoftmaxLike<op::kHardmax>},
    {"InstanceNormalization", InstanceNormalization, 3, 3},
    {"LRN", Lrn},
    {"LayerNormalization", LayerNormalization, 2, 3, 3},
    {"LogSoftmax", SoftmaxLike<op::kLogSoftmax>},
    {"LpNormalization", LpNormalization},
    {"MeanVarianceNormalization", MeanVarianceNormalization},
    {"RMSNormalization", RmsNormalization, 2, 2},
    {"Softmax", SoftmaxLike<op::kSoftmax>},
};

}  // namespace

std::span<const OpHandler> NormHandlers() { return kHandlers; }

}  // namespace sula::onnx
