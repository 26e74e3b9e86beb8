// Matrix products with weights.
#include "ops/matmul.h"

#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

// The axes of x from `axis` on as one.
ValueId AsRows(LayerImport& n, ValueId x, int axis) {
  const Shape shape = n.Sizes(x);
  if (axis == shape.rank() - 1 || !n.ok()) return x;
  if (axis == 1) return n.Add(op::kFlatten, FlattenParams{.axis = 1}, {x}, "rows");
  std::vector<Dim> rows(shape.begin(), shape.begin() + axis);
  Dim count = 1;
  for (int i = axis; i < shape.rank(); ++i) count = count * shape[i];
  rows.push_back(count);
  return n.Reshape(x, Shape(std::move(rows)), "rows");
}

// y [d0 .. d(axis-1), M] = rows of x [.., K] times [M, K]^T, or times [K, M] if transposed.
void InnerProduct(LayerImport& n) {
  const InnerProductParameter& c = n.layer().inner_product_param();
  n.CheckRank(n.Bottom(), 1);
  const int axis = n.Axis(c.axis(), n.Rank(n.Bottom()));
  const ValueId rows = AsRows(n, n.Bottom(), axis);
  if (!n.ok()) return;
  const int64_t k = n.Sizes(rows)[axis].TryValue().value_or(-1), m = c.num_output();
  MatMulParams p;
  p.trans_b = !c.transpose();
  std::vector<ValueId> inputs = {rows,
                                 n.Weights(0, c.transpose() ? Dims{k, m} : Dims{m, k}, "weights")};
  if (c.bias_term()) inputs.push_back(n.Weights(1, {m}, "bias"));
  if (n.ok()) n.Emit(op::kMatMul, p, std::move(inputs));
}

// Rows of a table by number, which Caffe keeps as float.
void Embed(LayerImport& n) {
  const EmbedParameter& c = n.layer().embed_param();
  const int64_t outputs = c.num_output();
  const ValueId table = n.Weights(0, {c.input_dim(), outputs}, "weights");
  const ValueId index = n.Add(op::kCast, CastParams{.to = DType::kInt64}, {n.Bottom()}, "index");
  if (!n.ok()) return;
  if (!c.bias_term()) return n.Emit(op::kGather, AxisParams{.axis = 0}, {table, index});
  const ValueId rows = n.Add(op::kGather, AxisParams{.axis = 0}, {table, index}, "rows");
  const ValueId bias = n.Weights(1, {outputs}, "bias");
  if (n.ok()) n.Emit(op::kAdd, BinaryParams{}, {rows, bias});
}

constexpr LayerHandler kHandlers[] = {
    {"Embed", Embed, 1, 1, 1, 1, true},
    {"InnerProduct", InnerProduct, 1, 1, 1, 1, true},
};

}  // namespace

std::span<const LayerHandler> MatMulHandlers() { return kHandlers; }

}  // namespace sula::caffe
