// Sums and products with a single constant number, as exporters write them: on either side, and as
// a difference or a quotient too.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"

namespace sula {

// Equal up to the rounding of a few float operations; a constant of fewer digits ("1.414") is
// another number.
bool NearlyEqual(double a, double b);

// A node of Add, Sub, Mul or Div that applies no activation. Precondition: it is one of these.
bool IsPlain(const Node& node);

// The operand of a unary node; nothing if v does not come from that operator.
std::optional<ValueId> OperandOf(const Graph& g, ValueId v, const OpDef& op);
// Both operands of a plain Add, Sub, Mul or Div, or of a binary operator without activation;
// nothing if v does not come from that operator.
struct Operands {
  ValueId a, b;
};
std::optional<Operands> OperandsOf(const Graph& g, ValueId v, const OpDef& op);

// v = f(x, c) with x of the shape of v.
struct WithScalar {
  ValueId x;
  double c;
};
std::optional<WithScalar> AsShifted(const Graph& g, ValueId v);  // x + c, also as x - c'
std::optional<WithScalar> AsScaled(const Graph& g, ValueId v);   // x * c, also as x / c'
WithScalar AsMultiple(const Graph& g, ValueId v);                // AsScaled, or v * 1

// v = a * x + b, with b = 0 or a = 1 where there is no such node.
struct Linear {
  double a;
  ValueId x;
  double b;
};
Linear AsLinear(const Graph& g, ValueId v);

// v = coefficient * product of factors, all of the shape of v. What is multiplied on the way is
// used nowhere else; `v` itself may be (it is the root).
struct Product {
  double coefficient = 1;
  std::vector<ValueId> factors;  // no more than a few: a longer product is left as it is
};
Product AsProduct(const Graph& g, const UseIndex& uses, ValueId v);

}  // namespace sula
