#include "optimizer/match.h"

#include <algorithm>

#include "ops/catalogue.h"
#include "ops/movement.h"

namespace sula {

NodeId ProducedBy(const Graph& g, ValueId v, const OpDef& op) {
  if (v == kNoValue) return kNoNode;
  const Value& value = g.value(v);
  if (value.producer == kNoNode || value.output_index != 0) return kNoNode;
  return g.node(value.producer).Is(op) ? value.producer : kNoNode;
}

const Tensor* ConstantInput(const Graph& g, const Node& node, size_t i) {
  return node.HasInput(i) ? g.Constant(node.inputs[i]) : nullptr;
}

std::vector<const Tensor*> ConstantInputs(const Graph& g, const Node& node) {
  std::vector<const Tensor*> constants;
  for (size_t i = 0; i < node.inputs.size(); ++i) constants.push_back(ConstantInput(g, node, i));
  return constants;
}

bool AllConstant(const Graph& g, const Node& node) {
  bool any = false;
  for (ValueId v : node.inputs) {
    if (v == kNoValue) continue;
    if (!g.Constant(v)) return false;
    any = true;
  }
  return any;
}

const Shape* ShapeOf(const Graph& g, ValueId v) {
  if (v == kNoValue || !g.value(v).type.shape) return nullptr;
  return &*g.value(v).type.shape;
}

bool SameShape(const Graph& g, ValueId a, ValueId b) {
  const Shape *x = ShapeOf(g, a), *y = ShapeOf(g, b);
  return x && y && *x == *y;
}

bool IsSingleElement(const Graph& g, ValueId v) {
  const Shape* shape = ShapeOf(g, v);
  return shape && std::ranges::all_of(*shape, [](const Dim& d) { return d == Dim(1); });
}

std::optional<double> ScalarConstant(const Graph& g, ValueId v) {
  const Tensor* t = g.Constant(v);
  if (!t || t->num_elements() != 1) return std::nullopt;
  return t->AsDouble(0);
}

std::optional<std::vector<int64_t>> IntsInput(const Graph& g, const Node& node, size_t i) {
  const Tensor* t = ConstantInput(g, node, i);
  if (!t || !IsInteger(t->dtype())) return std::nullopt;
  return t->ToInts();
}

std::optional<std::vector<double>> PerAxis(const Tensor& t, int rank, int axis, int64_t n) {
  if (t.rank() > rank) return std::nullopt;
  for (int i = 0; i < t.rank(); ++i) {
    const bool along = i + rank - t.rank() == axis;
    if (t.dim(i) != 1 && !(along && t.dim(i) == n)) return std::nullopt;
  }
  std::vector<double> values(n);
  const bool one = t.num_elements() == 1;
  for (int64_t i = 0; i < n; ++i) values[i] = t.AsDouble(one ? 0 : i);
  return values;
}

bool IsFoldableFloat(DType t) { return IsFloat(t) && t != DType::kFloat64; }

Tensor MapElements(const Tensor& t, FunctionRef<double(int64_t, double)> f) {
  Tensor out(t.dtype(), t.dims());
  DispatchDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<const T> from = t.data<T>();
    const std::span<T> to = out.mutable_data<T>();
    for (size_t i = 0; i < from.size(); ++i)
      to[i] = static_cast<T>(f(static_cast<int64_t>(i), static_cast<double>(from[i])));
  });
  return out;
}

Tensor FloatTensor(DType dtype, Dims dims, const std::vector<double>& values) {
  SULA_CHECK(IsFloat(dtype) && NumElements(dims) == static_cast<int64_t>(values.size()));
  return MapElements(Tensor(dtype, std::move(dims)), [&](int64_t i, double) { return values[i]; });
}

Tensor FloatTensor(DType dtype, const std::vector<double>& values) {
  return FloatTensor(dtype, {static_cast<int64_t>(values.size())}, values);
}

std::optional<Tensor> TransposeConstant(const Tensor& t, const std::vector<int>& perm) {
  Node node;
  node.op = &op::kTranspose;
  node.name = "constant";
  node.inputs = {0};
  node.outputs = {1};
  node.params = Params::Of(TransposeParams{.perm = {perm.begin(), perm.end()}});
  const Tensor* input = &t;
  Result<std::vector<Tensor>> outputs = EvaluateNode(node, {&input, 1});
  if (!outputs.has_value()) return std::nullopt;
  return std::move(outputs->front());
}

std::optional<std::vector<int64_t>> ReshapeTarget(const Shape& in, const Shape& out) {
  std::vector<int64_t> target;
  bool inferred = false, zero = false;
  for (int i = 0; i < out.rank(); ++i) {
    if (out[i].is_const()) {
      target.push_back(out[i].value());
      zero |= out[i].value() == 0;
    } else if (i < in.rank() && in[i] == out[i]) {
      target.push_back(0);
    } else if (!inferred) {
      target.push_back(-1);
      inferred = true;
    } else {
      return std::nullopt;
    }
  }
  // The number 0 would be read as "as in x", and -1 has no meaning beside it.
  if (zero) return std::nullopt;
  return target;
}

}  // namespace sula
