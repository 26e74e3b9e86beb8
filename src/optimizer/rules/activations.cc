// Activations that exporters spell out in elementary operators. Almost all are products, so a
// product tree is taken apart into factors, and the factors are recognised.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/elementwise.h"
#include "optimizer/match.h"
#include "optimizer/match_arithmetic.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

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
  if (clip && clip->top > 0 && NearlyEqual(clip->top * c, 1))
    return Unary{&op::kHardSigmoid, Alpha(c, clip->shift * c), clip->x};
  return std::nullopt;
}

// v = p * x^2 for a number p (x^2 as a product or a power).
std::optional<double> AsSquare(const Graph& g, const UseIndex& uses, ValueId v, ValueId x) {
  const Product product = AsProduct(g, uses, v);
  const auto& f = product.factors;
  if (f == std::vector<ValueId>{x, x}) return product.coefficient;
  if (f.size() != 1) return std::nullopt;
  const auto power = OperandsOf(g, f[0], op::kPow);
  if (power && power->a == x && ScalarConstant(g, power->b) == 2.0) return product.coefficient;
  return std::nullopt;
}

bool IsCube(const Graph& g, const std::vector<ValueId>& factors, ValueId x) {
  if (factors == std::vector<ValueId>{x, x, x}) return true;
  const auto power_of = [&](ValueId v, double exponent) {
    const auto power = OperandsOf(g, v, op::kPow);
    return power && power->a == x && ScalarConstant(g, power->b) == exponent;
  };
  if (factors.size() == 1) return power_of(factors[0], 3);
  return factors.size() == 2 && ((factors[0] == x && power_of(factors[1], 2)) ||
                                 (factors[1] == x && power_of(factors[0], 2)));
}

// scale * (x + 0.044715 * x^3), also as scale * x * (1 + 0.044715 * x^2)
bool IsCubicArgument(const Graph& g, const UseIndex& uses, ValueId v, ValueId x, double scale) {
  constexpr double kCubic = 0.044715;
  const Product outer = AsProduct(g, uses, v);
  if (!NearlyEqual(outer.coefficient, scale)) return false;
  if (outer.factors.size() == 1) {
    const auto sum = OperandsOf(g, outer.factors[0], op::kAdd);
    if (!sum || (sum->a != x && sum->b != x)) return false;
    const Product cubic = AsProduct(g, uses, sum->a == x ? sum->b : sum->a);
    return NearlyEqual(cubic.coefficient, kCubic) && IsCube(g, cubic.factors, x);
  }
  if (outer.factors.size() != 2 || (outer.factors[0] != x && outer.factors[1] != x)) return false;
  const auto shifted = AsShifted(g, outer.factors[outer.factors[0] == x ? 1 : 0]);
  if (!shifted || shifted->c != 1) return false;
  const std::optional<double> square = AsSquare(g, uses, shifted->x, x);
  return square && NearlyEqual(*square, kCubic);
}

// x * (p * h(x) + p) for an odd h written out, with p = 1/2: the Gelu with h.
std::optional<Unary> FromHalves(const Graph& g, const UseIndex& uses, double c, ValueId x,
                                ValueId f) {
  const Linear half = AsLinear(g, f);
  if (c * half.b != 0.5 || std::abs(c * half.a) != 0.5) return std::nullopt;
  if (const auto erf = OperandOf(g, half.x, op::kErf)) {
    // erf(-u) = -erf(u)
    const WithScalar scaled = AsMultiple(g, *erf);
    const double sign = c * half.a < 0 ? -1 : 1;
    if (scaled.x == x && NearlyEqual(sign * scaled.c, 1 / std::numbers::sqrt2))
      return Unary{&op::kGelu, Params::Of(GeluParams{}), x};
  }
  if (const auto tanh = OperandOf(g, half.x, op::kTanh);
      tanh && c * half.a > 0 && IsCubicArgument(g, uses, *tanh, x, std::sqrt(2 / std::numbers::pi)))
    return Unary{&op::kGelu, Params::Of(GeluParams{.tanh = true}), x};
  return std::nullopt;
}

// c * x * f(x)
std::optional<Unary> FromTwoFactors(const Graph& g, const UseIndex& uses, double c, ValueId x,
                                    ValueId f) {
  if (const auto hard = OperandOf(g, f, op::kHardSigmoid); hard == x && c == 1) {
    const auto& p = g.node(g.value(f).producer).As<AlphaParams>();
    if (NearlyEqual(p.alpha, 1.0 / 6) && p.beta == 0.5f) return Unary{&op::kHardSwish, {}, x};
  }
  if (const auto clip = AsClippedShift(g, f);
      clip && clip->x == x && clip->shift == 3 && clip->top == 6 && NearlyEqual(c, 1.0 / 6))
    return Unary{&op::kHardSwish, {}, x};
  if (const auto argument = OperandOf(g, f, op::kSigmoid); argument && c == 1) {
    if (*argument == x) return Unary{&op::kSwish, Alpha(1), x};
    const WithScalar scaled = AsMultiple(g, *argument);
    if (scaled.x == x) return Unary{&op::kSwish, Alpha(scaled.c), x};
    // sigmoid(2 u) = (1 + tanh(u)) / 2
    if (IsCubicArgument(g, uses, *argument, x, 2 * std::sqrt(2 / std::numbers::pi)))
      return Unary{&op::kGelu, Params::Of(GeluParams{.tanh = true}), x};
  }
  if (const auto tanh = OperandOf(g, f, op::kTanh); tanh && c == 1) {
    if (OperandOf(g, *tanh, op::kSoftplus) == x) return Unary{&op::kMish, {}, x};
  }
  return FromHalves(g, uses, c, x, f);
}

// v = 1 + exp(-a * x)
std::optional<WithScalar> AsLogisticDenominator(const Graph& g, ValueId v) {
  const auto shifted = AsShifted(g, v);
  if (!shifted || shifted->c != 1) return std::nullopt;
  const auto exponent = OperandOf(g, shifted->x, op::kExp);
  if (!exponent) return std::nullopt;
  const WithScalar scaled = AsMultiple(g, *exponent);
  return WithScalar{scaled.x, -scaled.c};
}

// 1 / (1 + exp(-x)), x / (1 + exp(-a * x)), log(1 + exp(x)), clip(a * x + b, 0, 1)
std::optional<Unary> FromRoot(const Graph& g, const UseIndex& uses, const Node& node) {
  const ValueId x = node.inputs[0];
  if (node.Is(op::kReciprocal)) {
    const auto logistic = AsLogisticDenominator(g, x);
    if (logistic && logistic->c == 1) return Unary{&op::kSigmoid, {}, logistic->x};
  } else if (node.Is(op::kDiv)) {
    const auto logistic = IsPlain(node) ? AsLogisticDenominator(g, node.inputs[1]) : std::nullopt;
    if (logistic && logistic->x == x) return Unary{&op::kSwish, Alpha(logistic->c), x};
    if (logistic && logistic->c == 1 && ScalarConstant(g, x) == 1.0)
      return Unary{&op::kSigmoid, {}, logistic->x};
  } else if (node.Is(op::kLog)) {
    const auto denominator = AsLogisticDenominator(g, x);
    if (denominator && denominator->c == -1) return Unary{&op::kSoftplus, {}, denominator->x};
  } else if (node.Is(op::kClip)) {
    const auto bounds = AsActivation(node, ConstantInputs(g, node));
    const Linear linear = AsLinear(g, x);
    if (bounds && *bounds == Activation{ActivationKind::kClip, 0, 1} && linear.x != x &&
        uses.Count(x) == 1)
      return Unary{&op::kHardSigmoid, Alpha(linear.a, linear.b), linear.x};
  }
  return std::nullopt;
}

std::optional<Patch> RecogniseActivation(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  if (!IsFoldableFloat(g.value(y).type.dtype)) return std::nullopt;
  std::optional<Unary> unary = FromRoot(g, uses, node);
  if (!unary) {
    const Product product = AsProduct(g, uses, y);
    const double c = product.coefficient;
    const auto& f = product.factors;
    if (f.size() == 1 && f[0] != y) unary = FromOneFactor(g, c, f[0]);
    if (f.size() == 2) {
      unary = FromTwoFactors(g, uses, c, f[0], f[1]);
      if (!unary) unary = FromTwoFactors(g, uses, c, f[1], f[0]);
    }
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

constexpr const OpDef* kRoots[] = {&op::kMul, &op::kDiv, &op::kReciprocal, &op::kLog, &op::kClip};
constexpr const OpDef* kPRelus[] = {&op::kPRelu};

}  // namespace

constinit const Rule kRecogniseActivation = {
    "recognise-activation",
    "x * clip(x + 3, 0, 6) / 6 -> HardSwish(x); HardSigmoid, Sigmoid, Softplus, Swish, Mish, Gelu "
    "alike",
    kRoots, RecogniseActivation};
constinit const Rule kPReluToLeakyRelu = {
    "prelu-to-leaky-relu", "PRelu(x, one slope) -> LeakyRelu(x)", kPRelus, PReluToLeakyRelu};

}  // namespace sula::rules
