// Sums and products rearranged so that less is computed over whole maps.
#include <cmath>

#include "ops/elementwise.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

bool IsPlain(const Node& node) {
  return node.As<BinaryParams>().activation == ActivationKind::kNone;
}

// The constant operand of a product that does not widen the other one, and its place.
struct Factor {
  const Tensor* constant;
  int place;
};
std::optional<Factor> ConstantFactor(const Graph& g, const Node& mul) {
  for (int i = 0; i < 2; ++i) {
    const Tensor* c = ConstantInput(g, mul, i);
    if (c && SameShape(g, mul.inputs[1 - i], mul.outputs[0])) return Factor{c, i};
  }
  return std::nullopt;
}

std::optional<Patch> MergeFactors(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& outer = g.node(id);
  // float16 is left alone: its range is soon at an end.
  const DType dtype = g.value(outer.outputs[0]).type.dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kBFloat16) return std::nullopt;
  const std::optional<Factor> b = ConstantFactor(g, outer);
  if (!b) return std::nullopt;
  const ValueId middle = outer.inputs[1 - b->place];
  const NodeId inner_id = ProducedBy(g, middle, op::kMul);
  if (inner_id == kNoNode || uses.Count(middle) != 1) return std::nullopt;
  const Node& inner = g.node(inner_id);
  const std::optional<Factor> a = IsPlain(inner) ? ConstantFactor(g, inner) : std::nullopt;
  if (!a) return std::nullopt;
  // One of them may be a single number, or both have the same sizes.
  const Tensor &p = *a->constant, &q = *b->constant;
  const bool p_one = p.num_elements() == 1, q_one = q.num_elements() == 1;
  if (!p_one && !q_one && p.dims() != q.dims()) return std::nullopt;
  bool sane = true;
  const Tensor& larger = q_one ? p : q;
  const Tensor& other = q_one ? q : p;
  Tensor product = MapElements(larger, [&](int64_t i, double v) {
    const double u = other.AsDouble(other.num_elements() == 1 ? 0 : i);
    // Neither overflow nor underflow that x might have made up for.
    const double magnitude = std::abs(u * v);
    sane &= (u == 0 || v == 0) || (magnitude > 1e-30 && magnitude < 1e30);
    return u * v;
  });
  if (!sane) return std::nullopt;
  Patch patch(g);
  const ValueId constant = patch.AddConstant(outer.name + "/factor", std::move(product));
  patch.Replace(
      outer.outputs[0],
      patch.AddNode(op::kMul, outer.params, {inner.inputs[1 - a->place], constant}, outer.name));
  return patch;
}

// True if v has one element for every channel (or fewer) while x has whole maps.
bool IsSmallBeside(const Graph& g, ValueId v, ValueId x) {
  const Shape *small = ShapeOf(g, v), *large = ShapeOf(g, x);
  if (!small || !large || small->rank() != large->rank() || small->rank() < 3) return false;
  for (int i = 2; i < small->rank(); ++i)
    if (!((*small)[i] == Dim(1)) || (*large)[i] == Dim(1)) return false;
  return true;
}

std::optional<Patch> FactorOut(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& add = g.node(id);
  const DType dtype = g.value(add.outputs[0]).type.dtype;
  if (!IsFoldableFloat(dtype)) return std::nullopt;
  for (int i = 0; i < 2; ++i) {
    const ValueId x = add.inputs[i], product = add.inputs[1 - i];
    const NodeId mul_id = ProducedBy(g, product, op::kMul);
    if (mul_id == kNoNode || uses.Count(product) != 1 || !IsPlain(g.node(mul_id))) continue;
    const Node& mul = g.node(mul_id);
    for (int j = 0; j < 2; ++j) {
      const ValueId gate = mul.inputs[1 - j];
      if (mul.inputs[j] != x || !IsSmallBeside(g, gate, x) || !SameShape(g, x, add.outputs[0]))
        continue;
      Patch patch(g);
      const ValueId one = patch.AddConstant(mul.name + "/one", FloatTensor(dtype, {1}));
      const ValueId sum =
          patch.AddNode(op::kAdd, Params::Of(BinaryParams{}), {gate, one}, add.name);
      patch.Replace(add.outputs[0], patch.AddNode(op::kMul, add.params, {x, sum}, mul.name));
      return patch;
    }
  }
  return std::nullopt;
}

constexpr const OpDef* kMuls[] = {&op::kMul};
constexpr const OpDef* kAdds[] = {&op::kAdd};

}  // namespace

constinit const Rule kMergeFactors = {"merge-factors", "(x * c) * d -> x * (c * d)", kMuls,
                                      MergeFactors};
constinit const Rule kFactorOut = {
    "factor-out", "x + x * g -> x * (g + 1) for maps x and g per channel", kAdds, FactorOut};

}  // namespace sula::rules
