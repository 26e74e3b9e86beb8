// Several convolutions or products of one input, computed as one that is wider.
#include <algorithm>

#include "ops/conv.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/numbers.h"
#include "optimizer/match.h"
#include "optimizer/match_conv.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// Columns (output channels) are computed in vectors of this many on the narrowest fast processor;
// what is missing to whole vectors is computed in vain.
constexpr int64_t kLanes = 8;
// A column more to copy, in case the parts cannot stay where they are, weighs as much as this many
// multiply-adds.
constexpr int64_t kCopyCost = 8;
// Below this many multiply-adds in all, what a node costs by being one weighs as much as its work
// (some microseconds).
constexpr int64_t kSmallWork = 1 << 18;

struct Sibling {
  NodeId id;
  const Tensor* w;
  int64_t columns;
  std::vector<double> bias;
};

int64_t RoundUp(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// The rows of the product (pixels of the result): its elements by its columns; nothing if unknown.
std::optional<int64_t> RowsOf(const Graph& g, const Node& node, int64_t columns) {
  const Shape* y = ShapeOf(g, node.outputs[0]);
  const auto elements = y ? y->NumElements().TryValue() : std::nullopt;
  if (!elements) return std::nullopt;
  return *elements / columns;
}

bool Pays(const Graph& g, const std::vector<Sibling>& siblings, int64_t depth) {
  int64_t sum = 0, apart = 0;
  for (const Sibling& s : siblings) {
    sum += s.columns;
    apart += RoundUp(s.columns);
  }
  if ((apart - RoundUp(sum)) * depth > kCopyCost * sum) return true;
  const auto rows = RowsOf(g, g.node(siblings[0].id), siblings[0].columns);
  return rows && *rows > 0 && *rows < kSmallWork && sum * depth < kSmallWork / *rows;
}

// The node as one of several with this x, this shape of weights (but for the columns along `axis`)
// and these params.
std::optional<Sibling> AsSibling(const Graph& g, const Node& first, NodeId id, int axis) {
  const Node& node = g.node(id);
  if (node.op != first.op || node.inputs[0] != first.inputs[0] || node.HasInput(3))
    return std::nullopt;
  const Tensor *w = ConstantInput(g, node, 1), *as = ConstantInput(g, first, 1);
  if (!w || !as || w->dtype() != as->dtype() || w->rank() != as->rank() || w->num_elements() == 0)
    return std::nullopt;
  for (int i = 0; i < w->rank(); ++i)
    if (i != axis && w->dim(i) != as->dim(i)) return std::nullopt;
  const bool same = node.Is(op::kConv) ? node.As<ConvParams>() == first.As<ConvParams>()
                                       : node.As<MatMulParams>() == first.As<MatMulParams>();
  if (!same) return std::nullopt;
  std::optional<std::vector<double>> bias = BiasOf(g, node, w->dim(axis));
  if (!bias) return std::nullopt;
  return Sibling{id, w, w->dim(axis), *std::move(bias)};
}

// The weights side by side along `axis`, of rank 2 or more.
Tensor Join(const std::vector<Sibling>& siblings, int axis) {
  Dims dims = siblings[0].w->dims();
  dims[axis] = 0;
  for (const Sibling& s : siblings) dims[axis] += s.columns;
  const int64_t inner = NumElements(std::span(dims).subspan(axis + 1));
  const int64_t outer = NumElements(std::span(dims).first(axis));
  std::vector<double> all;
  all.reserve(NumElements(dims));
  std::vector<std::vector<double>> parts;
  for (const Sibling& s : siblings) parts.push_back(LoadAs<double>(*s.w));
  for (int64_t i = 0; i < outer; ++i) {
    for (size_t k = 0; k < parts.size(); ++k) {
      const auto row = parts[k].begin() + i * siblings[k].columns * inner;
      all.insert(all.end(), row, row + siblings[k].columns * inner);
    }
  }
  return FloatTensor(siblings[0].w->dtype(), std::move(dims), all);
}

std::optional<Patch> MergeSiblings(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& first = g.node(id);
  const ValueId x = first.inputs[0];
  const Tensor* w = ConstantInput(g, first, 1);
  const Shape* y = ShapeOf(g, first.outputs[0]);
  const bool conv = first.Is(op::kConv);
  if (!w || w->num_elements() == 0 || !IsFoldableFloat(w->dtype()) || !y || g.Constant(x) ||
      first.HasInput(3))
    return std::nullopt;
  if (conv ? first.As<ConvParams>().group != 1 : w->rank() != 2 || y->rank() < 2)
    return std::nullopt;
  const int w_axis = conv || first.As<MatMulParams>().trans_b ? 0 : 1;
  std::vector<Sibling> siblings;
  bool has_bias = false;
  for (NodeId reader : uses.Of(x)) {
    std::optional<Sibling> sibling = AsSibling(g, first, reader, w_axis);
    if (!sibling) continue;
    has_bias |= g.node(reader).HasInput(2);
    siblings.push_back(*std::move(sibling));
  }
  if (siblings.size() < 2) return std::nullopt;
  if (!Pays(g, siblings, w->num_elements() / siblings[0].columns)) return std::nullopt;

  std::vector<int64_t> parts;
  std::vector<double> bias;
  for (const Sibling& s : siblings) {
    parts.push_back(s.columns);
    bias.insert(bias.end(), s.bias.begin(), s.bias.end());
  }
  Patch patch(g);
  const std::string& name = first.name;
  std::vector<ValueId> inputs = {x, patch.AddConstant(name + "/weights", Join(siblings, w_axis))};
  if (has_bias) inputs.push_back(patch.AddConstant(name + "/bias", FloatTensor(w->dtype(), bias)));
  const ValueId wide = patch.AddNode(*first.op, first.params, std::move(inputs), name);
  const ValueId sizes = patch.AddConstant(name + "/parts", Tensor::FromInts(parts));
  const std::vector<ValueId> outputs =
      patch.AddNodes(op::kSplit, Params::Of(SplitParams{.axis = conv ? 1 : y->rank() - 1}),
                     {wide, sizes}, static_cast<int>(siblings.size()), name + "/split");
  for (size_t i = 0; i < siblings.size(); ++i)
    patch.Replace(g.node(siblings[i].id).outputs[0], outputs[i]);
  return patch;
}

constexpr const OpDef* kProducts[] = {&op::kConv, &op::kMatMul};

}  // namespace

constinit const Rule kMergeSiblings = {
    "merge-siblings",
    "Conv(x, w1), Conv(x, w2) -> Split(Conv(x, [w1, w2])) where that fills more vectors or there "
    "is little work; MatMul alike",
    kProducts, MergeSiblings};

}  // namespace sula::rules
