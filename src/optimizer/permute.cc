#include "optimizer/permute.h"

#include <algorithm>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/resize.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"
#include "optimizer/match.h"

namespace sula {

bool IsIdentity(const Perm& perm) { return std::ranges::is_sorted(perm); }

Perm Inverse(const Perm& perm) {
  Perm inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[perm[i]] = static_cast<int>(i);
  return inverse;
}

Perm Compose(const Perm& inner, const Perm& outer) {
  Perm all;
  for (int axis : outer) all.push_back(inner[axis]);
  return all;
}

Params TransposeBy(const Perm& perm) {
  return Params::Of(TransposeParams{.perm = {perm.begin(), perm.end()}});
}

std::optional<Perm> PermOf(const Graph& g, NodeId id) {
  const Node& node = g.node(id);
  const Shape* in = ShapeOf(g, node.inputs[0]);
  if (!in) return std::nullopt;
  Result<Perm> perm = ResolvePerm(node.As<TransposeParams>().perm, in->rank());
  if (!perm.has_value()) return std::nullopt;
  return *std::move(perm);
}

bool MovesNothing(const Shape& before, const Perm& perm) {
  int last = -1;
  for (int axis : perm) {
    if (before[axis] == Dim(1)) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

namespace {

using Plan = std::optional<PermutedNode>;

int Rank(const Perm& perm) { return static_cast<int>(perm.size()); }

// An axis of the transposed value as an axis of its source; nothing if out of range.
std::optional<int> SourceAxis(int64_t axis, const Perm& perm) {
  if (axis < -Rank(perm) || axis >= Rank(perm)) return std::nullopt;
  return perm[axis < 0 ? axis + Rank(perm) : axis];
}

// Axes given as numbers, each in range and there once, as axes of the source.
std::optional<std::vector<int64_t>> SourceAxes(const std::vector<int64_t>& axes, const Perm& perm) {
  std::vector<int64_t> moved;
  for (int64_t axis : axes) {
    const std::optional<int> source = SourceAxis(axis, perm);
    if (!source || std::ranges::count(moved, *source) > 0) return std::nullopt;
    moved.push_back(*source);
  }
  return moved;
}

// The permutation that is left when the axes in `gone` (of the source) are dropped.
Perm Without(const Perm& perm, const std::vector<int64_t>& gone) {
  const auto dropped = [&](int axis) { return std::ranges::count(gone, axis) > 0; };
  Perm rest;
  for (int axis : perm) {
    if (dropped(axis)) continue;
    int place = 0;
    for (int lower = 0; lower < axis; ++lower) place += !dropped(lower);
    rest.push_back(place);
  }
  return rest;
}

// The permutation for data output, with only input 0 permuted.
PermutedNode OneToOne(const Node& node, const Perm& in, const Perm& out) {
  PermutedNode plan;
  plan.inputs.resize(node.inputs.size());
  plan.inputs[0] = in;
  plan.outputs.assign(node.outputs.size(), out);
  return plan;
}

// ---- constants that go with the data

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

// Numbers, `groups` lists of one per axis, in the order of the source's axes.
template <class T>
std::vector<T> ByAxis(const std::vector<T>& list, const Perm& perm) {
  std::vector<T> moved(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const size_t group = i / perm.size() * perm.size();
    moved[group + perm[i % perm.size()]] = list[i];
  }
  return moved;
}

// ---- plans by kind of operator

Plan PlanElementwise(const Graph& g, const Node& node, const Perm& perm) {
  if (node.outputs.size() != 1) return std::nullopt;
  PermutedNode plan;
  for (ValueId v : node.inputs) {
    Perm& p = plan.inputs.emplace_back();
    if (v == kNoValue || IsSingleElement(g, v)) continue;
    const Shape* shape = ShapeOf(g, v);
    if (!shape || shape->rank() > Rank(perm)) return std::nullopt;
    if (g.Constant(v)) continue;
    if (shape->rank() < Rank(perm)) return std::nullopt;
    p = perm;
  }
  plan.outputs = {perm};
  return plan;
}

Plan PlanConcat(const Graph& g, const Node& node, const Perm& perm) {
  if (!SourceAxis(node.As<ConcatParams>().axis, perm)) return std::nullopt;
  PermutedNode plan;
  for (ValueId v : node.inputs) {
    const Shape* shape = ShapeOf(g, v);
    if (!shape || shape->rank() != Rank(perm)) return std::nullopt;
    plan.inputs.push_back(g.Constant(v) ? Perm() : perm);
  }
  plan.outputs = {perm};
  return plan;
}

// The last axis is the best one for these.
Plan PlanAlongAxis(const Node& node, int64_t axis, const Perm& perm) {
  const std::optional<int> source = SourceAxis(axis, perm);
  if (!source) return std::nullopt;
  PermutedNode plan = OneToOne(node, perm, perm);
  plan.slower = *source != Rank(perm) - 1 && perm.back() == *source;
  return plan;
}

std::optional<std::vector<int64_t>> ReductionAxes(const Graph& g, const Node& node,
                                                  const Perm& perm) {
  std::vector<int64_t> axes = node.As<ReduceParams>().axes;
  if (node.HasInput(1)) {
    const auto given = IntsInput(g, node, 1);
    if (!given) return std::nullopt;
    axes = *given;
  }
  if (axes.empty()) return std::nullopt;
  return SourceAxes(axes, perm);
}

Plan PlanReduce(const Graph& g, const Node& node, const Perm& perm) {
  const auto axes = ReductionAxes(g, node, perm);
  if (!axes) return std::nullopt;
  return OneToOne(node, perm, node.As<ReduceParams>().keepdims ? perm : Without(perm, *axes));
}

Plan PlanArg(const Node& node, const Perm& perm) {
  const auto& params = node.As<ArgParams>();
  const std::optional<int> axis = SourceAxis(params.axis, perm);
  if (!axis) return std::nullopt;
  return OneToOne(node, perm, params.keepdims ? perm : Without(perm, {*axis}));
}

Plan PlanPad(const Graph& g, const Node& node, const Perm& perm) {
  if (node.HasInput(3)) {
    const auto axes = IntsInput(g, node, 3);
    if (!axes || !SourceAxes(*axes, perm)) return std::nullopt;
  } else {
    const auto pads = IntsInput(g, node, 1);
    if (!pads || pads->size() != 2 * perm.size()) return std::nullopt;
  }
  return OneToOne(node, perm, perm);
}

// The axes of a Slice as axes of the source.
std::optional<std::vector<int64_t>> SliceAxes(const Graph& g, const Node& node, const Perm& perm) {
  if (node.HasInput(3)) {
    const auto given = IntsInput(g, node, 3);
    return given ? SourceAxes(*given, perm) : std::nullopt;
  }
  const Shape* starts = ShapeOf(g, node.inputs[1]);
  const auto count = starts && starts->rank() == 1 ? (*starts)[0].TryValue() : std::nullopt;
  if (!count || *count > Rank(perm)) return std::nullopt;
  std::vector<int64_t> axes(*count);
  std::iota(axes.begin(), axes.end(), 0);
  return SourceAxes(axes, perm);
}

// A list with an entry per axis, constant, as input `i`.
bool HasListPerAxis(const Graph& g, const Node& node, size_t i, const Perm& perm) {
  const Tensor* t = ConstantInput(g, node, i);
  return t && t->rank() == 1 && t->num_elements() == Rank(perm);
}

Plan PlanResize(const Node& node, const Perm& perm) {
  const auto& axes = node.As<ResizeParams>().axes;
  if (!axes.empty() && !SourceAxes(axes, perm)) return std::nullopt;
  return OneToOne(node, perm, perm);
}

std::optional<std::vector<int64_t>> SqueezedAxes(const Graph& g, const Node& node,
                                                 const Perm& perm) {
  if (node.HasInput(1)) {
    const auto axes = IntsInput(g, node, 1);
    return axes ? SourceAxes(*axes, perm) : std::nullopt;
  }
  const Shape* in = ShapeOf(g, node.inputs[0]);
  const auto dims = in ? in->TryConcrete() : std::nullopt;
  if (!dims) return std::nullopt;
  std::vector<int64_t> axes;
  for (int i = 0; i < in->rank(); ++i)
    if ((*dims)[i] == 1) axes.push_back(perm[i]);
  return axes;
}

Plan PlanSqueeze(const Graph& g, const Node& node, const Perm& perm) {
  const auto axes = SqueezedAxes(g, node, perm);
  if (!axes) return std::nullopt;
  return OneToOne(node, perm, Without(perm, *axes));
}

// The new axes come last in the source of the result.
Plan PlanUnsqueeze(const Graph& g, const Node& node, const Perm& perm) {
  const auto axes = IntsInput(g, node, 1);
  if (!axes) return std::nullopt;
  const int64_t rank = Rank(perm) + static_cast<int64_t>(axes->size());
  Perm out(rank, -1);
  int next_new = Rank(perm);
  for (int64_t axis : *axes) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || out[axis] >= 0) return std::nullopt;
    out[axis] = next_new++;
  }
  size_t next_old = 0;
  for (int& axis : out)
    if (axis < 0) axis = perm[next_old++];
  return OneToOne(node, perm, out);
}

// A Reshape that only adds and drops axes of size 1, on the source: its result has the other axes
// in the source's order, then the new ones. Nothing for other ones.
struct MovedReshape {
  Shape source, result;
  Perm perm;  // of the result
};
std::optional<MovedReshape> MoveReshape(const Graph& g, const Node& node, const Perm& perm) {
  const Shape *in = ShapeOf(g, node.inputs[0]), *out = ShapeOf(g, node.outputs[0]);
  if (!in || !out || in->rank() != Rank(perm)) return std::nullopt;
  const auto kept = [](const Shape& shape) {
    std::vector<int> axes;
    for (int i = 0; i < shape.rank(); ++i)
      if (shape[i] != Dim(1)) axes.push_back(i);
    return axes;
  };
  const std::vector<int> before = kept(*in), after = kept(*out);
  if (before.size() != after.size()) return std::nullopt;
  for (size_t i = 0; i < before.size(); ++i)
    if ((*in)[before[i]] != (*out)[after[i]]) return std::nullopt;
  std::vector<Dim> source(perm.size()), result;
  for (int i = 0; i < Rank(perm); ++i) source[perm[i]] = (*in)[i];
  MovedReshape moved;
  moved.source = Shape(std::move(source));
  moved.perm.assign(out->rank(), -1);
  for (int axis = 0; axis < Rank(perm); ++axis) {
    for (size_t i = 0; i < before.size(); ++i) {
      if (perm[before[i]] != axis) continue;
      moved.perm[after[i]] = static_cast<int>(result.size());
      result.push_back(moved.source[axis]);
    }
  }
  for (int& axis : moved.perm) {
    if (axis >= 0) continue;
    axis = static_cast<int>(result.size());
    result.push_back(1);
  }
  moved.result = Shape(std::move(result));
  return moved;
}

Plan PlanReshape(const Graph& g, const Node& node, const Perm& perm) {
  const std::optional<MovedReshape> moved = MoveReshape(g, node, perm);
  if (!moved || !ReshapeTarget(moved->source, moved->result)) return std::nullopt;
  return OneToOne(node, perm, moved->perm);
}

Plan PlanGather(const Graph& g, const Node& node, const Perm& perm) {
  const Shape* indices = ShapeOf(g, node.inputs[1]);
  const std::optional<int> axis = SourceAxis(node.As<AxisParams>().axis, perm);
  if (!indices || indices->rank() > 1 || !axis) return std::nullopt;
  return OneToOne(node, perm, indices->rank() == 1 ? perm : Without(perm, {*axis}));
}

// Splits along an axis, and the like: parameters P have the axis.
template <class P>
Plan PlanAxis(const Node& node, const Perm& perm) {
  if (!SourceAxis(node.As<P>().axis, perm)) return std::nullopt;
  return OneToOne(node, perm, perm);
}

bool IsReduction(const Node& node) {
  static constexpr const OpDef* kOps[] = {
      &op::kReduceSum,       &op::kReduceMean,     &op::kReduceMax, &op::kReduceMin,
      &op::kReduceProd,      &op::kReduceL1,       &op::kReduceL2,  &op::kReduceLogSum,
      &op::kReduceLogSumExp, &op::kReduceSumSquare};
  return std::ranges::count(kOps, node.op) > 0;
}
bool IsSoftmax(const Node& node) {
  return node.Is(op::kSoftmax) || node.Is(op::kLogSoftmax) || node.Is(op::kHardmax);
}
bool IsPermutableElementwise(const Node& node) {
  return node.op->Has(kElementwise) && node.op->Has(kLayoutAgnostic);
}

Plan MakePlan(const Graph& g, const Node& node, const Perm& perm) {
  if (IsPermutableElementwise(node)) return PlanElementwise(g, node, perm);
  if (node.Is(op::kConcat)) return PlanConcat(g, node, perm);
  if (IsSoftmax(node)) return PlanAlongAxis(node, node.As<SoftmaxParams>().axis, perm);
  if (node.Is(op::kLpNormalization)) return PlanAlongAxis(node, node.As<LpNormParams>().axis, perm);
  if (IsReduction(node)) return PlanReduce(g, node, perm);
  if (node.Is(op::kArgMax) || node.Is(op::kArgMin)) return PlanArg(node, perm);
  if (node.Is(op::kPad)) return PlanPad(g, node, perm);
  if (node.Is(op::kSlice) && SliceAxes(g, node, perm)) return OneToOne(node, perm, perm);
  if (node.Is(op::kResize)) return PlanResize(node, perm);
  if (node.Is(op::kSplit)) return PlanAxis<SplitParams>(node, perm);
  if (node.Is(op::kTopK)) return PlanAlongAxis(node, node.As<TopKParams>().axis, perm);
  if (node.Is(op::kSqueeze)) return PlanSqueeze(g, node, perm);
  if (node.Is(op::kUnsqueeze)) return PlanUnsqueeze(g, node, perm);
  if (node.Is(op::kReshape)) return PlanReshape(g, node, perm);
  if (node.Is(op::kGather)) return PlanGather(g, node, perm);
  if (node.Is(op::kTile) && HasListPerAxis(g, node, 1, perm)) return OneToOne(node, perm, perm);
  if (node.Is(op::kExpand) && HasListPerAxis(g, node, 1, perm)) return OneToOne(node, perm, perm);
  if (node.Is(op::kShape)) return OneToOne(node, perm, {});
  return std::nullopt;
}

// The data inputs are those that a plan permutes; all data have the rank of the result.
bool KeepsAxes(const Graph& g, const Node& node) {
  const Shape *in = ShapeOf(g, node.inputs[0]), *out = ShapeOf(g, node.outputs[0]);
  if (!in || !out || in->rank() != out->rank()) return IsPermutableElementwise(node) && out;
  return !node.Is(op::kShape) && !node.Is(op::kUnsqueeze) && !node.Is(op::kSqueeze) &&
         !node.Is(op::kReshape);
}

}  // namespace

std::optional<PermutedNode> PermuteFromInput(const Graph& g, const Node& node, size_t at,
                                             const Perm& perm) {
  const Shape* out = node.HasOutput(0) ? ShapeOf(g, node.outputs[0]) : nullptr;
  if (!out || !node.subgraphs.empty()) return std::nullopt;
  Plan plan = MakePlan(g, node, perm);
  if (!plan || plan->inputs[at] != perm) return std::nullopt;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const Shape* shape = node.HasOutput(i) ? ShapeOf(g, node.outputs[i]) : nullptr;
    if (node.HasOutput(i) && !plan->outputs[i].empty() &&
        (!shape || shape->rank() != Rank(plan->outputs[i])))
      return std::nullopt;
  }
  return plan;
}

std::optional<PermutedNode> PermuteFromOutput(const Graph& g, const Node& node, size_t at,
                                              const Perm& perm) {
  if (node.inputs.empty() || !node.HasInput(0) || !node.HasOutput(0) || !KeepsAxes(g, node))
    return std::nullopt;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.HasInput(i) || g.Constant(node.inputs[i])) continue;
    const Plan plan = PermuteFromInput(g, node, i, perm);
    if (plan && plan->outputs[at] == perm) return plan;
  }
  return std::nullopt;
}

namespace {

template <class P>
Params WithAxis(const Node& node, const Perm& perm) {
  P params = node.As<P>();
  params.axis = *SourceAxis(params.axis, perm);
  return Params::Of(std::move(params));
}

}  // namespace

std::vector<ValueId> AddPermuted(const Graph& g, const Node& node, const PermutedNode& plan,
                                 std::vector<ValueId> inputs, Patch& patch) {
  const Perm& perm = *std::ranges::find_if(plan.inputs, [](const Perm& p) { return !p.empty(); });
  Params params = node.params;
  const auto ints = [&](std::string_view what, const std::vector<int64_t>& values) {
    return patch.AddConstant(StrCat(node.name, "/", what), Tensor::FromInts(values));
  };
  const auto at_least = [&](size_t n) {
    if (inputs.size() < n) inputs.resize(n, kNoValue);
  };
  if (IsPermutableElementwise(node) || node.Is(op::kConcat)) {
    const bool broadcast = !node.Is(op::kConcat);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor* constant = ConstantInput(g, node, i);
      if (!constant || (broadcast && IsSingleElement(g, node.inputs[i]))) continue;
      std::optional<Tensor> undone = UndoTranspose(*constant, perm, broadcast);
      if (!undone) return {};
      inputs[i] = patch.AddConstant(g.value(node.inputs[i]).name, *std::move(undone));
    }
    if (!broadcast) params = WithAxis<ConcatParams>(node, perm);
  } else if (IsSoftmax(node)) {
    params = WithAxis<SoftmaxParams>(node, perm);
  } else if (node.Is(op::kLpNormalization)) {
    params = WithAxis<LpNormParams>(node, perm);
  } else if (IsReduction(node)) {
    ReduceParams p = node.As<ReduceParams>();
    p.axes = *ReductionAxes(g, node, perm);
    std::ranges::sort(p.axes);
    params = Params::Of(std::move(p));
    inputs.resize(1);
  } else if (node.Is(op::kArgMax) || node.Is(op::kArgMin)) {
    params = WithAxis<ArgParams>(node, perm);
  } else if (node.Is(op::kPad)) {
    if (node.HasInput(3)) {
      inputs[3] = ints("axes", *SourceAxes(*IntsInput(g, node, 3), perm));
    } else {
      inputs[1] = ints("pads", ByAxis(*IntsInput(g, node, 1), perm));
    }
  } else if (node.Is(op::kSlice)) {
    at_least(4);
    inputs[3] = ints("axes", *SliceAxes(g, node, perm));
  } else if (node.Is(op::kResize)) {
    ResizeParams p = node.As<ResizeParams>();
    const bool all = p.axes.empty() && !node.HasInput(1) &&
                     (!node.HasInput(2) || HasListPerAxis(g, node, 2, perm)) &&
                     (!node.HasInput(3) || HasListPerAxis(g, node, 3, perm));
    if (all) {
      if (node.HasInput(2)) {
        std::vector<double> scales;
        for (int i = 0; i < Rank(perm); ++i)
          scales.push_back(ConstantInput(g, node, 2)->AsDouble(i));
        inputs[2] = patch.AddConstant(node.name + "/scales",
                                      FloatTensor(DType::kFloat32, ByAxis(scales, perm)));
      }
      if (node.HasInput(3)) inputs[3] = ints("sizes", ByAxis(*IntsInput(g, node, 3), perm));
    } else {
      if (p.axes.empty()) {
        p.axes.assign(perm.begin(), perm.end());
      } else {
        p.axes = *SourceAxes(p.axes, perm);
      }
      params = Params::Of(std::move(p));
    }
  } else if (node.Is(op::kSplit)) {
    params = WithAxis<SplitParams>(node, perm);
  } else if (node.Is(op::kTopK)) {
    params = WithAxis<TopKParams>(node, perm);
  } else if (node.Is(op::kSqueeze)) {
    at_least(2);
    std::vector<int64_t> axes = *SqueezedAxes(g, node, perm);
    std::ranges::sort(axes);
    inputs[1] = ints("axes", axes);
  } else if (node.Is(op::kUnsqueeze)) {
    std::vector<int64_t> axes(IntsInput(g, node, 1)->size());
    std::iota(axes.begin(), axes.end(), Rank(perm));
    inputs[1] = ints("axes", axes);
  } else if (node.Is(op::kReshape)) {
    const MovedReshape moved = *MoveReshape(g, node, perm);
    params = Params::Of(ReshapeParams{});
    inputs[1] = ints("shape", *ReshapeTarget(moved.source, moved.result));
  } else if (node.Is(op::kGather)) {
    params = WithAxis<AxisParams>(node, perm);
  } else if (node.Is(op::kTile)) {
    inputs[1] = ints("repeats", ByAxis(*IntsInput(g, node, 1), perm));
  } else if (node.Is(op::kExpand)) {
    inputs[1] = ints("shape", ByAxis(*IntsInput(g, node, 1), perm));
  } else if (node.Is(op::kShape)) {
    // Sizes in the source's order, picked in the order of the node's own input.
    const ShapeParams& p = node.As<ShapeParams>();
    const int64_t rank = Rank(perm);
    const auto clamped = [&](int64_t i) {
      return std::clamp(i < 0 ? i + rank : i, int64_t{0}, rank);
    };
    std::vector<int64_t> axes;
    for (int64_t i = clamped(p.start); i < clamped(p.end); ++i) axes.push_back(perm[i]);
    const ValueId sizes =
        patch.AddNode(op::kShape, Params::Of(ShapeParams{}), std::move(inputs), node.name);
    return {patch.AddNode(op::kGather, Params::Of(AxisParams{}), {sizes, ints("axes", axes)},
                          node.name + "/picked")};
  }
  return patch.AddNodes(*node.op, std::move(params), std::move(inputs),
                        static_cast<int>(node.outputs.size()), node.name);
}

}  // namespace sula
