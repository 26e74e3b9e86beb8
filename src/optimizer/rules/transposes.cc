// Merging transposes, and moving them towards the outputs until they meet an inverse: models that
// keep channels last inside come with transposes around every convolution.
#include <algorithm>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

using Perm = std::vector<int>;  // axis i of the result is axis perm[i] of the input

bool IsIdentity(const Perm& perm) { return std::ranges::is_sorted(perm); }

Perm Inverse(const Perm& perm) {
  Perm inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[perm[i]] = static_cast<int>(i);
  return inverse;
}

Params TransposeBy(const Perm& perm) {
  return Params::Of(TransposeParams{.perm = {perm.begin(), perm.end()}});
}

// The permutation of a transpose whose input has known rank.
std::optional<Perm> PermOf(const Graph& g, NodeId id) {
  const Node& node = g.node(id);
  const Shape* in = ShapeOf(g, node.inputs[0]);
  if (!in) return std::nullopt;
  Result<Perm> perm = ResolvePerm(node.As<TransposeParams>().perm, in->rank());
  if (!perm.has_value()) return std::nullopt;
  return *std::move(perm);
}

// A value that is Transpose(source, perm).
struct Transposed {
  ValueId source;
  Perm perm;
};
std::optional<Transposed> AsTransposed(const Graph& g, ValueId v) {
  const NodeId id = ProducedBy(g, v, op::kTranspose);
  if (id == kNoNode) return std::nullopt;
  std::optional<Perm> perm = PermOf(g, id);
  if (!perm) return std::nullopt;
  return Transposed{g.node(id).inputs[0], *std::move(perm)};
}

std::optional<Patch> MergeTransposes(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  std::optional<Perm> perm = PermOf(g, id);
  if (!perm) return std::nullopt;
  ValueId x = node.inputs[0];
  const std::optional<Transposed> inner = AsTransposed(g, x);
  if (inner) {
    for (int& axis : *perm) axis = inner->perm[axis];
    x = inner->source;
  } else if (!IsIdentity(*perm)) {
    return std::nullopt;
  }
  Patch patch(g);
  patch.Replace(
      node.outputs[0],
      IsIdentity(*perm) ? x : patch.AddNode(op::kTranspose, TransposeBy(*perm), {x}, node.name));
  return patch;
}

// ---- f(T(a), T(b), constant) -> T(f(a, b, constant'))

// A constant operand as it has to be before the transpose. With broadcasting it may have fewer
// axes, which are those of the end; so may the result.
std::optional<Tensor> UndoTranspose(const Tensor& constant, const Perm& perm, bool broadcast) {
  Dims dims(perm.size(), 1);
  std::copy_backward(constant.dims().begin(), constant.dims().end(), dims.end());
  std::optional<Tensor> undone =
      TransposeConstant(constant.Reshaped(std::move(dims)), Inverse(perm));
  if (!undone || !broadcast) return undone;
  dims = undone->dims();
  dims.erase(dims.begin(), std::ranges::find_if(dims, [](int64_t d) { return d != 1; }));
  return undone->Reshaped(std::move(dims));
}

// The inputs of a node with the transposes taken off; its result then needs `perm`. Adds permuted
// constants to the patch. Nothing if they do not all have the same transpose, or if no transpose
// would become unused by it.
std::optional<Perm> TakeOff(const Graph& g, const UseIndex& uses, const Node& node, bool broadcast,
                            Patch& patch, std::vector<ValueId>& inputs) {
  std::optional<Perm> perm;
  bool saves = false;
  for (ValueId v : node.inputs) {
    if (std::optional<Transposed> t = AsTransposed(g, v)) {
      if (perm && *perm != t->perm) return std::nullopt;
      perm = std::move(t->perm);
      saves |= uses.Count(v) == 1;
    }
  }
  if (!perm || !saves) return std::nullopt;
  const int rank = static_cast<int>(perm->size());
  for (ValueId v : node.inputs) {
    if (v == kNoValue) {
      inputs.push_back(v);
      continue;
    }
    const Shape* shape = ShapeOf(g, v);
    if (!shape || shape->rank() > rank) return std::nullopt;
    if (const std::optional<Transposed> t = AsTransposed(g, v)) {
      inputs.push_back(t->source);
    } else if (broadcast && IsSingleElement(g, v)) {
      inputs.push_back(v);
    } else if (g.Constant(v) && (broadcast || shape->rank() == rank)) {
      std::optional<Tensor> undone = UndoTranspose(*g.Constant(v), *perm, broadcast);
      if (!undone) return std::nullopt;
      inputs.push_back(patch.AddConstant(g.value(v).name, *std::move(undone)));
    } else {
      return std::nullopt;
    }
  }
  return perm;
}

// Finishes a patch in which the node's work is done before its transpose.
void TransposeAfter(const Node& node, Params params, std::vector<ValueId> inputs, const Perm& perm,
                    Patch& patch) {
  if (IsIdentity(perm)) {
    patch.Replace(node.outputs[0],
                  patch.AddNode(*node.op, std::move(params), std::move(inputs), node.name));
    return;
  }
  const ValueId y = patch.AddNode(*node.op, std::move(params), std::move(inputs), node.name);
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kTranspose, TransposeBy(perm), {y}, node.name + "/transpose"));
}

std::optional<Patch> SinkTranspose(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  if (!node.op->Has(kElementwise) || !node.op->Has(kLayoutAgnostic) || node.outputs.size() != 1)
    return std::nullopt;
  Patch patch(g);
  std::vector<ValueId> inputs;
  const std::optional<Perm> perm = TakeOff(g, uses, node, /*broadcast=*/true, patch, inputs);
  if (!perm) return std::nullopt;
  TransposeAfter(node, node.params, std::move(inputs), *perm, patch);
  return patch;
}

// ---- operators with one axis, or several

constexpr const OpDef* kSoftmaxes[] = {&op::kSoftmax, &op::kLogSoftmax, &op::kHardmax};

// An axis of the transposed value as an axis of its source; nothing if out of range.
std::optional<int64_t> SourceAxis(int64_t axis, const Perm& perm) {
  const int64_t rank = static_cast<int64_t>(perm.size());
  if (axis < -rank || axis >= rank) return std::nullopt;
  return perm[axis < 0 ? axis + rank : axis];
}

// The params with the axis moved.
template <class P>
std::optional<Params> WithAxis(const Node& node, const Perm& perm) {
  P params = node.As<P>();
  const std::optional<int64_t> axis = SourceAxis(params.axis, perm);
  if (!axis) return std::nullopt;
  params.axis = *axis;
  return Params::Of(std::move(params));
}

// Reductions: axes from the params or a constant; without keepdims the result has fewer axes.
std::optional<Patch> SinkThroughReduce(const Graph& g, const UseIndex& uses, const Node& node) {
  const std::optional<Transposed> x = AsTransposed(g, node.inputs[0]);
  if (!x || uses.Count(node.inputs[0]) != 1) return std::nullopt;
  ReduceParams params = node.As<ReduceParams>();
  if (node.HasInput(1)) {
    const auto axes = IntsInput(g, node, 1);
    if (!axes) return std::nullopt;
    params.axes = *axes;
  }
  if (params.axes.empty()) return std::nullopt;
  for (int64_t& axis : params.axes) {
    const std::optional<int64_t> source = SourceAxis(axis, x->perm);
    if (!source) return std::nullopt;
    axis = *source;
  }
  std::ranges::sort(params.axes);
  Perm after = x->perm;
  if (!params.keepdims) {
    const auto reduced = [&](int axis) { return std::ranges::count(params.axes, axis) > 0; };
    std::erase_if(after, reduced);
    for (int& axis : after) {  // among the axes that are left
      int place = 0;
      for (int lower = 0; lower < axis; ++lower) place += !reduced(lower);
      axis = place;
    }
  }
  Patch patch(g);
  TransposeAfter(node, Params::Of(std::move(params)), {x->source}, after, patch);
  return patch;
}

// All that reads the value are transposes.
bool MeetsTransposes(const Graph& g, const UseIndex& uses, ValueId v) {
  return !g.IsOutput(v) && std::ranges::all_of(uses.Of(v), [&](NodeId reader) {
    return g.node(reader).Is(op::kTranspose);
  });
}

std::optional<Patch> SinkThroughAxis(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const bool concat = node.Is(op::kConcat), norm = node.Is(op::kLpNormalization);
  const bool softmax = std::ranges::count(kSoftmaxes, node.op) > 0;
  if (!concat && !norm && !softmax) return SinkThroughReduce(g, uses, node);
  // The last axis is the best one for these: not without a gain.
  if (!concat && !MeetsTransposes(g, uses, node.outputs[0])) return std::nullopt;
  Patch patch(g);
  std::vector<ValueId> inputs;
  const std::optional<Perm> perm = TakeOff(g, uses, node, /*broadcast=*/false, patch, inputs);
  if (!perm) return std::nullopt;
  std::optional<Params> params = concat ? WithAxis<ConcatParams>(node, *perm)
                                 : norm ? WithAxis<LpNormParams>(node, *perm)
                                        : WithAxis<SoftmaxParams>(node, *perm);
  if (!params) return std::nullopt;
  TransposeAfter(node, *std::move(params), std::move(inputs), *perm, patch);
  return patch;
}

std::optional<Patch> SinkThroughPad(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const std::optional<Transposed> x = AsTransposed(g, node.inputs[0]);
  const auto pads = IntsInput(g, node, 1);
  if (!x || !pads || node.HasInput(3) || uses.Count(node.inputs[0]) != 1) return std::nullopt;
  const size_t rank = x->perm.size();
  if (pads->size() != 2 * rank) return std::nullopt;
  std::vector<int64_t> moved(2 * rank);
  for (size_t i = 0; i < rank; ++i) {
    moved[x->perm[i]] = (*pads)[i];
    moved[rank + x->perm[i]] = (*pads)[rank + i];
  }
  Patch patch(g);
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = x->source;
  inputs[1] = patch.AddConstant(node.name + "/pads", Tensor::FromInts(moved));
  TransposeAfter(node, node.params, std::move(inputs), x->perm, patch);
  return patch;
}

// ---- into the product

std::optional<Patch> FoldIntoMatMul(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  MatMulParams params = node.As<MatMulParams>();
  std::vector<ValueId> inputs = node.inputs;
  Patch patch(g);
  bool changed = false;
  for (int i = 0; i < 2; ++i) {
    const ValueId v = node.inputs[i];
    const std::optional<Transposed> t = AsTransposed(g, v);
    const int rank = t ? static_cast<int>(t->perm.size()) : 0;
    // The flag swaps the last two axes: it can take over where rows became columns. What is left
    // of the transpose moves whole rows, or nothing.
    if (rank < 2 || t->perm[rank - 2] != rank - 1) continue;
    Perm left = t->perm;
    std::swap(left[rank - 2], left[rank - 1]);
    if (IsIdentity(left)) {
      inputs[i] = t->source;
    } else if (uses.Count(v) == 1 && node.inputs[0] != node.inputs[1]) {
      inputs[i] = patch.AddNode(op::kTranspose, TransposeBy(left), {t->source},
                                g.node(g.value(v).producer).name);
    } else {
      continue;
    }
    bool& flag = i == 0 ? params.trans_a : params.trans_b;
    flag = !flag;
    changed = true;
  }
  if (!changed) return std::nullopt;
  // Without flags an operand may be a vector, with them not.
  for (int i = 0; i < 2; ++i) {
    const Shape* shape = ShapeOf(g, node.inputs[i]);
    if (!shape || shape->rank() < 2) return std::nullopt;
  }
  patch.Replace(node.outputs[0], patch.AddNode(op::kMatMul, Params::Of(std::move(params)),
                                               std::move(inputs), node.name));
  return patch;
}

constexpr const OpDef* kTransposes[] = {&op::kTranspose};
constexpr const OpDef* kAxisOps[] = {
    &op::kConcat,          &op::kSoftmax,         &op::kLogSoftmax,     &op::kHardmax,
    &op::kLpNormalization, &op::kReduceSum,       &op::kReduceMean,     &op::kReduceMax,
    &op::kReduceMin,       &op::kReduceProd,      &op::kReduceL1,       &op::kReduceL2,
    &op::kReduceLogSum,    &op::kReduceLogSumExp, &op::kReduceSumSquare};
constexpr const OpDef* kPads[] = {&op::kPad};
constexpr const OpDef* kMatMuls[] = {&op::kMatMul};

}  // namespace

constinit const Rule kMergeTransposes = {
    "merge-transposes", "Transpose(Transpose(x)) -> Transpose(x), or x where they cancel",
    kTransposes, MergeTransposes};
constinit const Rule kSinkTranspose = {
    "sink-transpose", "f(T(a), T(b)) -> T(f(a, b)) for element-wise f", {}, SinkTranspose};
constinit const Rule kSinkTransposeThroughAxis = {
    "sink-transpose-through-axis",
    "f(T(x), axis) -> T(f(x, axis')) for Concat, reductions, and before a transpose Softmax",
    kAxisOps, SinkThroughAxis};
constinit const Rule kSinkTransposeThroughPad = {
    "sink-transpose-through-pad", "Pad(T(x), pads) -> T(Pad(x, pads'))", kPads, SinkThroughPad};
constinit const Rule kFoldTransposeIntoMatMul = {
    "fold-transpose-into-matmul",
    "MatMul(T(a), T(b)) -> MatMul(T'(a), T'(b)) with the other flags, where T' keeps rows whole",
    kMatMuls, FoldIntoMatMul};

}  // namespace sula::rules
