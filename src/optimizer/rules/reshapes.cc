// Nodes that only change the shape, or that amount to it.
#include <algorithm>
#include <numeric>

#include "ops/movement.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

constexpr const OpDef* kReshapers[] = {&op::kReshape, &op::kFlatten, &op::kSqueeze,
                                       &op::kUnsqueeze};

bool IsReshaper(const Node& node) { return std::ranges::count(kReshapers, node.op) > 0; }

// Reshape(x) to the shape of `y`, in place of the node that makes y; nothing if the shape cannot be
// given as constants.
std::optional<Patch> ReshapeInstead(const Graph& g, ValueId x, ValueId y) {
  const Shape *in = ShapeOf(g, x), *out = ShapeOf(g, y);
  if (!in || !out) return std::nullopt;
  const auto target = ReshapeTarget(*in, *out);
  if (!target) return std::nullopt;
  const std::string& name = g.node(g.value(y).producer).name;
  Patch patch(g);
  const ValueId shape = patch.AddConstant(name + "/shape", Tensor::FromInts(*target));
  patch.Replace(y, patch.AddNode(op::kReshape, Params::Of(ReshapeParams{}), {x, shape}, name));
  return patch;
}

std::optional<Patch> MergeReshapes(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& outer = g.node(id);
  const ValueId middle = outer.inputs[0];
  const NodeId producer = g.value(middle).producer;
  if (producer == kNoNode || !IsReshaper(g.node(producer)) || uses.Count(middle) != 1)
    return std::nullopt;
  return ReshapeInstead(g, g.node(producer).inputs[0], outer.outputs[0]);
}

std::optional<Patch> TransposeToReshape(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const Shape* in = ShapeOf(g, node.inputs[0]);
  if (!in) return std::nullopt;
  const auto perm = ResolvePerm(node.As<TransposeParams>().perm, in->rank());
  if (!perm.has_value()) return std::nullopt;
  // Axes of more than one element must stay in order.
  int last = -1;
  for (int axis : *perm) {
    if ((*in)[axis] == Dim(1)) continue;
    if (axis < last) return std::nullopt;
    last = axis;
  }
  return ReshapeInstead(g, node.inputs[0], node.outputs[0]);
}

std::optional<Patch> ReduceToGlobalPool(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const auto& params = node.As<ReduceParams>();
  const Shape* in = ShapeOf(g, node.inputs[0]);
  if (!in || in->rank() < 3) return std::nullopt;
  std::vector<int64_t> axes = params.axes;
  if (node.HasInput(1)) {
    const auto given = IntsInput(g, node, 1);
    if (!given) return std::nullopt;
    axes = *given;
  }
  for (int64_t& axis : axes)
    if (axis < 0) axis += in->rank();
  std::ranges::sort(axes);
  std::vector<int64_t> spatial(in->rank() - 2);
  std::iota(spatial.begin(), spatial.end(), 2);
  if (axes != spatial || !IsFloat(g.value(node.inputs[0]).type.dtype)) return std::nullopt;
  const OpDef& pool = node.Is(op::kReduceMean) ? op::kGlobalAveragePool : op::kGlobalMaxPool;
  Patch patch(g);
  const std::string& name = node.name;
  ValueId y = patch.AddNode(pool, pool.default_params(), {node.inputs[0]},
                            params.keepdims ? name : name + "/pool");
  if (!params.keepdims) {
    const ValueId squeezed = patch.AddConstant(name + "/axes", Tensor::FromInts(spatial));
    y = patch.AddNode(op::kSqueeze, op::kSqueeze.default_params(), {y, squeezed}, name);
  }
  patch.Replace(node.outputs[0], y);
  return patch;
}

// Every window is the whole map: one output pixel without padding, from a kernel as large as x.
std::optional<Patch> PoolToGlobalPool(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const auto& params = node.As<PoolParams>();
  const Shape *in = ShapeOf(g, node.inputs[0]), *out = ShapeOf(g, node.outputs[0]);
  if (!in || !out || node.HasOutput(1) || in->rank() - 2 != std::ssize(params.kernel))
    return std::nullopt;
  const auto is = [](int64_t x) { return [x](int64_t v) { return v == x; }; };
  const bool no_padding =
      params.auto_pad == AutoPad::kValid ||
      (params.auto_pad == AutoPad::kExplicit && std::ranges::all_of(params.pads, is(0)));
  if (!no_padding || !std::ranges::all_of(params.dilations, is(1))) return std::nullopt;
  for (int i = 2; i < in->rank(); ++i)
    if ((*in)[i] != Dim(params.kernel[i - 2]) || (*out)[i] != Dim(1)) return std::nullopt;
  const OpDef& pool = node.Is(op::kAveragePool) ? op::kGlobalAveragePool : op::kGlobalMaxPool;
  Patch patch(g);
  patch.Replace(node.outputs[0],
                patch.AddNode(pool, pool.default_params(), {node.inputs[0]}, node.name));
  return patch;
}

constexpr const OpDef* kTransposes[] = {&op::kTranspose};
constexpr const OpDef* kReductions[] = {&op::kReduceMean, &op::kReduceMax};
constexpr const OpDef* kPools[] = {&op::kAveragePool, &op::kMaxPool};

}  // namespace

constinit const Rule kMergeReshapes = {
    "merge-reshapes", "Reshape(Reshape(x)) -> Reshape(x); Flatten, Squeeze and Unsqueeze alike",
    kReshapers, MergeReshapes};
constinit const Rule kTransposeToReshape = {
    "transpose-to-reshape", "Transpose(x) that moves only axes of size 1 -> Reshape(x)",
    kTransposes, TransposeToReshape};
constinit const Rule kReduceToGlobalPool = {
    "reduce-to-global-pool",
    "ReduceMean(x) over all spatial axes -> GlobalAveragePool(x); ReduceMax alike", kReductions,
    ReduceToGlobalPool};
constinit const Rule kPoolToGlobalPool = {
    "pool-to-global-pool",
    "AveragePool(x) with a window of the size of x -> GlobalAveragePool(x); "
    "MaxPool alike",
    kPools, PoolToGlobalPool};

}  // namespace sula::rules
