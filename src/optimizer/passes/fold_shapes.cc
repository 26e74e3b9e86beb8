// Shape arithmetic: inference knows the elements of many small integer tensors (sizes picked from
// a Shape, combined, concatenated). Where it knows them as numbers the tensor becomes a constant,
// and where symbols are left, targets of Reshape and Expand, ends of Slice and sizes of Resize
// become constants that say the same of any size.
#include <algorithm>

#include "ops/movement.h"
#include "ops/resize.h"
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

// The elements of an input that is not constant, where known.
const std::vector<Dim>* KnownInput(const Graph& g, const Node& node, size_t i,
                                   const ContentsByValue& contents) {
  if (!node.HasInput(i) || g.Constant(node.inputs[i])) return nullptr;
  const auto& known = contents[node.inputs[i]];
  return known ? &*known : nullptr;
}

// The target of a Reshape with 0 and -1, or of an Expand with 1, for sizes that stay symbols.
std::optional<Tensor> ConstantTarget(const Graph& g, const Node& node,
                                     const ContentsByValue& contents) {
  const Shape *in = ShapeOf(g, node.inputs[0]), *out = ShapeOf(g, node.outputs[0]);
  if (!in || !out || !KnownInput(g, node, 1, contents)) return std::nullopt;
  if (node.Is(op::kReshape)) {
    if (node.As<ReshapeParams>().allowzero) return std::nullopt;
    const auto target = ReshapeTarget(*in, *out);
    return target ? std::optional(Tensor::FromInts(*target)) : std::nullopt;
  }
  std::vector<int64_t> target;
  for (int i = 0; i < out->rank(); ++i) {
    const int from = i - (out->rank() - in->rank());
    if ((*out)[i].is_const()) {
      target.push_back((*out)[i].value());
    } else if (from >= 0 && (*in)[from] == (*out)[i]) {
      target.push_back(1);
    } else {
      return std::nullopt;
    }
  }
  return Tensor::FromInts(target);
}

// Starts or ends of a Slice (input `i`) where those that are not numbers are the size of the axis.
// (Less than that is not said by a negative number: it would mean something else at small sizes.)
std::optional<Tensor> ConstantEnds(const Graph& g, const Node& node, size_t i,
                                   const ContentsByValue& contents) {
  const std::vector<Dim>* known = KnownInput(g, node, i, contents);
  const Shape* in = ShapeOf(g, node.inputs[0]);
  if (!known || !in || g.value(node.inputs[i]).type.dtype != DType::kInt64) return std::nullopt;
  const auto axes = node.HasInput(3) ? IntsInput(g, node, 3) : std::nullopt;
  const auto steps = node.HasInput(4) ? IntsInput(g, node, 4) : std::nullopt;
  if (node.HasInput(3) && !axes) return std::nullopt;
  if (node.HasInput(4) && !(steps && std::ranges::all_of(*steps, [](int64_t s) { return s > 0; })))
    return std::nullopt;
  std::vector<int64_t> ends;
  for (size_t k = 0; k < known->size(); ++k) {
    const Dim& end = (*known)[k];
    const int64_t given = axes && k < axes->size() ? (*axes)[k] : static_cast<int64_t>(k);
    const Result<int> axis = NormalizeAxis(given, in->rank());
    if (!axis.has_value()) return std::nullopt;
    const std::optional<int64_t> behind = (end - (*in)[*axis]).TryValue();
    if (end.is_const()) {
      ends.push_back(end.value());
    } else if (behind && *behind >= 0) {
      ends.push_back(INT64_MAX);
    } else {
      return std::nullopt;
    }
  }
  return Tensor::FromInts(ends);
}

// Scales of a Resize whose sizes are whole multiples of those of its input, symbols or not.
std::optional<Tensor> ConstantScales(const Graph& g, const Node& node,
                                     const ContentsByValue& contents) {
  constexpr int64_t kMaxScale = 64;
  const auto& params = node.As<ResizeParams>();
  const std::vector<Dim>* known = KnownInput(g, node, 3, contents);
  const Shape* in = ShapeOf(g, node.inputs[0]);
  if (!known || !in || !params.axes.empty() || params.policy != AspectPolicy::kStretch ||
      node.HasInput(1) || static_cast<int>(known->size()) != in->rank())
    return std::nullopt;
  std::vector<float> scales;
  for (int i = 0; i < in->rank(); ++i) {
    int64_t scale = 1;
    while (scale <= kMaxScale && (*in)[i] * Dim(scale) != (*known)[i]) ++scale;
    if (scale > kMaxScale) return std::nullopt;
    scales.push_back(static_cast<float>(scale));
  }
  return Tensor::From<float>({in->rank()}, scales);
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
  const auto give = [&](NodeId id, size_t input, std::string_view what, Tensor constant) {
    const ValueId v = g.AddConstant(StrCat(g.node(id).name, "/", what), std::move(constant));
    g.node(id).inputs[input] = v;
    ++changes;
  };
  const int nodes = g.node_slots();
  for (NodeId id = 0; id < nodes; ++id) {
    if (!g.IsLive(id)) continue;
    const Node node = g.node(id);  // a copy: the graph changes
    if (node.Is(op::kReshape) || node.Is(op::kExpand)) {
      if (const auto target = ConstantTarget(g, node, contents)) give(id, 1, "shape", *target);
    } else if (node.Is(op::kSlice)) {
      for (size_t i : {1, 2})
        if (const auto ends = ConstantEnds(g, node, i, contents))
          give(id, i, i == 1 ? "starts" : "ends", *ends);
    } else if (node.Is(op::kResize)) {
      const auto scales = ConstantScales(g, node, contents);
      if (!scales) continue;
      g.node(id).inputs.resize(3);
      give(id, 2, "scales", *scales);
    }
  }
  if (changes > 0) g.RemoveDead();
  return changes;
}

}  // namespace

constinit const Pass kFoldShapes = {
    "fold-shapes", "shape arithmetic whose result inference knows -> constants", FoldShapes};

}  // namespace sula::passes
