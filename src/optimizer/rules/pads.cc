// Padding by a node of its own, given to the operator that reads it.
#include <algorithm>
#include <limits>

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/pool.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// A constant padding of the spatial axes alone.
struct SpatialPad {
  ValueId x;
  std::vector<int64_t> pads;  // begins, then ends, of the spatial axes; none negative
  double value;
};

std::optional<SpatialPad> AsSpatialPad(const Graph& g, ValueId v) {
  const NodeId id = ProducedBy(g, v, op::kPad);
  if (id == kNoNode) return std::nullopt;
  const Node& node = g.node(id);
  const Shape* shape = ShapeOf(g, node.inputs[0]);
  const auto pads = IntsInput(g, node, 1);
  if (!shape || shape->rank() < 3 || !pads || node.As<PadParams>().mode != PadMode::kConstant)
    return std::nullopt;
  const int rank = shape->rank();
  std::vector<int64_t> axes;
  if (node.HasInput(3)) {
    const auto given = IntsInput(g, node, 3);
    if (!given) return std::nullopt;
    axes = *given;
  } else {
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  }
  if (pads->size() != 2 * axes.size()) return std::nullopt;
  std::vector<int64_t> all(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return std::nullopt;
    all[axis] = (*pads)[i];
    all[rank + axis] = (*pads)[axes.size() + i];
  }
  if (std::ranges::any_of(all, [](int64_t p) { return p < 0; })) return std::nullopt;
  if (all[0] || all[1] || all[rank] || all[rank + 1]) return std::nullopt;
  SpatialPad result = {node.inputs[0], {}, 0};
  if (node.HasInput(2)) {
    const std::optional<double> value = ScalarConstant(g, node.inputs[2]);
    if (!value) return std::nullopt;
    result.value = *value;
  }
  result.pads.assign(all.begin() + 2, all.begin() + rank);
  result.pads.insert(result.pads.end(), all.begin() + rank + 2, all.end());
  return result;
}

// Adds to the pads of a window operator; nothing if those depend on the input size.
template <class P>
bool AddPads(const std::vector<int64_t>& more, P& params) {
  if (params.auto_pad != AutoPad::kExplicit && params.auto_pad != AutoPad::kValid) return false;
  if (params.auto_pad == AutoPad::kValid) params.pads.clear();
  params.auto_pad = AutoPad::kExplicit;
  params.pads.resize(more.size(), 0);
  for (size_t i = 0; i < more.size(); ++i) {
    // Sums far from overflow, and no larger than any kernel would want.
    if (params.pads[i] < 0 || params.pads[i] > 1 << 30 || more[i] > 1 << 30) return false;
    params.pads[i] += more[i];
  }
  return true;
}

template <class P>
std::optional<Patch> WithInput(const Graph& g, const Node& node, ValueId x, P params) {
  Patch patch(g);
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = x;
  patch.Replace(node.outputs[0], patch.AddNode(*node.op, Params::Of(std::move(params)),
                                               std::move(inputs), node.name));
  return patch;
}

std::optional<Patch> FoldPadIntoConv(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const std::optional<SpatialPad> pad = AsSpatialPad(g, node.inputs[0]);
  if (!pad || pad->value != 0) return std::nullopt;
  ConvParams params = node.As<ConvParams>();
  if (!AddPads(pad->pads, params)) return std::nullopt;
  return WithInput(g, node, pad->x, std::move(params));
}

bool HasPads(const PoolParams& p) {
  return p.auto_pad == AutoPad::kExplicit &&
         std::ranges::any_of(p.pads, [](int64_t x) { return x != 0; });
}

// Every window still reaches an element of the input, as pooling demands.
bool PadsFitWindows(const PoolParams& p) {
  const size_t spatial = p.kernel.size();
  for (size_t i = 0; i < 2 * spatial && i < p.pads.size(); ++i) {
    const int64_t dilation = p.dilations.empty() ? 1 : p.dilations[i % spatial];
    if (p.pads[i] >= (p.kernel[i % spatial] - 1) * dilation + 1) return false;
  }
  return true;
}

std::optional<Patch> FoldPadIntoAveragePool(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  PoolParams params = node.As<PoolParams>();
  const std::optional<SpatialPad> pad = AsSpatialPad(g, node.inputs[0]);
  // The padding counted as input, so it must count as padding; with padding of the pool's own that
  // does not count, the two cannot be told apart afterwards.
  if (!pad || pad->value != 0 || params.ceil_mode) return std::nullopt;
  if (HasPads(params) && !params.count_include_pad) return std::nullopt;
  if (!AddPads(pad->pads, params) || !PadsFitWindows(params)) return std::nullopt;
  params.count_include_pad = true;
  return WithInput(g, node, pad->x, std::move(params));
}

// The value is never negative (and of a kind that a maximum with zeros leaves as it is).
bool IsNonNegative(const Graph& g, ValueId v) {
  const NodeId producer = g.value(v).producer;
  if (producer == kNoNode) return false;
  const Node& node = g.node(producer);
  const std::optional<Activation> activation = AsActivation(node, ConstantInputs(g, node));
  if (!activation) return false;
  return activation->kind == ActivationKind::kRelu ||
         activation->kind == ActivationKind::kSigmoid ||
         (activation->kind == ActivationKind::kClip && activation->a >= 0 && activation->b >= 0);
}

std::optional<Patch> FoldPadIntoMaxPool(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  PoolParams params = node.As<PoolParams>();
  const std::optional<SpatialPad> pad = AsSpatialPad(g, node.inputs[0]);
  if (!pad || params.ceil_mode || node.HasOutput(1) || !IsFloat(g.value(pad->x).type.dtype))
    return std::nullopt;
  const bool neutral = pad->value == -std::numeric_limits<double>::infinity() ||
                       (pad->value == 0 && IsNonNegative(g, pad->x));
  if (!neutral) return std::nullopt;
  if (!AddPads(pad->pads, params) || !PadsFitWindows(params)) return std::nullopt;
  return WithInput(g, node, pad->x, std::move(params));
}

constexpr const OpDef* kConvs[] = {&op::kConv};
constexpr const OpDef* kAveragePools[] = {&op::kAveragePool};
constexpr const OpDef* kMaxPools[] = {&op::kMaxPool};

}  // namespace

constinit const Rule kFoldPadIntoConv = {"fold-pad-into-conv",
                                         "Conv(Pad(x) by zeros, w) -> Conv(x, w) with larger pads",
                                         kConvs, FoldPadIntoConv};
constinit const Rule kFoldPadIntoAveragePool = {
    "fold-pad-into-average-pool",
    "AveragePool(Pad(x) by zeros) -> AveragePool(x) with larger pads that count", kAveragePools,
    FoldPadIntoAveragePool};
constinit const Rule kFoldPadIntoMaxPool = {
    "fold-pad-into-max-pool",
    "MaxPool(Pad(x) by -inf, or by 0 where x >= 0) -> MaxPool(x) with larger pads", kMaxPools,
    FoldPadIntoMaxPool};

}  // namespace sula::rules
