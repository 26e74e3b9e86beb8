#include "optimizer/match_arithmetic.h"

#include <cmath>

#include "ops/elementwise.h"
#include "optimizer/match.h"

namespace sula {
namespace {

constexpr int kMaxFactors = 4;

std::optional<WithScalar> BinaryWithScalar(const Graph& g, ValueId v, const OpDef& op) {
  const std::optional<Operands> o = OperandsOf(g, v, op);
  if (!o) return std::nullopt;
  if (const auto c = ScalarConstant(g, o->b); c && SameShape(g, o->a, v))
    return WithScalar{o->a, *c};
  if (!op.Has(kCommutative)) return std::nullopt;
  if (const auto c = ScalarConstant(g, o->a); c && SameShape(g, o->b, v))
    return WithScalar{o->b, *c};
  return std::nullopt;
}

void Factorise(const Graph& g, const UseIndex& uses, ValueId v, bool root, Product& product) {
  if (static_cast<int>(product.factors.size()) > kMaxFactors) return;
  if (root || uses.Count(v) == 1) {
    if (const auto scaled = AsScaled(g, v); scaled && scaled->c != 0) {
      product.coefficient *= scaled->c;
      return Factorise(g, uses, scaled->x, false, product);
    }
    const auto o = OperandsOf(g, v, op::kMul);
    if (o && SameShape(g, o->a, v) && SameShape(g, o->b, v)) {
      Factorise(g, uses, o->a, false, product);
      Factorise(g, uses, o->b, false, product);
      return;
    }
  }
  product.factors.push_back(v);
}

}  // namespace

bool NearlyEqual(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

bool IsPlain(const Node& node) {
  return node.As<BinaryParams>().activation == ActivationKind::kNone;
}

std::optional<ValueId> OperandOf(const Graph& g, ValueId v, const OpDef& op) {
  const NodeId id = ProducedBy(g, v, op);
  if (id == kNoNode) return std::nullopt;
  return g.node(id).inputs[0];
}

std::optional<Operands> OperandsOf(const Graph& g, ValueId v, const OpDef& op) {
  const NodeId id = ProducedBy(g, v, op);
  if (id == kNoNode) return std::nullopt;
  const Node& node = g.node(id);
  const bool fuses =
      node.Is(op::kAdd) || node.Is(op::kSub) || node.Is(op::kMul) || node.Is(op::kDiv);
  if (fuses && !IsPlain(node)) return std::nullopt;
  return Operands{node.inputs[0], node.inputs[1]};
}

std::optional<WithScalar> AsShifted(const Graph& g, ValueId v) {
  if (const auto sum = BinaryWithScalar(g, v, op::kAdd)) return sum;
  if (const auto difference = BinaryWithScalar(g, v, op::kSub))
    return WithScalar{difference->x, -difference->c};
  return std::nullopt;
}

std::optional<WithScalar> AsScaled(const Graph& g, ValueId v) {
  if (const auto product = BinaryWithScalar(g, v, op::kMul)) return product;
  if (const auto quotient = BinaryWithScalar(g, v, op::kDiv); quotient && quotient->c != 0)
    return WithScalar{quotient->x, 1 / quotient->c};
  return std::nullopt;
}

WithScalar AsMultiple(const Graph& g, ValueId v) {
  if (const auto scaled = AsScaled(g, v)) return *scaled;
  if (const auto x = OperandOf(g, v, op::kNeg)) return {*x, -1};
  return {v, 1};
}

Linear AsLinear(const Graph& g, ValueId v) {
  if (const auto shifted = AsShifted(g, v)) {
    const WithScalar scaled = AsMultiple(g, shifted->x);
    return {scaled.c, scaled.x, shifted->c};
  }
  // c - x
  if (const auto o = OperandsOf(g, v, op::kSub); o && SameShape(g, o->b, v)) {
    if (const auto c = ScalarConstant(g, o->a)) {
      const WithScalar scaled = AsMultiple(g, o->b);
      return {-scaled.c, scaled.x, *c};
    }
  }
  const WithScalar scaled = AsMultiple(g, v);
  return {scaled.c, scaled.x, 0};
}

Product AsProduct(const Graph& g, const UseIndex& uses, ValueId v) {
  Product product;
  Factorise(g, uses, v, true, product);
  return product;
}

}  // namespace sula
