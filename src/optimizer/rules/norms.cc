// Normalisations that exporters spell out in elementary operators, and what scales and shifts their
// results.
#include <algorithm>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"
#include "optimizer/match.h"
#include "optimizer/match_arithmetic.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

using Axes = std::vector<int>;  // sorted

constexpr int64_t kMaxParameters = 1 << 20;

// ---- reductions

// v = factor * the node's reduction of its x over axes, which stay with size 1.
struct Reduction {
  const Node* node;
  Axes axes;
  double factor = 1;
};

// The axes that a reduction node goes over; nothing if the input that says so is not constant.
std::optional<Axes> AxesOf(const Graph& g, const Node& node, int rank) {
  std::vector<int64_t> given = node.As<ReduceParams>().axes;
  if (node.HasInput(1)) {
    const auto ints = IntsInput(g, node, 1);
    if (!ints) return std::nullopt;
    given = *ints;
  }
  const Result<std::vector<bool>> reduced = ReducedAxes(node.As<ReduceParams>(), given, rank);
  if (!reduced.has_value()) return std::nullopt;
  Axes axes;
  for (int i = 0; i < rank; ++i)
    if ((*reduced)[i]) axes.push_back(i);
  return axes;
}

constexpr const OpDef* kReductions[] = {&op::kReduceMean, &op::kReduceSum, &op::kReduceMax};

// Reshapes and products with numbers may stand between the reduction and v.
std::optional<Reduction> AsReduction(const Graph& g, ValueId v) {
  Reduction r;
  ValueId u = v;
  for (;;) {
    const NodeId id = u == kNoValue ? kNoNode : g.value(u).producer;
    if (id == kNoNode) return std::nullopt;
    r.node = &g.node(id);
    if (r.node->Is(op::kReshape) || r.node->Is(op::kUnsqueeze) || r.node->Is(op::kSqueeze)) {
      u = r.node->inputs[0];
    } else if (const auto scaled = AsScaled(g, u)) {
      r.factor *= scaled->c;
      u = scaled->x;
    } else {
      break;
    }
  }
  if (std::ranges::count(kReductions, r.node->op) == 0) return std::nullopt;
  const Shape *x = ShapeOf(g, r.node->inputs[0]), *result = ShapeOf(g, v);
  if (!x || !result) return std::nullopt;
  std::optional<Axes> axes = AxesOf(g, *r.node, x->rank());
  if (!axes || axes->empty()) return std::nullopt;
  Shape kept = *x;
  for (int axis : *axes) kept[axis] = 1;
  if (*result != kept) return std::nullopt;
  r.axes = *std::move(axes);
  return r;
}

// v = the mean of x over axes, which stay with size 1.
struct Mean {
  ValueId x;
  Axes axes;
};
std::optional<Mean> AsMean(const Graph& g, ValueId v) {
  std::optional<Reduction> r = AsReduction(g, v);
  if (!r) return std::nullopt;
  const ValueId x = r->node->inputs[0];
  if (r->node->Is(op::kReduceSum)) {
    Dim count = 1;
    for (int axis : r->axes) count = count * (*ShapeOf(g, x))[axis];
    const auto n = count.TryValue();
    if (!n || *n < 1 || !NearlyEqual(r->factor * static_cast<double>(*n), 1)) return std::nullopt;
  } else if (!r->node->Is(op::kReduceMean) || r->factor != 1) {
    return std::nullopt;
  }
  return Mean{x, std::move(r->axes)};
}

// v = u^2; its u.
std::optional<ValueId> AsSquare(const Graph& g, ValueId v) {
  if (const auto o = OperandsOf(g, v, op::kMul); o && o->a == o->b) return o->a;
  if (const auto o = OperandsOf(g, v, op::kPow); o && ScalarConstant(g, o->b) == 2.0) return o->a;
  return std::nullopt;
}

// v = x - mean(x)
std::optional<Mean> AsCentred(const Graph& g, ValueId v) {
  const auto o = OperandsOf(g, v, op::kSub);
  if (!o) return std::nullopt;
  std::optional<Mean> mean = AsMean(g, o->b);
  if (!mean || mean->x != o->a) return std::nullopt;
  return mean;
}

// v = mean(x^2)
std::optional<Mean> AsMeanSquare(const Graph& g, ValueId v) {
  std::optional<Mean> mean = AsMean(g, v);
  const std::optional<ValueId> x = mean ? AsSquare(g, mean->x) : std::nullopt;
  if (!x) return std::nullopt;
  mean->x = *x;
  return mean;
}

// v = the variance of x: mean((x - mean(x))^2), or mean(x^2) - mean(x)^2, perhaps no less than 0.
std::optional<Mean> AsVariance(const Graph& g, ValueId v) {
  if (const auto mean = AsMeanSquare(g, v)) {
    const auto centred = AsCentred(g, mean->x);
    if (centred && centred->axes == mean->axes) return centred;
    return std::nullopt;
  }
  if (const auto positive = OperandOf(g, v, op::kRelu)) v = *positive;
  const auto o = OperandsOf(g, v, op::kSub);
  if (!o) return std::nullopt;
  const auto mean_square = AsMeanSquare(g, o->a);
  const auto root = AsSquare(g, o->b);
  const auto mean = root ? AsMean(g, *root) : std::nullopt;
  if (!mean_square || !mean || mean->x != mean_square->x || mean->axes != mean_square->axes)
    return std::nullopt;
  return mean;
}

// ---- 1 / sqrt(variance + epsilon)

struct Deviation {
  ValueId variance;
  double epsilon;
};

// v = sqrt(variance + epsilon), or its reciprocal if `inverse`.
std::optional<Deviation> AsDeviation(const Graph& g, ValueId v, bool inverse) {
  if (inverse) {
    if (const auto root = OperandOf(g, v, op::kReciprocal)) return AsDeviation(g, *root, false);
    if (const auto o = OperandsOf(g, v, op::kDiv); o && ScalarConstant(g, o->a) == 1.0)
      return AsDeviation(g, o->b, false);
  }
  std::optional<ValueId> sum;
  if (const auto o = OperandsOf(g, v, op::kPow);
      o && ScalarConstant(g, o->b) == (inverse ? -0.5 : 0.5)) {
    sum = o->a;
  } else if (!inverse) {
    sum = OperandOf(g, v, op::kSqrt);
  }
  const auto shifted = sum ? AsShifted(g, *sum) : std::nullopt;
  if (!shifted || !(shifted->c >= 0)) return std::nullopt;
  return Deviation{shifted->x, shifted->c};
}

// v = scale / sqrt(variance + epsilon)
struct Factor {
  Deviation deviation;
  ValueId scale = kNoValue;  // none: 1
};
std::optional<Factor> AsFactor(const Graph& g, ValueId v) {
  if (const auto deviation = AsDeviation(g, v, true)) return Factor{*deviation};
  const auto o = OperandsOf(g, v, op::kMul);
  if (!o) return std::nullopt;
  for (const auto& [inverse, scale] : {std::pair(o->a, o->b), std::pair(o->b, o->a)})
    if (const auto deviation = AsDeviation(g, inverse, true)) return Factor{*deviation, scale};
  return std::nullopt;
}

// ---- y = u * factor, or u / deviation

struct Normalised {
  ValueId u;
  Factor factor;
};

// All readings of y as such a product. `uses`: the factor serves y alone, so it becomes dead.
std::vector<Normalised> ReadingsOf(const Graph& g, const UseIndex& uses, ValueId y) {
  std::vector<Normalised> readings;
  const auto add = [&](ValueId u, ValueId v, std::optional<Factor> factor) {
    if (factor && uses.Count(v) == 1 && SameShape(g, u, y))
      readings.push_back({u, *std::move(factor)});
  };
  if (const auto o = OperandsOf(g, y, op::kDiv)) {
    if (const auto deviation = AsDeviation(g, o->b, false)) add(o->a, o->b, Factor{*deviation});
  } else if (const auto product = OperandsOf(g, y, op::kMul)) {
    add(product->a, product->b, AsFactor(g, product->b));
    add(product->b, product->a, AsFactor(g, product->a));
  }
  return readings;
}

// ---- the operators

// A constant that varies along the last `axes` axes alone, without the axes of size 1 before them.
std::optional<Tensor> AlongLast(const Tensor& t, int axes) {
  Dims dims = t.dims();
  while (static_cast<int>(dims.size()) > axes) {
    if (dims.front() != 1) return std::nullopt;
    dims.erase(dims.begin());
  }
  return t.Reshaped(std::move(dims));
}

// The scale of a normalisation of x from `axis` on: the constant `scale`, ones if there is none.
std::optional<ValueId> LayerScale(const Graph& g, ValueId x, int axis, ValueId scale,
                                  const std::string& name, Patch& patch) {
  const Shape& shape = *ShapeOf(g, x);
  std::optional<Tensor> constant;
  if (scale != kNoValue) {
    if (const Tensor* t = g.Constant(scale)) constant = AlongLast(*t, shape.rank() - axis);
  } else {
    Dims dims;
    for (int i = axis; i < shape.rank(); ++i) dims.push_back(shape[i].TryValue().value_or(-1));
    if (std::ranges::any_of(dims, [](int64_t d) { return d < 1 || d > kMaxParameters; }) ||
        NumElements(dims) > kMaxParameters)
      return std::nullopt;
    const std::vector<double> ones(NumElements(dims), 1);
    constant = FloatTensor(g.value(x).type.dtype, std::move(dims), ones);
  }
  if (!constant) return std::nullopt;
  return patch.AddConstant(name + "/scale", *std::move(constant));
}

bool AreLast(const Axes& axes, int rank) {
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] != rank - static_cast<int>(axes.size() - i)) return false;
  return true;
}

// Both spatial axes or all three of a map: InstanceNormalization. Of one axis it cannot be said
// whether it is a map's or the last of a sequence; that is LayerNormalization.
bool AreSpatial(const Axes& axes, int rank) {
  return rank >= 4 && axes.front() == 2 && static_cast<int>(axes.size()) == rank - 2;
}

// The numbers of a constant scale per channel, ones if there is none.
std::optional<std::vector<double>> PerChannel(const Graph& g, ValueId v, ValueId x) {
  const Shape& shape = *ShapeOf(g, x);
  const auto channels = shape[1].TryValue();
  if (!channels || *channels < 1 || *channels > kMaxParameters) return std::nullopt;
  if (v == kNoValue) return std::vector<double>(*channels, 1);
  const Tensor* t = g.Constant(v);
  return t ? PerAxis(*t, shape.rank(), 1, *channels) : std::nullopt;
}

// LayerNormalization or InstanceNormalization of the mean's x over its axes, times the scale.
std::optional<ValueId> AddNorm(const Graph& g, const Mean& mean, const Factor& factor,
                               const std::string& name, Patch& patch) {
  const Shape& shape = *ShapeOf(g, mean.x);
  const DType dtype = g.value(mean.x).type.dtype;
  const auto epsilon = static_cast<float>(factor.deviation.epsilon);
  if (AreSpatial(mean.axes, shape.rank())) {
    const auto scale = PerChannel(g, factor.scale, mean.x);
    if (!scale) return std::nullopt;
    const ValueId s = patch.AddConstant(name + "/scale", FloatTensor(dtype, *scale));
    const std::vector<double> zeros(scale->size(), 0);
    const ValueId b = patch.AddConstant(name + "/bias", FloatTensor(dtype, zeros));
    return patch.AddNode(op::kInstanceNormalization, Params::Of(NormParams{epsilon}),
                         {mean.x, s, b}, name);
  }
  if (!AreLast(mean.axes, shape.rank())) return std::nullopt;
  const int axis = mean.axes.front();
  const auto scale = LayerScale(g, mean.x, axis, factor.scale, name, patch);
  if (!scale) return std::nullopt;
  return patch.AddNode(op::kLayerNormalization, Params::Of(LayerNormParams{axis, epsilon}),
                       {mean.x, *scale}, name);
}

bool IsNormalisable(const Graph& g, ValueId x, ValueId y) {
  return SameShape(g, x, y) && IsFoldableFloat(g.value(y).type.dtype);
}

std::optional<Patch> RecogniseLayerNorm(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  for (const Normalised& n : ReadingsOf(g, uses, y)) {
    const auto centred = AsCentred(g, n.u);
    const auto variance = centred ? AsVariance(g, n.factor.deviation.variance) : std::nullopt;
    if (!variance || variance->x != centred->x || variance->axes != centred->axes) continue;
    if (!IsNormalisable(g, centred->x, y)) continue;
    Patch patch(g);
    const auto result = AddNorm(g, *centred, n.factor, node.name, patch);
    if (!result) continue;
    patch.Replace(y, *result);
    return patch;
  }
  return std::nullopt;
}

// x * k + (shift - mean(x) * k) with k = scale / deviation
std::optional<Patch> RecogniseShiftedNorm(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  const auto sum = OperandsOf(g, y, op::kAdd);
  if (!sum) return std::nullopt;
  for (const auto& [p, q] : {std::pair(sum->a, sum->b), std::pair(sum->b, sum->a)}) {
    const auto product = OperandsOf(g, p, op::kMul);
    const auto rest = OperandsOf(g, q, op::kSub);
    const auto centre = rest ? OperandsOf(g, rest->b, op::kMul) : std::nullopt;
    if (!product || !centre || uses.Count(p) != 1 || uses.Count(q) != 1) continue;
    for (const auto& [x, k] :
         {std::pair(product->a, product->b), std::pair(product->b, product->a)}) {
      if (centre->a != k && centre->b != k) continue;
      const auto mean = AsMean(g, centre->a == k ? centre->b : centre->a);
      const auto factor = AsFactor(g, k);
      const auto variance = factor ? AsVariance(g, factor->deviation.variance) : std::nullopt;
      if (!mean || !variance || mean->x != x || variance->x != x || variance->axes != mean->axes)
        continue;
      // The shift becomes an Add of its own, which fold-affine-into-norm looks at.
      if (!g.Constant(rest->a) || !IsNormalisable(g, x, y)) continue;
      Patch patch(g);
      const auto norm = AddNorm(g, *mean, *factor, node.name + "/norm", patch);
      if (!norm) continue;
      patch.Replace(y, patch.AddNode(op::kAdd, node.params, {*norm, rest->a}, node.name));
      return patch;
    }
  }
  return std::nullopt;
}

std::optional<Patch> RecogniseNorm(const Graph& g, const UseIndex& uses, NodeId id) {
  if (g.node(id).Is(op::kAdd)) return RecogniseShiftedNorm(g, uses, id);
  return RecogniseLayerNorm(g, uses, id);
}

std::optional<Patch> RecogniseRmsNorm(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  for (const Normalised& n : ReadingsOf(g, uses, y)) {
    const auto mean = AsMeanSquare(g, n.factor.deviation.variance);
    if (!mean || mean->x != n.u || !IsNormalisable(g, n.u, y)) continue;
    const int rank = ShapeOf(g, n.u)->rank();
    if (!AreLast(mean->axes, rank)) continue;
    const int axis = mean->axes.front();
    Patch patch(g);
    const auto scale = LayerScale(g, n.u, axis, n.factor.scale, node.name, patch);
    if (!scale) continue;
    const LayerNormParams params{axis, static_cast<float>(n.factor.deviation.epsilon)};
    patch.Replace(
        y, patch.AddNode(op::kRMSNormalization, Params::Of(params), {n.u, *scale}, node.name));
    return patch;
  }
  return std::nullopt;
}

// ---- Reshape(InstanceNormalization(Reshape(x) to [N, groups, ...])) to the shape of x

std::optional<Patch> RecogniseGroupNorm(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  const NodeId norm_id = ProducedBy(g, node.inputs[0], op::kInstanceNormalization);
  if (norm_id == kNoNode || uses.Count(node.inputs[0]) != 1) return std::nullopt;
  const Node& norm = g.node(norm_id);
  const auto x = OperandOf(g, norm.inputs[0], op::kReshape);
  if (!x || !IsNormalisable(g, *x, y)) return std::nullopt;
  const Shape &outer = *ShapeOf(g, *x), &inner = *ShapeOf(g, norm.inputs[0]);
  if (outer.rank() < 3 || outer[0] != inner[0]) return std::nullopt;
  const auto channels = outer[1].TryValue(), groups = inner[1].TryValue();
  if (!channels || !groups || *groups < 1 || *channels % *groups != 0) return std::nullopt;
  const Tensor *scale = ConstantInput(g, norm, 1), *bias = ConstantInput(g, norm, 2);
  if (!scale || !bias || *channels > kMaxParameters) return std::nullopt;
  std::vector<double> scales, biases;
  for (int64_t c = 0; c < *channels; ++c) {
    const int64_t group = c / (*channels / *groups);
    scales.push_back(scale->AsDouble(group));
    biases.push_back(bias->AsDouble(group));
  }
  const DType dtype = g.value(y).type.dtype;
  Patch patch(g);
  const ValueId s = patch.AddConstant(norm.name + "/scale", FloatTensor(dtype, scales));
  const ValueId b = patch.AddConstant(norm.name + "/bias", FloatTensor(dtype, biases));
  const GroupNormParams params{*groups, norm.As<NormParams>().epsilon};
  patch.Replace(y,
                patch.AddNode(op::kGroupNormalization, Params::Of(params), {*x, s, b}, norm.name));
  return patch;
}

// ---- exp(x - max(x)) / sum(exp(x - max(x)))

// The one axis along which v is the reduction of x by an operator.
std::optional<int> ReducedAlong(const Graph& g, ValueId v, const OpDef& op, ValueId x) {
  const auto r = AsReduction(g, v);
  if (!r || !r->node->Is(op) || r->node->inputs[0] != x || r->factor != 1 || r->axes.size() != 1)
    return std::nullopt;
  return r->axes[0];
}

std::optional<Patch> RecogniseSoftmax(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  const auto quotient = OperandsOf(g, y, op::kDiv);
  const auto exponent = quotient ? OperandOf(g, quotient->a, op::kExp) : std::nullopt;
  if (!exponent || uses.Count(quotient->b) != 1) return std::nullopt;
  const auto axis = ReducedAlong(g, quotient->b, op::kReduceSum, quotient->a);
  const auto shifted = OperandsOf(g, *exponent, op::kSub);
  if (!axis || !shifted || ReducedAlong(g, shifted->b, op::kReduceMax, shifted->a) != axis ||
      !IsNormalisable(g, shifted->a, y))
    return std::nullopt;
  Patch patch(g);
  patch.Replace(
      y, patch.AddNode(op::kSoftmax, Params::Of(SoftmaxParams{*axis}), {shifted->a}, node.name));
  return patch;
}

// ---- norm(x, scale, bias) * c, norm(x, scale, bias) + c

// f of two constants of the same sizes, or one of which has one element.
std::optional<Tensor> Combine(const Tensor& a, const Tensor& b, double (*f)(double, double)) {
  const bool a_one = a.num_elements() == 1, b_one = b.num_elements() == 1;
  if (a.dims() != b.dims() && !a_one && !b_one) return std::nullopt;
  if (a_one && !b_one)
    return MapElements(b, [&](int64_t, double v) { return f(a.AsDouble(0), v); });
  return MapElements(a, [&](int64_t i, double v) { return f(v, b.AsDouble(b_one ? 0 : i)); });
}

double Product2(double a, double b) { return a * b; }
double Sum2(double a, double b) { return a + b; }

// Scale and bias of the norm with those of the node; the bias may stay absent.
struct Parameters {
  std::optional<Tensor> scale, bias;
};
std::optional<Parameters> Affine(const Node& node, const Tensor& scale, const Tensor* bias,
                                 const Tensor& c) {
  Parameters p;
  if (node.Is(op::kMul)) {
    p.scale = Combine(scale, c, Product2);
    if (!p.scale || !bias) return p.scale ? std::optional(std::move(p)) : std::nullopt;
    p.bias = Combine(*bias, c, Product2);
    return p.bias ? std::optional(std::move(p)) : std::nullopt;
  }
  p.bias = bias ? Combine(*bias, c, Sum2) : c;
  return p.bias ? std::optional(std::move(p)) : std::nullopt;
}

std::optional<Patch> FoldAffineIntoNorm(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  if (!IsPlain(node)) return std::nullopt;
  for (int i : {0, 1}) {
    const ValueId x = node.inputs[i];
    const NodeId producer = g.value(x).producer;
    const Tensor* c = ConstantInput(g, node, 1 - i);
    if (!c || producer == kNoNode || uses.Count(x) != 1 || !IsNormalisable(g, x, node.outputs[0]))
      continue;
    const Node& norm = g.node(producer);
    const bool layer = norm.Is(op::kLayerNormalization), rms = norm.Is(op::kRMSNormalization);
    const bool channels = norm.Is(op::kInstanceNormalization) || norm.Is(op::kGroupNormalization);
    if (!layer && !channels && !(rms && node.Is(op::kMul))) continue;
    const Tensor *scale = ConstantInput(g, norm, 1), *bias = ConstantInput(g, norm, 2);
    if (!scale || (norm.HasInput(2) && !bias)) continue;
    const Shape& shape = *ShapeOf(g, x);
    std::optional<Tensor> operand;
    if (channels) {
      const auto values = PerAxis(*c, shape.rank(), 1, scale->num_elements());
      if (values) operand = FloatTensor(c->dtype(), *values);
    } else {
      const auto axis = NormalizeAxis(norm.As<LayerNormParams>().axis, shape.rank());
      if (axis.has_value()) operand = AlongLast(*c, shape.rank() - *axis);
    }
    if (!operand) continue;
    std::optional<Parameters> p = Affine(node, *scale, bias, *operand);
    if (!p) continue;
    Patch patch(g);
    std::vector<ValueId> inputs = norm.inputs;
    const std::string& name = norm.name;
    if (p->scale) inputs[1] = patch.AddConstant(name + "/scale", *std::move(p->scale));
    if (p->bias) {
      inputs.resize(3, kNoValue);
      inputs[2] = patch.AddConstant(name + "/bias", *std::move(p->bias));
    }
    patch.Replace(node.outputs[0],
                  patch.AddNode(*norm.op, norm.params, std::move(inputs), norm.name));
    return patch;
  }
  return std::nullopt;
}

constexpr const OpDef* kNormRoots[] = {&op::kMul, &op::kDiv, &op::kAdd};
constexpr const OpDef* kProducts[] = {&op::kMul, &op::kDiv};
constexpr const OpDef* kReshapes[] = {&op::kReshape};
constexpr const OpDef* kQuotients[] = {&op::kDiv};
constexpr const OpDef* kAffine[] = {&op::kMul, &op::kAdd};

}  // namespace

constinit const Rule kRecogniseNorm = {
    "recognise-norm",
    "(x - mean(x)) / sqrt(variance(x) + epsilon) * scale over the last axes -> "
    "LayerNormalization(x), over all spatial axes -> InstanceNormalization(x)",
    kNormRoots, RecogniseNorm};
constinit const Rule kRecogniseRmsNorm = {
    "recognise-rms-norm",
    "x / sqrt(mean(x^2) + epsilon) * scale over the last axes -> RMSNormalization(x)", kProducts,
    RecogniseRmsNorm};
constinit const Rule kRecogniseGroupNorm = {
    "recognise-group-norm",
    "InstanceNormalization of x reshaped to [N, groups, ...], reshaped back -> "
    "GroupNormalization(x)",
    kReshapes, RecogniseGroupNorm};
constinit const Rule kRecogniseSoftmax = {
    "recognise-softmax", "exp(x - max(x)) / sum(exp(x - max(x))) along an axis -> Softmax(x)",
    kQuotients, RecogniseSoftmax};
constinit const Rule kFoldAffineIntoNorm = {
    "fold-affine-into-norm",
    "Mul, Add by constants of LayerNormalization(x, s, b), Instance-, Group- and RMSNormalization "
    "-> the same with s', b'",
    kAffine, FoldAffineIntoNorm};

}  // namespace sula::rules
