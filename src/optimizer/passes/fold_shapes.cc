// Shape arithmetic: inference knows the elements of many small integer tensors (sizes picked from
// a Shape, combined, concatenated). Where it knows them as numbers the tensor becomes a constant,
// and a Reshape whose target is known up to one size gets a constant target with 0 and -1.
#include <algorithm>

#include "ops/shape_ops.h"
#include "optimizer/match.h"
#include "optimizer/passes/passes.h"

namespace sula::passes {
namespace {

// The tensor with these contents, if all are numbers that its type and shape can hold.
std::optional<Tensor> AsConstant(const TensorType& type, const std::vector<Dim>& contents) {
  if (!type.shape || type.shape->rank() > 1) return std::nullopt;
  const std::optional<Dims> dims = type.shape->TryConcrete();
  if (!dims || NumElements(*dims) != static_cast<int64_t>(contents.size())) return std::nullopt;
  std::vector<int64_t> values;
  for (const Dim& dim : contents) {
    const std::optional<int64_t> value = dim.TryValue();
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  if (type.dtype == DType::kInt64) return Tensor::From<int64_t>(*dims, values);
  if (type.dtype != DType::kInt32) return std::nullopt;
  std::vector<int32_t> narrow;
  for (int64_t value : values) {
    if (!std::in_range<int32_t>(value)) return std::nullopt;
    narrow.push_back(static_cast<int32_t>(value));
  }
  return Tensor::From<int32_t>(*dims, narrow);
}

Result<int> FoldShapes(Graph& g) {
  ContentsByValue contents;
  RETURN_IF_ERROR(InferShapes(g, nullptr, &contents));
  const UseIndex uses(g);
  int changes = 0;
  const auto redirect = [&](ValueId from, ValueId to) {
    for (NodeId reader : uses.Of(from)) std::ranges::replace(g.node(reader).inputs, from, to);
    ++changes;
  };
  const int values = g.value_slots();
  for (ValueId v = 0; v < values; ++v) {
    if (g.value(v).producer == kNoNode || !contents[v] || uses.Of(v).empty()) continue;
    if (g.node(g.value(v).producer).op->Has(kImpure)) continue;
    std::optional<Tensor> constant = AsConstant(g.value(v).type, *contents[v]);
    if (constant) redirect(v, g.AddConstant(g.value(v).name + "/value", *std::move(constant)));
  }
  for (NodeId id = 0; id < g.node_slots(); ++id) {
    if (!g.IsLive(id) || !g.node(id).Is(op::kReshape) || g.Constant(g.node(id).inputs[1])) continue;
    const Node& node = g.node(id);
    if (node.As<ReshapeParams>().allowzero || !contents[node.inputs[1]]) continue;
    const Shape *in = ShapeOf(g, node.inputs[0]), *out = ShapeOf(g, node.outputs[0]);
    const auto target = in && out ? ReshapeTarget(*in, *out) : std::nullopt;
    if (!target) continue;
    const ValueId shape = g.AddConstant(node.name + "/shape", Tensor::FromInts(*target));
    g.node(id).inputs[1] = shape;
    ++changes;
  }
  if (changes > 0) g.RemoveDead();
  return changes;
}

}  // namespace

constinit const Pass kFoldShapes = {
    "fold-shapes", "shape arithmetic whose result inference knows -> constants", FoldShapes};

}  // namespace sula::passes
