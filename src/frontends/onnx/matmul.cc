// Matrix products.
#include "ops/matmul.h"

#include "frontends/onnx/node_import.h"
#include "ops/elementwise.h"
#include "ops/quant.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

void MatMul(NodeImport& n) { n.Emit(op::kMatMul, MatMulParams{}, n.inputs()); }

// True if v is known to be 1-D of exactly the columns of the product: what MatMul calls a bias.
bool IsBias(NodeImport& n, const Shape& v, ValueId b, bool trans_b) {
  const auto& b_shape = n.ShapeOf(b);
  return b_shape && b_shape->rank() == 2 && v.rank() == 1 && v[0] == (*b_shape)[trans_b ? 0 : 1];
}

// Y = alpha * A' * B' + beta * C, C broadcast to Y in one direction.
void Gemm(NodeImport& n) {
  MatMulParams p;
  p.trans_a = n.Flag("transA", false);
  p.trans_b = n.Flag("transB", false);
  p.alpha = n.Float("alpha", 1);
  float beta = n.Float("beta", 1);
  n.Ignore("broadcast");  // up to opset 6; numpy's rules contain both of its values
  for (int i = 0; i < 2; ++i) {
    const auto& shape = n.ShapeOf(n.Input(i));
    if (shape && shape->rank() != 2)
      return n.Fail(InvalidModel("input ", i, " must be a matrix, but is ", shape->ToString()));
  }
  ValueId a = n.Input(0), b = n.Input(1), c = n.Input(2);
  if (c == kNoValue || beta == 0) return n.Emit(op::kMatMul, p, {a, b});

  // A row [1, n] is the same bias as [n].
  if (const Tensor* t = n.ConstantOf(c); t && t->rank() == 2 && t->dim(0) == 1)
    c = n.Constant(t->Reshaped({t->dim(1)}), "bias");
  if (beta != 1)
    c = n.Add(op::kMul, BinaryParams{}, {c, n.Scalar(beta, n.TypeOf(c), "beta")}, "scaled_c");
  if (!n.ok()) return;
  const auto& c_shape = n.ShapeOf(c);
  if (c_shape && IsBias(n, *c_shape, b, p.trans_b)) return n.Emit(op::kMatMul, p, {a, b, c});
  ValueId product = n.Add(op::kMatMul, p, {a, b}, "product");
  n.Emit(op::kAdd, BinaryParams{}, {product, c});
}

constexpr OpHandler kHandlers[] = {
    {"Gemm", Gemm, 2, 3},
    {"MatMul", MatMul, 2, 2},
    {"MatMulInteger", Direct<op::kMatMulInteger>, 2, 4},
    {"QLinearMatMul", Direct<op::kQLinearMatMul>, 8, 8},
};

}  // namespace

std::span<const OpHandler> MatMulHandlers() { return kHandlers; }

}  // namespace sula::onnx
