// Affine quantisation, real = (integer - zero point) * scale, and products of quantised tensors.
#pragma once

#include "ir/op_def.h"
#include "ops/conv.h"

namespace sula {

struct QuantParams {
  int64_t axis = 1;          // of a scale per index or per block
  int64_t block = 0;         // elements along the axis that share a scale; 0: no blocks
  bool saturate = true;      // has a meaning for 8-bit floats alone; integers always saturate
  DType to = DType::kUInt8;  // of QuantizeLinear without a zero point
  friend bool operator==(const QuantParams&, const QuantParams&) = default;
};

// Which scale belongs to which element: the tensor is [outer, axis, inner], and element (o, a, j)
// has scale number o * outer_step + a / block * axis_step + j * inner_step.
struct QuantLayout {
  int64_t outer = 1, axis = 1, inner = 1;
  int64_t block = 1;
  int64_t outer_step = 0, axis_step = 0, inner_step = 0;
};
// x: sizes of the tensor; scale: one element, or [size of the axis], or with blocks the sizes of x
// but for ceil(size / block) on the axis. An error names both shapes.
Result<QuantLayout> ResolveQuant(const QuantParams& p, std::span<const int64_t> x,
                                 std::span<const int64_t> scale);

namespace op {
// inputs x, scale, zero? (shape of scale): y = saturate(round(x / scale) + zero), halves to even;
// the quotient is rounded to scale's type. Output: zero's type, else p.to.
extern const OpDef kQuantizeLinear;  // QuantParams
// inputs x, scale, zero?: y = (x - zero) * scale, of scale's type
extern const OpDef kDequantizeLinear;  // QuantParams
// x -> y (uint8), scale, zero: the range of x, widened to include 0, over 255 steps
extern const OpDef kDynamicQuantizeLinear;
// inputs x, x_scale, x_zero, w, w_scale, w_zero (scalar or [M]), y_scale, y_zero, bias? (int32 [M],
// in units of x_scale * w_scale); y = quantised act(conv of the real values)
extern const OpDef kQLinearConv;  // ConvParams
// inputs x, w, x_zero?, w_zero? (scalar or [M]): the int32 convolution of the differences
extern const OpDef kConvInteger;  // ConvParams; no activation
// inputs a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero. Scales and zero points of a are
// scalars, per row ([m], or [..., m, 1]); those of b scalars or per column ([n], or [..., 1, n]).
extern const OpDef kQLinearMatMul;
// inputs a, b, a_zero?, b_zero?: the int32 product of the differences
extern const OpDef kMatMulInteger;
}  // namespace op

}  // namespace sula
