// Activations that exporters spell out in elementary operators. Almost all are products, so a
// product tree is taken apart into factors, and the factors are recognised.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/elementwise.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// Equal up to the rounding of a few float operations; a constant of fewer digits ("1.414") is
// another function.
bool Near(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

bool IsPlain(const Node& node) {
  return node.As<BinaryParams>().activation == ActivationKind::kNone;
}

// f(x, c) for a binary arithmetic node with a constant of one element at either side.
struct WithScalar {
  ValueId x;
  double c;
};
std::optional<WithScalar> BinaryWithScalar(const Graph& g, ValueId v, const OpDef& op,
                                           bool commutes) {
  const NodeId id = ProducedBy(g, v, op);
  if (id == kNoNode) return std::nullopt;
  const Node& node = g.node(id);
  for (int i = 0; i < (commutes ? 2 : 1); ++i) {
    const std::optional<double> c = ScalarConstant(g, node.inputs[1 - i]);
    if (c && SameShape(g, node.inputs[i], node.outputs[0])) return WithScalar{node.inputs[i], *c};
  }
  return std::nullopt;
}
std::optional<WithScalar> AsShifted(const Graph& g, ValueId v) {  // x + c
  const NodeId id = v == kNoValue ? kNoNode : g.value(v).producer;
  if (id == kNoNode) return std::nullopt;
  const Node& node = g.node(id);
  if (node.Is(op::kAdd) && IsPlain(node)) return BinaryWithScalar(g, v, op::kAdd, true);
  if (node.Is(op::kSub) && IsPlain(node)) {
    std::optional<WithScalar> s = BinaryWithScalar(g, v, op::kSub, false);
    if (s) s->c = -s->c;
    return s;
  }
  return std::nullopt;
}
// x * c, with c = 1 for any other value
WithScalar AsMultiple(const Graph& g, ValueId v) {
  const NodeId id = g.value(v).producer;
  if (id != kNoNode) {
    const Node& node = g.node(id);
    if (node.Is(op::kMul) && IsPlain(node))
      if (const auto m = BinaryWithScalar(g, v, op::kMul, true)) return *m;
    if (node.Is(op::kDiv) && IsPlain(node))
      if (const auto m = BinaryWithScalar(g, v, op::kDiv, false); m && m->c != 0)
        return {m->x, 1 / m->c};
  }
  return {v, 1};
}

// v = coefficient * product of factors. The inner nodes of the tree are used once.
struct Product {
  double coefficient = 1;
  std::vector<ValueId> factors;
};
constexpr int kMaxFactors = 4;

void Factorise(const Graph& g, const UseIndex& uses, ValueId v, bool root, Product& product) {
  if (static_cast<int>(product.factors.size()) > kMaxFactors) return;
  const NodeId id = g.value(v).producer;
  const Node* node = id == kNoNode ? nullptr : &g.node(id);
  const bool mul = node && node->Is(op::kMul), div = node && node->Is(op::kDiv);
  if ((mul || div) && IsPlain(*node) && (root || uses.Count(v) == 1)) {
    for (int i = 0; i < (mul ? 2 : 1); ++i) {
      const std::optional<double> c = ScalarConstant(g, node->inputs[1 - i]);
      if (!c || *c == 0 || !SameShape(g, node->inputs[i], v)) continue;
      product.coefficient *= mul ? *c : 1 / *c;
      return Factorise(g, uses, node->inputs[i], false, product);
    }
    if (mul && SameShape(g, node->inputs[0], v) && SameShape(g, node->inputs[1], v)) {
      Factorise(g, uses, node->inputs[0], false, product);
      Factorise(g, uses, node->inputs[1], false, product);
      return;
    }
  }
  product.factors.push_back(v);
}

// The operand of a unary node; nothing if v comes from another.
std::optional<ValueId> OperandOf(const Graph& g, ValueId v, const OpDef& op) {
  const NodeId id = ProducedBy(g, v, op);
  if (id == kNoNode) return std::nullopt;
  return g.node(id).inputs[0];
}

// v = clip(x + shift, 0, top)
struct ClippedShift {
  ValueId x;
  double shift, top;
};
std::optional<ClippedShift> AsClippedShift(const Graph& g, ValueId v) {
  const std::optional<ValueId> sum = OperandOf(g, v, op::kClip);
  if (!sum) return std::nullopt;
  const Node& clip = g.node(g.value(v).producer);
  const auto bounds = AsActivation(clip, ConstantInputs(g, clip));
  if (!bounds || bounds->kind != ActivationKind::kClip || bounds->a != 0) return std::nullopt;
  const std::optional<WithScalar> shifted = AsShifted(g, *sum);
  if (!shifted) return std::nullopt;
  return ClippedShift{shifted->x, shifted->c, bounds->b};
}

// A unary operator with its parameters, and its operand.
struct Unary {
  const OpDef* op;
  Params params;
  ValueId x;
};

Params Alpha(double alpha, double beta = 0) {
  return Params::Of(AlphaParams{static_cast<float>(alpha), static_cast<float>(beta)});
}

// c * f
std::optional<Unary> FromOneFactor(const Graph& g, double c, ValueId f) {
  const std::optional<ClippedShift> clip = AsClippedShift(g, f);
  if (clip && clip->top > 0 && Near(clip->top * c, 1))
    return Unary{&op::kHardSigmoid, Alpha(c, clip->shift * c), clip->x};
  return std::nullopt;
}

// sqrt(2/pi) * (x + 0.044715 * x^3)
bool IsTanhArgument(const Graph& g, const UseIndex& uses, ValueId v, ValueId x) {
  const WithScalar outer = AsMultiple(g, v);
  if (!Near(outer.c, std::sqrt(2 / std::numbers::pi))) return false;
  const NodeId add = ProducedBy(g, outer.x, op::kAdd);
  if (add == kNoNode || !IsPlain(g.node(add))) return false;
  for (int i = 0; i < 2; ++i) {
    if (g.node(add).inputs[i] != x) continue;
    Product cubic;
    Factorise(g, uses, g.node(add).inputs[1 - i], false, cubic);
    if (!Near(cubic.coefficient, 0.044715)) continue;
    if (cubic.factors == std::vector<ValueId>{x, x, x}) return true;
    if (cubic.factors.size() == 1) {
      const NodeId pow = ProducedBy(g, cubic.factors[0], op::kPow);
      if (pow != kNoNode && g.node(pow).inputs[0] == x &&
          ScalarConstant(g, g.node(pow).inputs[1]) == 3.0)
        return true;
    }
  }
  return false;
}

// c * x * f(x)
std::optional<Unary> FromTwoFactors(const Graph& g, const UseIndex& uses, double c, ValueId x,
                                    ValueId f) {
  if (const auto hard = OperandOf(g, f, op::kHardSigmoid); hard == x && c == 1) {
    const auto& p = g.node(g.value(f).producer).As<AlphaParams>();
    if (Near(p.alpha, 1.0 / 6) && p.beta == 0.5f) return Unary{&op::kHardSwish, {}, x};
  }
  if (const auto clip = AsClippedShift(g, f);
      clip && clip->x == x && clip->shift == 3 && clip->top == 6 && Near(c, 1.0 / 6))
    return Unary{&op::kHardSwish, {}, x};
  if (const auto argument = OperandOf(g, f, op::kSigmoid); argument && c == 1) {
    if (*argument == x) return Unary{&op::kSwish, Alpha(1), x};
    const WithScalar scaled = AsMultiple(g, *argument);
    if (scaled.x == x) return Unary{&op::kSwish, Alpha(scaled.c), x};
  }
  if (const auto tanh = OperandOf(g, f, op::kTanh); tanh && c == 1) {
    if (OperandOf(g, *tanh, op::kSoftplus) == x) return Unary{&op::kMish, {}, x};
  }
  if (const auto shifted = AsShifted(g, f); shifted && shifted->c == 1 && c == 0.5) {
    if (const auto erf = OperandOf(g, shifted->x, op::kErf)) {
      const WithScalar scaled = AsMultiple(g, *erf);
      if (scaled.x == x && Near(scaled.c, 1 / std::numbers::sqrt2))
        return Unary{&op::kGelu, Params::Of(GeluParams{}), x};
    }
    if (const auto tanh = OperandOf(g, shifted->x, op::kTanh);
        tanh && IsTanhArgument(g, uses, *tanh, x))
      return Unary{&op::kGelu, Params::Of(GeluParams{.tanh = true}), x};
  }
  return std::nullopt;
}

std::optional<Patch> RecogniseActivation(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  if (!IsFoldableFloat(g.value(y).type.dtype)) return std::nullopt;
  Product product;
  Factorise(g, uses, y, true, product);
  std::optional<Unary> unary;
  const auto& f = product.factors;
  if (f.size() == 1 && f[0] != y) unary = FromOneFactor(g, product.coefficient, f[0]);
  if (f.size() == 2) {
    unary = FromTwoFactors(g, uses, product.coefficient, f[0], f[1]);
    if (!unary) unary = FromTwoFactors(g, uses, product.coefficient, f[1], f[0]);
  }
  if (!unary || !SameShape(g, unary->x, y)) return std::nullopt;
  if (!unary->params.has_value()) unary->params = unary->op->default_params();
  Patch patch(g);
  patch.Replace(y, patch.AddNode(*unary->op, std::move(unary->params), {unary->x}, node.name));
  return patch;
}

std::optional<Patch> PReluToLeakyRelu(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const std::optional<double> slope = ScalarConstant(g, node.inputs[1]);
  if (!slope || !SameShape(g, node.inputs[0], node.outputs[0]) ||
      !IsFoldableFloat(g.value(node.inputs[0]).type.dtype))
    return std::nullopt;
  Patch patch(g);
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kLeakyRelu, Alpha(*slope), {node.inputs[0]}, node.name));
  return patch;
}

constexpr const OpDef* kProducts[] = {&op::kMul, &op::kDiv};
constexpr const OpDef* kPRelus[] = {&op::kPRelu};

}  // namespace

constinit const Rule kRecogniseActivation = {
    "recognise-activation",
    "x * clip(x + 3, 0, 6) / 6 -> HardSwish(x); HardSigmoid, Swish, Mish, Gelu alike", kProducts,
    RecogniseActivation};
constinit const Rule kPReluToLeakyRelu = {
    "prelu-to-leaky-relu", "PRelu(x, one slope) -> LeakyRelu(x)", kPRelus, PReluToLeakyRelu};

}  // namespace sula::rules
