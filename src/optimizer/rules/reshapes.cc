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

std::optional<Patch> MeanToGlobalPool(const Graph& g, const UseIndex&, NodeId id) {
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
  Patch patch(g);
  ValueId y = kNoValue;
  if (params.keepdims) {
    y = patch.AddNode(op::kGlobalAveragePool, op::kGlobalAveragePool.default_params(),
                      {node.inputs[0]}, node.name);
  } else {
    y = patch.AddNode(op::kGlobalAveragePool, op::kGlobalAveragePool.default_params(),
                      {node.inputs[0]}, node.name + "/pool");
    const ValueId squeezed = patch.AddConstant(node.name + "/axes", Tensor::FromInts(spatial));
    y = patch.AddNode(op::kSqueeze, op::kSqueeze.default_params(), {y, squeezed}, node.name);
  }
  patch.Replace(node.outputs[0], y);
  return patch;
}

constexpr const OpDef* kTransposes[] = {&op::kTranspose};
constexpr const OpDef* kMeans[] = {&op::kReduceMean};

}  // namespace

constinit const Rule kMergeReshapes = {
    "merge-reshapes", "Reshape(Reshape(x)) -> Reshape(x); Flatten, Squeeze and Unsqueeze alike",
    kReshapers, MergeReshapes};
constinit const Rule kTransposeToReshape = {
    "transpose-to-reshape", "Transpose(x) that moves only axes of size 1 -> Reshape(x)",
    kTransposes, TransposeToReshape};
constinit const Rule kMeanToGlobalPool = {
    "mean-to-global-pool", "ReduceMean(x) over all spatial axes -> GlobalAveragePool(x)", kMeans,
    MeanToGlobalPool};

}  // namespace sula::rules
