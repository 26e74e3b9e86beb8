// Arithmetic with constants along one axis, as exporters write it: batch normalisation, products,
// sums, differences, quotients.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/norm.h"

namespace sula {

// y = act(scale[c] * x + shift[c]) where c is the index along one axis of x.
struct Affine {
  std::vector<double> scale, shift;
  Activation activation;
  bool HasScale() const {
    return std::ranges::any_of(scale, [](double s) { return s != 1; });
  }
  bool HasShift() const {
    return std::ranges::any_of(shift, [](double s) { return s != 0; });
  }
};

// Operators that may be such arithmetic.
inline constexpr const OpDef* kAffineOps[] = {
    &op::kBatchNormalization, &op::kMul, &op::kAdd, &op::kSub, &op::kDiv, &op::kNeg};

// What the node, of kAffineOps, does to its operand x, if it is such arithmetic along `axis` and
// keeps x's shape.
std::optional<Affine> AsAffine(const Graph& g, const Node& node, ValueId x, int axis);

// The same for whichever operand it is; nothing for nodes of other operators.
struct AffineOf {
  ValueId x;
  Affine affine;
};
std::optional<AffineOf> AsAffineOfAny(const Graph& g, const Node& node, int axis);

}  // namespace sula
