// Convolutions whose dilation is spelled out: the map cut into the batch, convolved there without
// dilation, and put together again.
#include <algorithm>

#include "ops/conv.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"
#include "optimizer/match.h"
#include "optimizer/match_conv.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// v = SpaceToBatch(x) or BatchToSpace(x) with the blocks of all spatial axes (from axis 2 on) and
// the zeros added or elements taken off, 0 and 1 where there are none.
struct Blocked {
  ValueId x;
  std::vector<int64_t> block, begin, end;
};

std::optional<Blocked> FromOp(const Graph& g, ValueId v, const OpDef& op) {
  const NodeId id = ProducedBy(g, v, op);
  if (id == kNoNode) return std::nullopt;
  const Node& node = g.node(id);
  const auto& p = node.As<BatchBlockParams>();
  const Shape* shape = ShapeOf(g, node.inputs[0]);
  if (!shape || shape->rank() < 3) return std::nullopt;
  const size_t spatial = shape->rank() - 2;
  Blocked b = {node.inputs[0], std::vector<int64_t>(spatial, 1), std::vector<int64_t>(spatial, 0),
               std::vector<int64_t>(spatial, 0)};
  int last = 1;
  for (size_t i = 0; i < p.block.size(); ++i) {
    const auto axis =
        NormalizeAxis(p.axes.empty() ? static_cast<int64_t>(i) + 1 : p.axes[i], shape->rank());
    // The order of the axes is the order of the batches: that of the other operator, and ours.
    if (!axis.has_value() || *axis <= last) return std::nullopt;
    last = *axis;
    b.block[last - 2] = p.block[i];
    if (p.borders.empty()) continue;
    b.begin[last - 2] = p.borders[i];
    b.end[last - 2] = p.borders[p.block.size() + i];
  }
  return b;
}

// The same of maps [N,C,H,W] as DepthToSpace and SpaceToDepth between transposes of batch and
// channels, which is how TensorFlow's operators come through ONNX.
std::optional<Blocked> FromDepth(const Graph& g, const UseIndex& uses, ValueId v, const OpDef& op) {
  const auto swapped = [&](ValueId value) -> ValueId {
    const NodeId id = ProducedBy(g, value, op::kTranspose);
    const bool swaps =
        id != kNoNode && g.node(id).As<TransposeParams>().perm == std::vector<int64_t>{1, 0, 2, 3};
    return swaps ? g.node(id).inputs[0] : kNoValue;
  };
  const ValueId inner = swapped(v);
  const NodeId id = ProducedBy(g, inner, op);
  if (id == kNoNode || uses.Count(inner) != 1) return std::nullopt;
  const auto& p = g.node(id).As<BlockParams>();
  const ValueId x = swapped(g.node(id).inputs[0]);
  if (x == kNoValue || p.crd || !ShapeOf(g, x)) return std::nullopt;
  return Blocked{x, {p.block, p.block}, {0, 0}, {0, 0}};
}

// The same of maps [N,C,H,W] as Reshape(Transpose(Reshape(x))).
std::optional<Blocked> FromReshapes(const Graph& g, const UseIndex& uses, ValueId v,
                                    bool to_batch) {
  const NodeId outer = ProducedBy(g, v, op::kReshape);
  if (outer == kNoNode) return std::nullopt;
  const NodeId middle = ProducedBy(g, g.node(outer).inputs[0], op::kTranspose);
  if (middle == kNoNode) return std::nullopt;
  const NodeId inner = ProducedBy(g, g.node(middle).inputs[0], op::kReshape);
  if (inner == kNoNode || uses.Count(g.node(outer).inputs[0]) != 1) return std::nullopt;
  const ValueId x = g.node(inner).inputs[0];
  const Shape *from = ShapeOf(g, x), *cut = ShapeOf(g, g.node(inner).outputs[0]),
              *to = ShapeOf(g, v);
  if (!from || !cut || !to || from->rank() != 4 || cut->rank() != 6 || to->rank() != 4)
    return std::nullopt;
  const Shape& space = to_batch ? *from : *to;
  const Shape& batch = to_batch ? *to : *from;
  // [N,C,H/b,b,W/c,c] -> [b,c,N,C,H/b,W/c], and back.
  const auto& perm = g.node(middle).As<TransposeParams>().perm;
  const std::vector<int64_t> there = {3, 5, 0, 1, 2, 4}, back = {2, 3, 4, 0, 5, 1};
  if (perm != (to_batch ? there : back)) return std::nullopt;
  const auto b = (*cut)[to_batch ? 3 : 0].TryValue(), c = (*cut)[to_batch ? 5 : 1].TryValue();
  if (!b || !c || *b < 1 || *c < 1 || *b > 1 << 15 || *c > 1 << 15) return std::nullopt;
  const Shape expected = to_batch ? Shape{space[0], space[1], batch[2], *b, batch[3], *c}
                                  : Shape{*b, *c, space[0], space[1], batch[2], batch[3]};
  if (*cut != expected || batch[1] != space[1] || batch[0] != space[0] * Dim(*b * *c) ||
      space[2] != batch[2] * Dim(*b) || space[3] != batch[3] * Dim(*c))
    return std::nullopt;
  return Blocked{x, {*b, *c}, {0, 0}, {0, 0}};
}

std::optional<Blocked> AsSpaceToBatch(const Graph& g, const UseIndex& uses, ValueId v) {
  if (auto b = FromOp(g, v, op::kSpaceToBatch)) return b;
  if (auto b = FromDepth(g, uses, v, op::kSpaceToDepth)) return b;
  return FromReshapes(g, uses, v, true);
}
std::optional<Blocked> AsBatchToSpace(const Graph& g, const UseIndex& uses, ValueId v) {
  if (auto b = FromOp(g, v, op::kBatchToSpace)) return b;
  if (auto b = FromDepth(g, uses, v, op::kDepthToSpace)) return b;
  return FromReshapes(g, uses, v, false);
}

// The convolution with larger steps between its taps: what it pads and skips counts `block` times,
// what the cutting added is padding too, and what was cropped is padding less.
std::optional<ConvParams> Dilated(const ConvParams& conv, const Blocked& in, const Blocked& out) {
  const size_t spatial = in.block.size();
  if (!AreOnes(conv.strides) ||
      (conv.auto_pad != AutoPad::kExplicit && conv.auto_pad != AutoPad::kValid))
    return std::nullopt;
  ConvParams p = conv;
  p.auto_pad = AutoPad::kExplicit;
  p.dilations.resize(spatial, 1);
  if (HasNoPadding(conv)) p.pads.assign(2 * spatial, 0);
  if (p.pads.size() != 2 * spatial) return std::nullopt;
  constexpr int64_t kLimit = 1 << 20;  // far from overflow
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t block = in.block[i];
    if (block > kLimit || p.dilations[i] > kLimit) return std::nullopt;
    p.dilations[i] *= block;
    for (const auto& [pad, added, cropped] :
         {std::tuple(&p.pads[i], in.begin[i], out.begin[i]),
          std::tuple(&p.pads[spatial + i], in.end[i], out.end[i])}) {
      if (*pad < 0 || *pad > kLimit) return std::nullopt;
      *pad = *pad * block + added - cropped;
      if (*pad < 0) return std::nullopt;
    }
  }
  return p;
}

std::optional<Patch> DilateConv(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  const auto out = AsBatchToSpace(g, uses, y);
  const NodeId conv_id = out ? ProducedBy(g, out->x, op::kConv) : kNoNode;
  if (conv_id == kNoNode || uses.Count(out->x) != 1) return std::nullopt;
  const Node& conv = g.node(conv_id);
  const auto in = AsSpaceToBatch(g, uses, conv.inputs[0]);
  if (!in || in->block != out->block || conv.HasInput(3)) return std::nullopt;
  std::optional<ConvParams> params = Dilated(conv.As<ConvParams>(), *in, *out);
  if (!params) return std::nullopt;
  // The sizes agree only if nothing was added to make blocks fit that the crops left in.
  const Shape *x = ShapeOf(g, in->x), *w = ShapeOf(g, conv.inputs[1]), *expected = ShapeOf(g, y);
  if (!x || !w || !expected) return std::nullopt;
  const Result<Shape> result = InferConv(*params, *x, *w);
  if (!result.has_value() || *result != *expected) return std::nullopt;
  std::vector<ValueId> inputs = conv.inputs;
  inputs[0] = in->x;
  Patch patch(g);
  patch.Replace(
      y, patch.AddNode(op::kConv, Params::Of(*std::move(params)), std::move(inputs), conv.name));
  return patch;
}

constexpr const OpDef* kRoots[] = {&op::kBatchToSpace, &op::kTranspose, &op::kReshape};

}  // namespace

constinit const Rule kDilateConv = {
    "dilate-conv",
    "BatchToSpace(Conv(SpaceToBatch(x))) -> Conv(x) with dilations, also where exporters write "
    "reshapes and transposes or SpaceToDepth for it",
    kRoots, DilateConv};

}  // namespace sula::rules
