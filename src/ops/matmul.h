// Matrix product with numpy's batch broadcasting.
#pragma once

#include "ir/op_def.h"
#include "ops/activation.h"

namespace sula {

struct MatMulParams : WithActivation {
  bool trans_a = false, trans_b = false;  // of the last two axes
  float alpha = 1;
  friend bool operator==(const MatMulParams&, const MatMulParams&) = default;
};

namespace op {
// inputs a, b, bias? (1-D, length n), residual? (shape of the output)
// y = act(alpha * a' x b' + bias + residual). 1-D a or b as numpy.matmul (without trans).
extern const OpDef kMatMul;
}  // namespace op

}  // namespace sula
