// Per-channel arithmetic with constants, y = scale * x + shift, folded into the weights and biases
// beside it. New weights are computed in double and rounded once.
#include <algorithm>
#include <cmath>

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "optimizer/match.h"
#include "optimizer/match_affine.h"
#include "optimizer/match_conv.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// The output channel that element i of the weights (or of MatMul's second operand) works for.
struct ChannelOfWeight {
  int64_t inner = 1, size = 1;  // (i / inner) % size
  int64_t outer = 0;            // elements per input channel; 0: no groups
  int64_t inputs_per_group = 1;
  int64_t operator()(int64_t i) const {
    const int64_t channel = i / inner % size;
    return outer == 0 ? channel : i / outer / inputs_per_group * size + channel;
  }
};

std::optional<ChannelOfWeight> ChannelMap(const Node& node, const Tensor& w) {
  if (node.Is(op::kConv)) {
    if (w.rank() < 1 || w.dim(0) == 0) return std::nullopt;
    return ChannelOfWeight{w.num_elements() / w.dim(0), w.dim(0)};
  }
  if (node.Is(op::kConvTranspose)) {
    const int64_t group = node.As<ConvTransposeParams>().group;
    if (w.rank() < 2 || w.num_elements() == 0 || group < 1 || w.dim(0) % group != 0)
      return std::nullopt;
    const int64_t outer = w.num_elements() / w.dim(0);
    return ChannelOfWeight{outer / w.dim(1), w.dim(1), outer, w.dim(0) / group};
  }
  if (w.rank() < 2 || w.num_elements() == 0) return std::nullopt;
  const int64_t rows = w.dim(w.rank() - 2), columns = w.dim(w.rank() - 1);
  if (node.As<MatMulParams>().trans_b) return ChannelOfWeight{columns, rows};
  return ChannelOfWeight{1, columns};
}

bool HasActivation(const Node& node) {
  return (node.Is(op::kConv) ? node.As<ConvParams>().activation
          : node.Is(op::kConvTranspose)
              ? node.As<ConvTransposeParams>().activation
              : node.As<MatMulParams>().activation) != ActivationKind::kNone;
}

Params WithActivationOf(const Node& node, const Activation& activation) {
  const auto fuse = [&](auto params) {
    params.Fuse(activation);
    return Params::Of(std::move(params));
  };
  if (node.Is(op::kConv)) return fuse(node.As<ConvParams>());
  if (node.Is(op::kConvTranspose)) return fuse(node.As<ConvTransposeParams>());
  return fuse(node.As<MatMulParams>());
}

bool IsAll(const std::vector<double>& values, double x) {
  return std::ranges::all_of(values, [x](double v) { return v == x; });
}

// Puts the bias into the inputs of a convolution or product; zeros only where there was one.
void SetBias(const Node& node, const std::vector<double>& bias, DType dtype, Patch& patch,
             std::vector<ValueId>& inputs) {
  if (!node.HasInput(2) && IsAll(bias, 0)) return;
  if (inputs.size() < 3) inputs.resize(3, kNoValue);
  inputs[2] = patch.AddConstant(node.name + "/bias", FloatTensor(dtype, bias));
}

// ---- affine(Conv(x, w, b)) -> Conv(x, w', b')

std::optional<Patch> FoldInto(const Graph& g, const UseIndex& uses, const Node& node, ValueId x) {
  const NodeId producer_id = g.value(x).producer;
  if (producer_id == kNoNode || uses.Count(x) != 1) return std::nullopt;
  const Node& producer = g.node(producer_id);
  const bool matmul = producer.Is(op::kMatMul);
  if (!matmul && !producer.Is(op::kConv) && !producer.Is(op::kConvTranspose)) return std::nullopt;
  if (HasActivation(producer) || producer.HasInput(3)) return std::nullopt;
  const Shape* shape = ShapeOf(g, x);
  const Shape* w_shape = ShapeOf(g, producer.inputs[1]);
  if (!shape || !w_shape || (matmul && (w_shape->rank() < 2 || shape->rank() < 2)))
    return std::nullopt;
  const int axis = matmul ? shape->rank() - 1 : 1;
  const std::optional<Affine> affine = AsAffine(g, node, x, axis);
  if (!affine) return std::nullopt;
  const int64_t channels = static_cast<int64_t>(affine->scale.size());
  std::optional<std::vector<double>> bias = BiasOf(g, producer, channels);
  if (!bias) return std::nullopt;
  for (int64_t c = 0; c < channels; ++c)
    (*bias)[c] = (*bias)[c] * affine->scale[c] + affine->shift[c];

  Patch patch(g);
  std::vector<ValueId> inputs = producer.inputs;
  if (affine->HasScale()) {
    const Tensor* w = g.Constant(producer.inputs[1]);
    const std::optional<ChannelOfWeight> channel = w ? ChannelMap(producer, *w) : std::nullopt;
    if (!channel) return std::nullopt;
    inputs[1] = patch.AddConstant(
        g.value(inputs[1]).name,
        MapElements(*w, [&](int64_t i, double v) { return v * affine->scale[(*channel)(i)]; }));
  }
  SetBias(producer, *bias, g.value(x).type.dtype, patch, inputs);
  patch.Replace(node.outputs[0],
                patch.AddNode(*producer.op, WithActivationOf(producer, affine->activation),
                              std::move(inputs), producer.name));
  return patch;
}

std::optional<Patch> FoldAffineIntoWeights(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const size_t operands = node.Is(op::kBatchNormalization) || node.Is(op::kNeg) ? 1 : 2;
  for (size_t i = 0; i < operands; ++i)
    if (std::optional<Patch> patch = FoldInto(g, uses, node, node.inputs[i])) return patch;
  return std::nullopt;
}

// ---- Conv(affine(x), w, b) -> Conv(x, w', b')

// A node that is affine in its operand x, and whose result only one node reads.
struct AffineNode {
  const Node* node;
  ValueId x;
  Affine affine;
};
std::optional<AffineNode> AsAffineNode(const Graph& g, const UseIndex& uses, ValueId v) {
  const NodeId id = g.value(v).producer;
  if (id == kNoNode || uses.Count(v) != 1) return std::nullopt;
  const Node& node = g.node(id);
  std::optional<AffineOf> affine = AsAffineOfAny(g, node, 1);
  if (!affine || affine->affine.activation.kind != ActivationKind::kNone) return std::nullopt;
  return AffineNode{&node, affine->x, std::move(affine->affine)};
}

std::optional<Patch> FoldAffineOfInput(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& conv = g.node(id);
  const Tensor* w = ConstantInput(g, conv, 1);
  if (!w || w->rank() < 2 || w->num_elements() == 0) return std::nullopt;
  const std::optional<AffineNode> before = AsAffineNode(g, uses, conv.inputs[0]);
  if (!before) return std::nullopt;
  const Affine& affine = before->affine;
  // Padding is of zeros, which the shift would have to reach too.
  const bool has_shift = affine.HasShift();
  if (has_shift && !HasNoPadding(conv.As<ConvParams>())) return std::nullopt;
  const int64_t outputs = w->dim(0), group = conv.As<ConvParams>().group;
  std::optional<std::vector<double>> bias = BiasOf(g, conv, outputs);
  if (!bias || group < 1 || outputs % group != 0) return std::nullopt;
  const int64_t per_output = w->num_elements() / outputs, taps = per_output / w->dim(1);
  const auto input_channel = [&](int64_t i) {
    return i / per_output / (outputs / group) * w->dim(1) + i / taps % w->dim(1);
  };
  if (group * w->dim(1) != static_cast<int64_t>(affine.scale.size())) return std::nullopt;
  for (int64_t i = 0; has_shift && i < w->num_elements(); ++i)
    (*bias)[i / per_output] += w->AsDouble(i) * affine.shift[input_channel(i)];
  Patch patch(g);
  std::vector<ValueId> inputs = conv.inputs;
  inputs[0] = before->x;
  if (affine.HasScale()) {
    inputs[1] = patch.AddConstant(
        g.value(inputs[1]).name,
        MapElements(*w, [&](int64_t i, double v) { return v * affine.scale[input_channel(i)]; }));
  }
  if (has_shift) SetBias(conv, *bias, g.value(before->x).type.dtype, patch, inputs);
  patch.Replace(conv.outputs[0],
                patch.AddNode(op::kConv, conv.params, std::move(inputs), conv.name));
  return patch;
}

// ---- Conv(s * x + t, w) -> Conv(x + t / s, s * w): what is left to do where padding keeps the
// shift

std::optional<Patch> ShiftBeforeScale(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& conv = g.node(id);
  const std::optional<AffineNode> add = AsAffineNode(g, uses, conv.inputs[0]);
  if (!add || add->affine.HasScale() || !add->affine.HasShift()) return std::nullopt;
  const std::optional<AffineNode> mul = AsAffineNode(g, uses, add->x);
  if (!mul || mul->affine.HasShift() || !ConstantInput(g, conv, 1)) return std::nullopt;
  std::vector<double> shift;
  for (size_t c = 0; c < add->affine.shift.size(); ++c) {
    shift.push_back(add->affine.shift[c] / mul->affine.scale[c]);
    if (!std::isfinite(shift.back())) return std::nullopt;
  }
  const Shape* shape = ShapeOf(g, mul->x);
  const DType dtype = g.value(mul->x).type.dtype;
  const auto per_channel = [&](const std::vector<double>& values) {
    Dims dims(shape->rank() - 1, 1);
    dims[0] = static_cast<int64_t>(values.size());
    return FloatTensor(dtype, std::move(dims), values);
  };
  Patch patch(g);
  const Params params = Params::Of(BinaryParams{});
  const ValueId t = patch.AddConstant(add->node->name + "/shift", per_channel(shift));
  const ValueId s = patch.AddConstant(mul->node->name + "/scale", per_channel(mul->affine.scale));
  const ValueId shifted = patch.AddNode(op::kAdd, params, {mul->x, t}, add->node->name);
  patch.Replace(conv.inputs[0], patch.AddNode(op::kMul, params, {shifted, s}, mul->node->name));
  return patch;
}

// ---- scalar factors of products of two run-time operands

// x and the factor if the value is x * factor (used by nobody else).
struct Scaled {
  ValueId x;
  double factor;
};
std::optional<Scaled> AsScaled(const Graph& g, const Node& node) {
  if (!IsFoldableFloat(g.value(node.outputs[0]).type.dtype)) return std::nullopt;
  if (node.As<BinaryParams>().activation != ActivationKind::kNone) return std::nullopt;
  for (int i = 0; i < (node.Is(op::kMul) ? 2 : 1); ++i) {
    const std::optional<double> c = ScalarConstant(g, node.inputs[1 - i]);
    if (!c || !SameShape(g, node.inputs[i], node.outputs[0])) continue;
    const double factor = node.Is(op::kDiv) ? 1 / *c : *c;
    if (std::isfinite(factor)) return Scaled{node.inputs[i], factor};
  }
  return std::nullopt;
}

std::optional<MatMulParams> TimesAlpha(const Node& matmul, double factor) {
  MatMulParams params = matmul.As<MatMulParams>();
  params.alpha = static_cast<float>(params.alpha * factor);
  if (!std::isfinite(params.alpha) || params.alpha == 0) return std::nullopt;
  return params;
}

std::optional<Patch> FoldScaleIntoAlpha(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const std::optional<Scaled> scaled = AsScaled(g, node);
  if (!scaled || uses.Count(scaled->x) != 1) return std::nullopt;
  const NodeId matmul_id = ProducedBy(g, scaled->x, op::kMatMul);
  if (matmul_id == kNoNode) return std::nullopt;
  const Node& matmul = g.node(matmul_id);
  if (HasActivation(matmul) || matmul.HasInput(2) || matmul.HasInput(3)) return std::nullopt;
  const auto params = TimesAlpha(matmul, scaled->factor);
  if (!params) return std::nullopt;
  Patch patch(g);
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kMatMul, Params::Of(*params), matmul.inputs, matmul.name));
  return patch;
}

std::optional<Patch> FoldScaleOfInputIntoAlpha(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  for (int i = 0; i < 2; ++i) {
    const ValueId v = node.inputs[i];
    const NodeId mul = ProducedBy(g, v, op::kMul), div = ProducedBy(g, v, op::kDiv);
    if ((mul == kNoNode && div == kNoNode) || uses.Count(v) != 1) continue;
    if (node.inputs[0] == node.inputs[1]) return std::nullopt;  // the factor counts twice
    const auto scaled = AsScaled(g, g.node(mul != kNoNode ? mul : div));
    const auto params = scaled ? TimesAlpha(node, scaled->factor) : std::nullopt;
    if (!params) continue;
    Patch patch(g);
    std::vector<ValueId> inputs = node.inputs;
    inputs[i] = scaled->x;
    patch.Replace(node.outputs[0],
                  patch.AddNode(op::kMatMul, Params::Of(*params), std::move(inputs), node.name));
    return patch;
  }
  return std::nullopt;
}

// ---- BN(x) -> x * scale + shift

std::optional<Patch> BatchNormToScale(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const ValueId x = node.inputs[0];
  const std::optional<Affine> affine = AsAffine(g, node, x, 1);
  if (!affine) return std::nullopt;
  const DType dtype = g.value(x).type.dtype;
  Dims dims(ShapeOf(g, x)->rank() - 1, 1);  // [C,1,...]
  dims[0] = static_cast<int64_t>(affine->scale.size());
  Patch patch(g);
  const ValueId scale =
      patch.AddConstant(node.name + "/scale", FloatTensor(dtype, dims, affine->scale));
  const ValueId shift =
      patch.AddConstant(node.name + "/shift", FloatTensor(dtype, dims, affine->shift));
  const Params params = Params::Of(BinaryParams{});
  const ValueId scaled = patch.AddNode(op::kMul, params, {x, scale}, node.name + "/mul");
  patch.Replace(node.outputs[0], patch.AddNode(op::kAdd, params, {scaled, shift}, node.name));
  return patch;
}

constexpr const OpDef* kConvs[] = {&op::kConv};
constexpr const OpDef* kScales[] = {&op::kMul, &op::kDiv};
constexpr const OpDef* kMatMuls[] = {&op::kMatMul};
constexpr const OpDef* kBatchNorms[] = {&op::kBatchNormalization};

}  // namespace

constinit const Rule kFoldAffineIntoWeights = {
    "fold-affine-into-weights",
    "BN, Mul, Div, Add, Sub by constants per channel of Conv, ConvTranspose, MatMul(x, w, b) -> "
    "the same with w', b'",
    kAffineOps, FoldAffineIntoWeights};
constinit const Rule kFoldAffineOfInput = {
    "fold-affine-of-input",
    "Conv(s * x + t, w, b) -> Conv(x, w', b') with s, t per channel; with padding only s", kConvs,
    FoldAffineOfInput};
constinit const Rule kShiftBeforeScale = {
    "shift-before-scale", "Conv(s * x + t, w) -> Conv(s * (x + t / s), w), whose s goes into w",
    kConvs, ShiftBeforeScale};
constinit const Rule kFoldScaleIntoAlpha = {"fold-scale-into-alpha",
                                            "MatMul(a, b) * c -> MatMul(a, b) {alpha=c}", kScales,
                                            FoldScaleIntoAlpha};
constinit const Rule kFoldScaleOfInputIntoAlpha = {"fold-scale-of-input-into-alpha",
                                                   "MatMul(a * c, b) -> MatMul(a, b) {alpha=c}",
                                                   kMatMuls, FoldScaleOfInputIntoAlpha};
constinit const Rule kBatchNormToScale = {"batch-norm-to-scale", "BN(x) -> x * scale + shift",
                                          kBatchNorms, BatchNormToScale};

}  // namespace sula::rules
