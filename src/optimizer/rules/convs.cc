// Convolutions with constant weights, brought into the form that costs least.
#include <algorithm>
#include <cmath>

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/numbers.h"
#include "optimizer/match.h"
#include "optimizer/match_conv.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// Weights that take longer than this to compute are left alone (multiply-adds, about a second).
constexpr double kMaxFoldingWork = 1 << 30;

// ---- Conv(Conv(x, w1), w2), one of them 1x1 -> Conv(x, w1 * w2)

// w'[m][c][t] = sum over j of outer[m][j][t2] * inner[j][c][t1], where one of the kernels has one
// tap and t runs over the other's.
Tensor ComposeWeights(const ConstantConv& inner, const ConstantConv& outer) {
  const int64_t m_count = outer.outputs(), j_count = inner.outputs();
  const int64_t c_count = inner.inputs_per_group(), taps = inner.taps() * outer.taps();
  Dims dims = inner.IsPointwise() ? outer.w->dims() : inner.w->dims();
  dims[0] = m_count, dims[1] = c_count;
  const std::vector<double> a = LoadAs<double>(*outer.w), b = LoadAs<double>(*inner.w);
  std::vector<double> sums(m_count * c_count * taps, 0);
  for (int64_t m = 0; m < m_count; ++m) {
    double* row = sums.data() + m * c_count * taps;
    for (int64_t j = 0; j < j_count; ++j) {
      if (outer.IsPointwise()) {
        const double factor = a[m * j_count + j];
        const double* from = b.data() + j * c_count * taps;
        for (int64_t i = 0; i < c_count * taps; ++i) row[i] += factor * from[i];
      } else {
        const double* kernel = a.data() + (m * j_count + j) * taps;
        for (int64_t c = 0; c < c_count; ++c)
          for (int64_t t = 0; t < taps; ++t) row[c * taps + t] += kernel[t] * b[j * c_count + c];
      }
    }
  }
  return FloatTensor(outer.w->dtype(), std::move(dims), sums);
}

std::vector<double> ComposeBias(const ConstantConv& inner, const ConstantConv& outer) {
  std::vector<double> bias = outer.bias;
  const int64_t j_count = inner.outputs(), taps = outer.taps();
  for (int64_t m = 0; m < outer.outputs(); ++m)
    for (int64_t i = 0; i < j_count * taps; ++i)
      bias[m] += outer.w->AsDouble(m * j_count * taps + i) * inner.bias[i / taps];
  return bias;
}

// The geometry of both together; nothing if it cannot be said, or zeros that the second one pads
// with would have to be the first one's bias.
std::optional<ConvParams> ComposeParams(const ConstantConv& inner, const ConstantConv& outer) {
  ConvParams params = *inner.params;
  if (outer.IsPointwise() && HasNoPadding(*outer.params)) {
    if (!AreOnes(outer.params->strides)) {
      if (params.auto_pad != AutoPad::kExplicit && params.auto_pad != AutoPad::kValid)
        return std::nullopt;
      params.strides.resize(outer.params->strides.size(), 1);
      for (size_t i = 0; i < params.strides.size(); ++i) {
        if (params.strides[i] > 1 << 15 || outer.params->strides[i] > 1 << 15) return std::nullopt;
        params.strides[i] *= outer.params->strides[i];
      }
    }
  } else if (inner.IsPointwise() && HasNoPadding(params) && AreOnes(params.strides) &&
             (!inner.has_bias || HasNoPadding(*outer.params))) {
    params = *outer.params;
  } else {
    return std::nullopt;
  }
  params.Fuse(outer.params->Fused());
  return params;
}

std::optional<Patch> MergeConvs(const Graph& g, const UseIndex& uses, NodeId id) {
  const auto outer = AsConstantConv(g, id);
  if (!outer || uses.Count(outer->node->inputs[0]) != 1) return std::nullopt;
  const auto inner = AsConstantConv(g, g.value(outer->node->inputs[0]).producer);
  if (!inner || inner->params->activation != ActivationKind::kNone || inner->node->HasInput(3) ||
      inner->params->group != 1 || outer->params->group != 1 ||
      outer->inputs_per_group() != inner->outputs())
    return std::nullopt;
  const std::optional<ConvParams> params = ComposeParams(*inner, *outer);
  if (!params) return std::nullopt;
  // Multiply-adds for one pixel of the result.
  double pixels = 1;  // of the inner one's result
  for (int64_t s : outer->params->strides) pixels *= static_cast<double>(s);
  const auto n = [](int64_t v) { return static_cast<double>(v); };
  const double taps = n(inner->taps() * outer->taps()), c = n(inner->inputs_per_group());
  const double j = n(inner->outputs()), m = n(outer->outputs());
  const double before = pixels * n(inner->taps()) * c * j + n(outer->taps()) * j * m;
  const double after = taps * c * m;
  if (after >= before || taps * c * j * m > kMaxFoldingWork) return std::nullopt;
  Patch patch(g);
  std::vector<ValueId> inputs = outer->node->inputs;
  const std::string& name = outer->node->name;
  inputs[0] = inner->node->inputs[0];
  inputs[1] = patch.AddConstant(name + "/weights", ComposeWeights(*inner, *outer));
  if (inner->has_bias || outer->has_bias) {
    inputs.resize(std::max<size_t>(inputs.size(), 3), kNoValue);
    inputs[2] = patch.AddConstant(name + "/bias",
                                  FloatTensor(outer->w->dtype(), ComposeBias(*inner, *outer)));
  }
  patch.Replace(outer->node->outputs[0],
                patch.AddNode(op::kConv, Params::Of(*params), std::move(inputs), name));
  return patch;
}

// ---- taps that only ever meet padding

// [first, last] of the taps along one axis that meet the input for some output.
struct TapRange {
  int64_t first, last;
};
std::optional<TapRange> UsefulTaps(const ConvGeometry& c, int axis) {
  const int64_t in = c.in[axis], out = c.out[axis], stride = c.stride[axis];
  std::optional<TapRange> range;
  for (int64_t t = 0; t < c.kernel[axis]; ++t) {
    // Outputs o with 0 <= o * stride + from < in.
    const int64_t from = t * c.dilation[axis] - c.pad_begin[axis];
    const int64_t o = from >= 0 ? 0 : (-from + stride - 1) / stride;
    if (o >= out || o * stride + from >= in) continue;
    if (!range) range = TapRange{t, t};
    range->last = t;
  }
  return range;
}

// w[:, :, first.., ...] up to last, along each spatial axis.
Tensor CropKernel(const Tensor& w, const std::vector<TapRange>& taps) {
  Dims dims = w.dims();
  for (size_t i = 0; i < taps.size(); ++i) dims[i + 2] = taps[i].last - taps[i].first + 1;
  const Dims strides = RowMajorStrides(w.dims());
  const Dims small = RowMajorStrides(dims);
  return MapElements(Tensor(w.dtype(), dims), [&](int64_t i, double) {
    int64_t at = i / small[1] * strides[1];
    for (size_t k = 0; k < taps.size(); ++k)
      at += (i / small[k + 2] % dims[k + 2] + taps[k].first) * strides[k + 2];
    return w.AsDouble(at);
  });
}

std::optional<Patch> TrimKernel(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const auto conv = AsConstantConv(g, id);
  const Shape* shape = ShapeOf(g, node.inputs[0]);
  if (!conv || conv->IsPointwise() || !shape) return std::nullopt;
  Dims x = {1, conv->inputs_per_group() * conv->params->group};
  for (int i = 2; i < shape->rank(); ++i) x.push_back((*shape)[i].TryValue().value_or(-1));
  if (std::ranges::any_of(x, [](int64_t d) { return d < 1; })) return std::nullopt;
  const Result<ConvGeometry> geometry = ResolveConv(*conv->params, x, conv->w->dims());
  if (!geometry.has_value()) return std::nullopt;
  std::vector<TapRange> taps;
  std::vector<int64_t> begins, ends;
  bool trims = false;
  for (int i = 0; i < geometry->spatial; ++i) {
    const int64_t kernel = geometry->kernel[i], dilation = geometry->dilation[i];
    std::optional<TapRange> range = UsefulTaps(*geometry, i);
    if (!range) return std::nullopt;
    // What is taken off the kernel is taken off the padding.
    range->first = std::min(range->first, geometry->pad_begin[i] / dilation);
    range->last = kernel - 1 - std::min(kernel - 1 - range->last, geometry->pad_end[i] / dilation);
    begins.push_back(geometry->pad_begin[i] - range->first * dilation);
    ends.push_back(geometry->pad_end[i] - (kernel - 1 - range->last) * dilation);
    trims |= range->last - range->first + 1 < kernel;
    taps.push_back(*range);
  }
  if (!trims) return std::nullopt;
  ConvParams params = *conv->params;
  params.auto_pad = AutoPad::kExplicit;
  params.pads = std::move(begins);
  params.pads.insert(params.pads.end(), ends.begin(), ends.end());
  Patch patch(g);
  std::vector<ValueId> inputs = node.inputs;
  inputs[1] = patch.AddConstant(g.value(inputs[1]).name, CropKernel(*conv->w, taps));
  patch.Replace(node.outputs[0], patch.AddNode(op::kConv, Params::Of(std::move(params)),
                                               std::move(inputs), node.name));
  return patch;
}

// ---- Concat(Conv(part 0 of x), Conv(part 1 of x), ...) -> Conv(x) in groups

// The bytes of several tensors of one type, one behind the other along axis 0.
Tensor Stack(const std::vector<const Tensor*>& parts) {
  Dims dims = parts[0]->dims();
  dims[0] *= static_cast<int64_t>(parts.size());
  const int64_t each = parts[0]->num_elements();
  return MapElements(Tensor(parts[0]->dtype(), std::move(dims)),
                     [&](int64_t i, double) { return parts[i / each]->AsDouble(i % each); });
}

std::optional<Patch> MergeIntoGroups(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& concat = g.node(id);
  const Shape* shape = ShapeOf(g, concat.outputs[0]);
  if (!shape || concat.inputs.size() < 2) return std::nullopt;
  const auto axis = NormalizeAxis(concat.As<ConcatParams>().axis, shape->rank());
  if (!axis.has_value() || *axis != 1) return std::nullopt;
  const Node* split = nullptr;
  const Node* first = nullptr;
  std::vector<const Tensor*> weights, biases;
  for (size_t i = 0; i < concat.inputs.size(); ++i) {
    const ValueId y = concat.inputs[i];
    const auto conv = AsConstantConv(g, g.value(y).producer);
    if (!conv || uses.Count(y) != 1 || conv->node->HasInput(3)) return std::nullopt;
    const ValueId x = conv->node->inputs[0];
    const NodeId producer = g.value(x).producer;
    if (producer == kNoNode || !g.node(producer).Is(op::kSplit) || uses.Count(x) != 1 ||
        g.value(x).output_index != static_cast<int>(i))
      return std::nullopt;
    if (!first) {
      first = conv->node;
      split = &g.node(producer);
    }
    if (split != &g.node(producer) || !SameShape(g, x, first->inputs[0]) ||
        !(*conv->params == first->As<ConvParams>()) ||
        (i > 0 && conv->w->dims() != weights[0]->dims()) || conv->has_bias != first->HasInput(2))
      return std::nullopt;
    weights.push_back(conv->w);
    if (conv->has_bias) biases.push_back(ConstantInput(g, *conv->node, 2));
  }
  const Shape* x = ShapeOf(g, split->inputs[0]);
  if (split->outputs.size() != concat.inputs.size() || !x) return std::nullopt;
  const auto split_axis = NormalizeAxis(split->As<SplitParams>().axis, x->rank());
  if (!split_axis.has_value() || *split_axis != 1) return std::nullopt;
  ConvParams params = first->As<ConvParams>();
  params.group *= static_cast<int64_t>(weights.size());
  Patch patch(g);
  std::vector<ValueId> inputs = {split->inputs[0]};
  inputs.push_back(patch.AddConstant(first->name + "/weights", Stack(weights)));
  if (!biases.empty()) inputs.push_back(patch.AddConstant(first->name + "/bias", Stack(biases)));
  patch.Replace(concat.outputs[0], patch.AddNode(op::kConv, Params::Of(std::move(params)),
                                                 std::move(inputs), first->name));
  return patch;
}

// ---- a convolution of one tap and one channel per group: a factor per channel

std::optional<Patch> ConvToScale(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const auto conv = AsConstantConv(g, id);
  const ValueId x = node.inputs[0];
  if (!conv || !conv->IsPointwise() || conv->inputs_per_group() != 1 ||
      conv->params->group != conv->outputs() || !HasNoPadding(*conv->params) ||
      !AreOnes(conv->params->strides) || node.HasInput(3) || !SameShape(g, x, node.outputs[0]))
    return std::nullopt;
  // A sum of its own costs a pass over the map, unless what makes x takes it.
  const auto before = AsConstantConv(g, g.value(x).producer);
  const bool taken = before && uses.Count(x) == 1 && !before->node->HasInput(3) &&
                     before->params->activation == ActivationKind::kNone;
  if (conv->has_bias && !taken) return std::nullopt;
  Dims dims(conv->w->rank() - 1, 1);
  dims[0] = conv->outputs();
  BinaryParams last;
  last.Fuse(conv->params->Fused());
  Patch patch(g);
  const ValueId scale = patch.AddConstant(node.name + "/scale", conv->w->Reshaped(dims));
  if (!conv->has_bias) {
    patch.Replace(node.outputs[0],
                  patch.AddNode(op::kMul, Params::Of(last), {x, scale}, node.name));
    return patch;
  }
  const ValueId scaled =
      patch.AddNode(op::kMul, Params::Of(BinaryParams{}), {x, scale}, node.name + "/mul");
  const ValueId shift =
      patch.AddConstant(node.name + "/shift", ConstantInput(g, node, 2)->Reshaped(dims));
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kAdd, Params::Of(last), {scaled, shift}, node.name));
  return patch;
}

// ---- MatMul over the channels of a map that was transposed to have them last

std::optional<Patch> MatMulToConv(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const MatMulParams& p = node.As<MatMulParams>();
  const NodeId producer = ProducedBy(g, node.inputs[0], op::kTranspose);
  const Tensor* w = ConstantInput(g, node, 1);
  if (producer == kNoNode || uses.Count(node.inputs[0]) != 1 || !w || w->rank() != 2 ||
      !IsFoldableFloat(w->dtype()) || p.trans_a || node.HasInput(3))
    return std::nullopt;
  const Node& transpose = g.node(producer);
  const Shape* x = ShapeOf(g, transpose.inputs[0]);
  const int rank = x ? x->rank() : 0;
  if (rank < 4 || rank > 5) return std::nullopt;
  std::vector<int64_t> perm = {0};
  for (int i = 2; i < rank; ++i) perm.push_back(i);
  perm.push_back(1);
  if (transpose.As<TransposeParams>().perm != perm) return std::nullopt;
  std::optional<Tensor> rows = p.trans_b ? *w : TransposeConstant(*w, {1, 0});  // [K,C]
  if (!rows) return std::nullopt;
  const double alpha = p.alpha;
  Dims dims(rank, 1);
  dims[0] = rows->dim(0), dims[1] = rows->dim(1);
  *rows = MapElements(*rows, [&](int64_t, double v) { return v * alpha; }).Reshaped(dims);
  ConvParams params;
  params.Fuse(p.Fused());
  Patch patch(g);
  std::vector<ValueId> inputs = {transpose.inputs[0],
                                 patch.AddConstant(g.value(node.inputs[1]).name, *rows)};
  if (node.HasInput(2)) inputs.push_back(node.inputs[2]);
  const ValueId y =
      patch.AddNode(op::kConv, Params::Of(std::move(params)), std::move(inputs), node.name);
  // Back to channels last: the transpose moves on towards its inverse.
  patch.Replace(node.outputs[0], patch.AddNode(op::kTranspose, Params::Of(TransposeParams{perm}),
                                               {y}, node.name + "/transpose"));
  return patch;
}

constexpr const OpDef* kConvs[] = {&op::kConv};
constexpr const OpDef* kConcats[] = {&op::kConcat};
constexpr const OpDef* kMatMuls[] = {&op::kMatMul};

}  // namespace

constinit const Rule kMergeConvs = {
    "merge-convs",
    "Conv(Conv(x, w1), w2) -> Conv(x, w1 * w2) where one kernel is 1x1, nothing lies between them "
    "and it takes fewer multiply-adds",
    kConvs, MergeConvs};
constinit const Rule kTrimKernel = {
    "trim-kernel", "Conv(x, w) -> Conv(x, w') without the taps that only meet padding", kConvs,
    TrimKernel};
constinit const Rule kMergeIntoGroups = {
    "merge-into-groups", "Concat(Conv(part 0 of x), Conv(part 1 of x), ...) -> Conv(x) in groups",
    kConcats, MergeIntoGroups};
constinit const Rule kConvToScale = {
    "conv-to-scale", "Conv(x, w, b) of one tap in groups of one channel -> x * w + b", kConvs,
    ConvToScale};
constinit const Rule kMatMulToConv = {"matmul-to-conv",
                                      "MatMul(T(x), w) over the channels of a map -> T(Conv(x, w))",
                                      kMatMuls, MatMulToConv};

}  // namespace sula::rules
