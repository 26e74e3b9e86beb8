// What an operator can do to its result before it writes it: add a residual, apply an activation.
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// The fused activation of a node that has one in its params; null for other operators.
const WithActivation* FusedOf(const Node& node) {
  if (node.Is(op::kConv)) return &node.As<ConvParams>();
  if (node.Is(op::kConvTranspose)) return &node.As<ConvTransposeParams>();
  if (node.Is(op::kMatMul)) return &node.As<MatMulParams>();
  if (node.Is(op::kAdd) || node.Is(op::kSub) || node.Is(op::kMul) || node.Is(op::kDiv))
    return &node.As<BinaryParams>();
  return nullptr;
}

// The node's params with this activation. Precondition: FusedOf(node).
Params Fused(const Node& node, const Activation& activation) {
  const auto fuse = [&](auto params) {
    params.Fuse(activation);
    return Params::Of(std::move(params));
  };
  if (node.Is(op::kConv)) return fuse(node.As<ConvParams>());
  if (node.Is(op::kConvTranspose)) return fuse(node.As<ConvTransposeParams>());
  if (node.Is(op::kMatMul)) return fuse(node.As<MatMulParams>());
  return fuse(node.As<BinaryParams>());
}

// The node that makes v for this reader alone, and has no activation yet.
NodeId OpenProducer(const Graph& g, const UseIndex& uses, ValueId v) {
  const NodeId id = v == kNoValue ? kNoNode : g.value(v).producer;
  if (id == kNoNode || uses.Count(v) != 1) return kNoNode;
  const WithActivation* fused = FusedOf(g.node(id));
  return fused && fused->activation == ActivationKind::kNone ? id : kNoNode;
}

std::optional<Patch> FuseActivation(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  if (node.inputs.empty() || node.outputs.size() != 1) return std::nullopt;
  const NodeId producer_id = OpenProducer(g, uses, node.inputs[0]);
  if (producer_id == kNoNode || !IsFoldableFloat(g.value(node.inputs[0]).type.dtype))
    return std::nullopt;
  const std::vector<const Tensor*> constants = ConstantInputs(g, node);
  const std::optional<Activation> activation = AsActivation(node, constants);
  if (!activation || activation->kind == ActivationKind::kNone) return std::nullopt;
  const Node& producer = g.node(producer_id);
  Patch patch(g);
  patch.Replace(node.outputs[0], patch.AddNode(*producer.op, Fused(producer, *activation),
                                               producer.inputs, producer.name));
  return patch;
}

std::optional<Patch> FuseResidual(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& add = g.node(id);
  if (add.inputs[0] == add.inputs[1] || !IsFloat(g.value(add.outputs[0]).type.dtype))
    return std::nullopt;
  if (!SameShape(g, add.inputs[0], add.inputs[1]) || !SameShape(g, add.inputs[0], add.outputs[0]))
    return std::nullopt;
  for (int i = 0; i < 2; ++i) {
    const NodeId producer_id = OpenProducer(g, uses, add.inputs[i]);
    if (producer_id == kNoNode) continue;
    const Node& producer = g.node(producer_id);
    if (!producer.Is(op::kConv) && !producer.Is(op::kMatMul)) continue;
    if (producer.HasInput(3)) continue;
    std::vector<ValueId> inputs = producer.inputs;
    inputs.resize(4, kNoValue);
    inputs[3] = add.inputs[1 - i];
    Patch patch(g);
    patch.Replace(add.outputs[0],
                  patch.AddNode(*producer.op, Fused(producer, add.As<BinaryParams>().Fused()),
                                std::move(inputs), producer.name));
    return patch;
  }
  return std::nullopt;
}

constexpr const OpDef* kAdds[] = {&op::kAdd};
constexpr const OpDef* kActivations[] = {&op::kRelu,      &op::kSigmoid, &op::kTanh,
                                         &op::kHardSwish, &op::kClip,    &op::kGelu,
                                         &op::kLeakyRelu, &op::kSwish,   &op::kHardSigmoid};

}  // namespace

constinit const Rule kFuseResidual = {
    "fuse-residual", "Conv(x, w, b) + r -> Conv(x, w, b, r) for r of its shape; MatMul alike",
    kAdds, FuseResidual};
constinit const Rule kFuseActivation = {
    "fuse-activation", "act(f(x)) -> f(x) {activation=act} for Conv, MatMul, Add, ...",
    kActivations, FuseActivation};

}  // namespace sula::rules
