// Nodes that give back one of their inputs.
#include <algorithm>

#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// The patch that lets readers of the node's only output read input `i`.
std::optional<Patch> Bypass(const Graph& g, const Node& node, size_t i = 0) {
  Patch patch(g);
  patch.Replace(node.outputs[0], node.inputs[i]);
  return patch;
}

std::optional<Patch> RemoveIdentity(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const ValueId x = node.inputs[0];
  // Between an output and a value that cannot take its name it has to stay.
  if (g.IsOutput(node.outputs[0]) && (g.value(x).producer == kNoNode || g.IsOutput(x)))
    return std::nullopt;
  return Bypass(g, node);
}

std::optional<Patch> RemoveCast(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  if (g.value(node.inputs[0]).type.dtype != node.As<CastParams>().to) return std::nullopt;
  return Bypass(g, node);
}

// Every number of `from` is a number of `to`.
bool Holds(DType to, DType from) {
  using enum DType;
  if (to == from || from == kBool) return true;
  switch (from) {
    // bfloat16 has 8 bits of precision, float16 11.
    case kInt8: return to != kUInt8 && to != kBool;
    case kUInt8: return to != kInt8 && to != kBool;
    case kInt16: return to == kInt32 || to == kInt64 || to == kFloat32 || to == kFloat64;
    case kInt32: return to == kInt64 || to == kFloat64;
    case kFloat16:
    case kBFloat16: return to == kFloat32 || to == kFloat64;
    case kFloat32: return to == kFloat64;
    default: return false;
  }
}

std::optional<Patch> MergeCasts(const Graph& g, const UseIndex&, NodeId id) {
  const Node& outer = g.node(id);
  const NodeId inner_id = ProducedBy(g, outer.inputs[0], op::kCast);
  if (inner_id == kNoNode) return std::nullopt;
  const Node& inner = g.node(inner_id);
  const DType from = g.value(inner.inputs[0]).type.dtype;
  const DType middle = inner.As<CastParams>().to;
  if (!Holds(middle, from)) return std::nullopt;
  // A cast of an integer wraps, one of a float saturates.
  if (IsFloat(middle) != IsFloat(from) && !Holds(outer.As<CastParams>().to, from))
    return std::nullopt;
  Patch patch(g);
  patch.Replace(outer.outputs[0],
                patch.AddNode(op::kCast, outer.params, {inner.inputs[0]}, outer.name));
  return patch;
}

std::optional<Patch> RemoveNoOpShape(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  if (!SameShape(g, node.inputs[0], node.outputs[0])) return std::nullopt;
  return Bypass(g, node);
}

std::optional<Patch> RemoveNoOpSlice(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  if (!SameShape(g, node.inputs[0], node.outputs[0])) return std::nullopt;
  if (node.HasInput(4)) {
    const auto steps = IntsInput(g, node, 4);
    if (!steps || std::ranges::any_of(*steps, [](int64_t s) { return s != 1; }))
      return std::nullopt;
  }
  return Bypass(g, node);
}

std::optional<Patch> RemoveNoOpPad(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const auto pads = IntsInput(g, node, 1);
  if (!pads || std::ranges::any_of(*pads, [](int64_t p) { return p != 0; })) return std::nullopt;
  return Bypass(g, node);
}

std::optional<Patch> RemoveNoOpConcat(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  if (node.inputs.size() != 1 || node.outputs.size() != 1) return std::nullopt;
  if (!SameShape(g, node.inputs[0], node.outputs[0])) return std::nullopt;
  return Bypass(g, node);
}

// True if every element of constant v is the number x.
bool IsAll(const Graph& g, ValueId v, double x) {
  const Tensor* t = g.Constant(v);
  if (!t || t->num_elements() > 1 << 16) return false;
  for (int64_t i = 0; i < t->num_elements(); ++i)
    if (t->AsDouble(i) != x) return false;
  return true;
}

std::optional<Patch> RemoveNoOpArithmetic(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const bool power = node.Is(op::kPow);
  if (!power && node.As<BinaryParams>().activation != ActivationKind::kNone) return std::nullopt;
  const double neutral = node.Is(op::kAdd) || node.Is(op::kSub) ? 0 : 1;
  const size_t operands = node.op->Has(kCommutative) ? 2 : 1;
  for (size_t i = 0; i < operands; ++i) {
    if (!IsAll(g, node.inputs[1 - i], neutral)) continue;
    if (SameShape(g, node.inputs[i], node.outputs[0])) return Bypass(g, node, i);
  }
  return std::nullopt;
}

std::optional<Patch> RemoveEmptyClip(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  if (node.HasInput(1) || node.HasInput(2)) return std::nullopt;
  return Bypass(g, node);
}

constexpr const OpDef* kIdentities[] = {&op::kIdentity};
constexpr const OpDef* kCasts[] = {&op::kCast};
constexpr const OpDef* kShapers[] = {&op::kReshape,   &op::kFlatten, &op::kSqueeze,
                                     &op::kUnsqueeze, &op::kExpand,  &op::kTile};
constexpr const OpDef* kSlices[] = {&op::kSlice};
constexpr const OpDef* kPads[] = {&op::kPad};
constexpr const OpDef* kConcats[] = {&op::kConcat, &op::kSplit};
constexpr const OpDef* kArithmetic[] = {&op::kAdd, &op::kSub, &op::kMul, &op::kDiv, &op::kPow};
constexpr const OpDef* kClips[] = {&op::kClip};

}  // namespace

constinit const Rule kRemoveIdentity = {"remove-identity", "Identity(x) -> x", kIdentities,
                                        RemoveIdentity};
constinit const Rule kRemoveCast = {"remove-cast", "Cast(x) to the type of x -> x", kCasts,
                                    RemoveCast};
constinit const Rule kMergeCasts = {
    "merge-casts", "Cast(Cast(x)) -> Cast(x) if the inner loses nothing", kCasts, MergeCasts};
constinit const Rule kRemoveNoOpShape = {
    "remove-no-op-shape",
    "Reshape, Flatten, Squeeze, Unsqueeze, Expand, Tile of x to the "
    "shape of x -> x",
    kShapers, RemoveNoOpShape};
constinit const Rule kRemoveNoOpSlice = {"remove-no-op-slice", "Slice(x) of all of x -> x", kSlices,
                                         RemoveNoOpSlice};
constinit const Rule kRemoveNoOpPad = {"remove-no-op-pad", "Pad(x) by nothing -> x", kPads,
                                       RemoveNoOpPad};
constinit const Rule kRemoveNoOpConcat = {"remove-no-op-concat",
                                          "Concat of one input, Split into one output -> x",
                                          kConcats, RemoveNoOpConcat};
constinit const Rule kRemoveNoOpArithmetic = {"remove-no-op-arithmetic",
                                              "x + 0, x - 0, x * 1, x / 1, x ^ 1 -> x", kArithmetic,
                                              RemoveNoOpArithmetic};
constinit const Rule kRemoveEmptyClip = {"remove-empty-clip", "Clip(x) without bounds -> x", kClips,
                                         RemoveEmptyClip};

}  // namespace sula::rules
