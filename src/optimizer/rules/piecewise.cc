// Activations of straight pieces (Relu, Clip, LeakyRelu, PRelu) that exporters spell out in minima,
// maxima and differences.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/elementwise.h"
#include "optimizer/match.h"
#include "optimizer/match_arithmetic.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// v = min(max(x, low), high) with low <= high.
struct Clamp {
  ValueId x;
  double low = -kInfinity, high = kInfinity;
  double operator()(double v) const { return std::min(std::max(v, low), high); }
};

std::optional<Clamp> AsClamp(const Graph& g, NodeId id) {
  const Node& node = g.node(id);
  if (!IsFloat(g.value(node.outputs[0]).type.dtype)) return std::nullopt;
  if (node.Is(op::kRelu)) return Clamp{node.inputs[0], 0};
  Clamp clamp = {node.inputs[0]};
  if (node.Is(op::kClip)) {
    double* bounds[] = {&clamp.low, &clamp.high};
    for (int i : {0, 1}) {
      if (!node.HasInput(i + 1)) continue;
      const std::optional<double> bound = ScalarConstant(g, node.inputs[i + 1]);
      if (!bound) return std::nullopt;
      *bounds[i] = *bound;
    }
  } else if (node.Is(op::kMax) || node.Is(op::kMin)) {
    std::optional<double> c = ScalarConstant(g, node.inputs[1]);
    if (!c) {
      c = ScalarConstant(g, node.inputs[0]);
      clamp.x = node.inputs[1];
    }
    if (!c || !SameShape(g, clamp.x, node.outputs[0])) return std::nullopt;
    (node.Is(op::kMax) ? clamp.low : clamp.high) = *c;
  } else {
    return std::nullopt;
  }
  // Of NaN both comparisons are false.
  if (!(clamp.low <= clamp.high)) return std::nullopt;
  return clamp;
}

// The clamp as a node in place of `node`. The bounds are numbers of its type.
Patch ClampInstead(const Graph& g, const Node& node, const Clamp& clamp) {
  Patch patch(g);
  const DType dtype = g.value(node.outputs[0]).type.dtype;
  if (clamp.low == 0 && clamp.high == kInfinity) {
    patch.Replace(node.outputs[0],
                  patch.AddNode(op::kRelu, op::kRelu.default_params(), {clamp.x}, node.name));
    return patch;
  }
  std::vector<ValueId> inputs = {clamp.x, kNoValue};
  if (clamp.low != -kInfinity)
    inputs[1] = patch.AddConstant(node.name + "/min", FloatTensor(dtype, Dims{}, {clamp.low}));
  if (clamp.high != kInfinity)
    inputs.push_back(
        patch.AddConstant(node.name + "/max", FloatTensor(dtype, Dims{}, {clamp.high})));
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kClip, op::kClip.default_params(), std::move(inputs), node.name));
  return patch;
}

std::optional<Patch> MinMaxToClip(const Graph& g, const UseIndex&, NodeId id) {
  const std::optional<Clamp> clamp = AsClamp(g, id);
  if (!clamp) return std::nullopt;
  if (clamp->low == -kInfinity && clamp->high == kInfinity) {
    Patch patch(g);
    patch.Replace(g.node(id).outputs[0], clamp->x);
    return patch;
  }
  return ClampInstead(g, g.node(id), *clamp);
}

std::optional<Patch> MergeClips(const Graph& g, const UseIndex& uses, NodeId id) {
  const std::optional<Clamp> outer = AsClamp(g, id);
  if (!outer || uses.Count(outer->x) != 1 || g.value(outer->x).producer == kNoNode)
    return std::nullopt;
  std::optional<Clamp> inner = AsClamp(g, g.value(outer->x).producer);
  if (!inner) return std::nullopt;
  return ClampInstead(g, g.node(id), {inner->x, (*outer)(inner->low), (*outer)(inner->high)});
}

// max(x, a * x) with 0 <= a <= 1
std::optional<Patch> MaxToLeakyRelu(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  if (!IsFoldableFloat(g.value(node.outputs[0]).type.dtype)) return std::nullopt;
  for (int i : {0, 1}) {
    const ValueId x = node.inputs[i];
    const auto scaled = AsScaled(g, node.inputs[1 - i]);
    if (!scaled || scaled->x != x || !(scaled->c >= 0 && scaled->c <= 1)) continue;
    if (uses.Count(node.inputs[1 - i]) != 1) continue;
    Patch patch(g);
    const auto alpha = static_cast<float>(scaled->c);
    patch.Replace(node.outputs[0],
                  patch.AddNode(op::kLeakyRelu, Params::Of(AlphaParams{alpha, 0}), {x}, node.name));
    return patch;
  }
  return std::nullopt;
}

// ---- relu(x) + slope * min(x, 0)

// v = factor * constants * min(x, 0), taken apart at its products: at most one of the constants has
// more than one element.
struct NegativePart {
  double factor = 1;
  const Tensor* slopes = nullptr;
  bool found = false;
};

// Whether v is min(x, 0) up to a factor, which it puts into the part.
bool IsNegativePart(const Graph& g, ValueId v, ValueId x, NegativePart& part) {
  if (const auto relu = OperandOf(g, v, op::kRelu); relu && OperandOf(g, *relu, op::kNeg) == x) {
    part.factor = -part.factor;  // min(x, 0) = -relu(-x)
    return true;
  }
  if (const auto o = OperandsOf(g, v, op::kSub);
      o && o->a == x && OperandOf(g, o->b, op::kAbs) == x) {
    part.factor *= 2;  // min(x, 0) = (x - |x|) / 2
    return true;
  }
  const NodeId id = g.value(v).producer;
  const std::optional<Clamp> clamp = id == kNoNode ? std::nullopt : AsClamp(g, id);
  return clamp && clamp->x == x && clamp->low == -kInfinity && clamp->high == 0;
}

bool TakeApart(const Graph& g, const UseIndex& uses, ValueId v, ValueId x, NegativePart& part) {
  if (const Tensor* c = g.Constant(v)) {
    if (c->num_elements() == 1) {
      part.factor *= c->AsDouble(0);
      return true;
    }
    if (part.slopes) return false;
    part.slopes = c;
    return true;
  }
  if (!part.found && IsNegativePart(g, v, x, part)) {
    part.found = true;
    return true;
  }
  if (uses.Count(v) != 1) return false;
  if (const auto negated = OperandOf(g, v, op::kNeg)) {
    part.factor = -part.factor;
    return TakeApart(g, uses, *negated, x, part);
  }
  const auto o = OperandsOf(g, v, op::kMul);
  return o && TakeApart(g, uses, o->a, x, part) && TakeApart(g, uses, o->b, x, part);
}

std::optional<Patch> RecognisePRelu(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  const DType dtype = g.value(y).type.dtype;
  if (!IsPlain(node) || !IsFoldableFloat(dtype)) return std::nullopt;
  for (int i = 0; i < (node.Is(op::kAdd) ? 2 : 1); ++i) {
    const auto x = OperandOf(g, node.inputs[i], op::kRelu);
    if (!x || !SameShape(g, *x, y) || !SameShape(g, node.inputs[1 - i], y)) continue;
    NegativePart part;
    if (node.Is(op::kSub)) part.factor = -1;
    if (!TakeApart(g, uses, node.inputs[1 - i], *x, part) || !part.found) continue;
    Patch patch(g);
    Tensor slopes =
        part.slopes ? MapElements(*part.slopes, [&](int64_t, double s) { return s * part.factor; })
                    : FloatTensor(dtype, {part.factor});
    const ValueId slope = patch.AddConstant(node.name + "/slope", std::move(slopes));
    patch.Replace(y,
                  patch.AddNode(op::kPRelu, op::kPRelu.default_params(), {*x, slope}, node.name));
    return patch;
  }
  return std::nullopt;
}

constexpr const OpDef* kMinMax[] = {&op::kMin, &op::kMax};
constexpr const OpDef* kClamps[] = {&op::kClip, &op::kRelu};
constexpr const OpDef* kMaxima[] = {&op::kMax};
constexpr const OpDef* kSums[] = {&op::kAdd, &op::kSub};

}  // namespace

constinit const Rule kMinMaxToClip = {
    "min-max-to-clip", "Max(x, c) -> Clip(x, min=c), Relu where c = 0, x where c = -inf; Min alike",
    kMinMax, MinMaxToClip};
constinit const Rule kMergeClips = {"merge-clips",
                                    "Clip(Clip(x)) -> Clip(x) with bounds for both; Relu alike",
                                    kClamps, MergeClips};
constinit const Rule kMaxToLeakyRelu = {
    "max-to-leaky-relu", "Max(x, a * x) -> LeakyRelu(x) for 0 <= a <= 1", kMaxima, MaxToLeakyRelu};
constinit const Rule kRecognisePRelu = {
    "recognise-prelu",
    "Relu(x) + s * min(x, 0) -> PRelu(x, s), also with -Relu(-x) or (x - |x|) / 2 for min(x, 0)",
    kSums, RecognisePRelu};

}  // namespace sula::rules
