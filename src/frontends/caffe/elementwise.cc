// Layers that work element by element.
#include "ops/elementwise.h"

#include <cmath>

#include "frontends/caffe/broadcast.h"
#include "frontends/caffe/layer_import.h"

namespace sula::caffe {
namespace {

template <const OpDef& kOp>
void Unary(LayerImport& n) {
  n.Emit(kOp, NoParams{}, {n.Bottom()});
}

void Relu(LayerImport& n) {
  const float slope = n.layer().relu_param().negative_slope();
  if (slope == 0) return n.Emit(op::kRelu, NoParams{}, {n.Bottom()});
  n.Emit(op::kLeakyRelu, AlphaParams{.alpha = slope}, {n.Bottom()});
}

void Clamp(LayerImport& n, double least, double most) {
  n.Emit(op::kClip, NoParams{}, {n.Bottom(), n.Scalar(least, "min"), n.Scalar(most, "max")});
}
void Relu6(LayerImport& n) { Clamp(n, 0, 6); }
void Clip(LayerImport& n) {
  const ClipParameter& c = n.layer().clip_param();
  if (!c.has_min() || !c.has_max()) return n.Fail(InvalidModel("min or max is missing"));
  Clamp(n, c.min(), c.max());
}

void Elu(LayerImport& n) {
  n.Emit(op::kElu, AlphaParams{.alpha = n.layer().elu_param().alpha()}, {n.Bottom()});
}

void Swish(LayerImport& n) {
  n.Emit(op::kSwish, AlphaParams{.alpha = n.layer().swish_param().beta()}, {n.Bottom()});
}

// One slope, or one for each channel.
void PRelu(LayerImport& n) {
  n.CheckRank(n.Bottom(), 2);
  if (!n.ok()) return;
  const Dim channels = n.Sizes(n.Bottom())[1];
  const bool shared = n.layer().prelu_param().channel_shared();
  const Tensor slopes =
      n.Blob(0, shared ? Dims{} : Dims{channels.TryValue().value_or(-1)}, "slopes");
  const ValueId along = AlongAxes(n, slopes, n.Rank(n.Bottom()), 1, "slopes");
  if (n.ok()) n.Emit(op::kPRelu, NoParams{}, {n.Bottom(), along});
}

// scale * x + shift, each step only where it does something.
ValueId Linear(LayerImport& n, ValueId x, float scale, float shift) {
  if (scale != 1) x = n.Add(op::kMul, BinaryParams{}, {x, n.Scalar(scale, "scale")}, "scaled");
  if (shift != 0) x = n.Add(op::kAdd, BinaryParams{}, {x, n.Scalar(shift, "shift")}, "shifted");
  return x;
}

// (shift + scale * x)^power
void Power(LayerImport& n) {
  const PowerParameter& c = n.layer().power_param();
  if (c.power() != 1) {
    const ValueId base = Linear(n, n.Bottom(), c.scale(), c.shift());
    return n.Emit(op::kPow, NoParams{}, {base, n.Scalar(c.power(), "power")});
  }
  if (c.shift() == 0)
    return n.Emit(op::kMul, BinaryParams{}, {n.Bottom(), n.Scalar(c.scale(), "scale")});
  const ValueId scaled = Linear(n, n.Bottom(), c.scale(), 0);
  n.Emit(op::kAdd, BinaryParams{}, {scaled, n.Scalar(c.shift(), "shift")});
}

// base^(shift + scale * x), the base -1 standing for e.
void Exp(LayerImport& n) {
  const ExpParameter& c = n.layer().exp_param();
  if (c.base() != -1 && !(c.base() > 0))
    return n.Fail(InvalidModel("base is ", c.base(), ", expected a positive number or -1"));
  const double log_base = c.base() == -1 ? 1 : std::log(static_cast<double>(c.base()));
  const double inner = log_base * c.scale(), outer = std::exp(log_base * c.shift());
  ValueId x = n.Bottom();
  if (inner != 1) x = n.Add(op::kMul, BinaryParams{}, {x, n.Scalar(inner, "scale")}, "scaled");
  if (outer == 1) return n.Emit(op::kExp, NoParams{}, {x});
  const ValueId power = n.Add(op::kExp, NoParams{}, {x}, "power");
  n.Emit(op::kMul, BinaryParams{}, {power, n.Scalar(outer, "factor")});
}

// log_base(shift + scale * x)
void Log(LayerImport& n) {
  const LogParameter& c = n.layer().log_param();
  if (c.base() != -1 && !(c.base() > 0))
    return n.Fail(InvalidModel("base is ", c.base(), ", expected a positive number or -1"));
  const ValueId x = Linear(n, n.Bottom(), c.scale(), c.shift());
  if (c.base() == -1) return n.Emit(op::kLog, NoParams{}, {x});
  const ValueId natural = n.Add(op::kLog, NoParams{}, {x}, "natural");
  const double factor = 1 / std::log(static_cast<double>(c.base()));
  n.Emit(op::kMul, BinaryParams{}, {natural, n.Scalar(factor, "factor")});
}

// 1 where x is greater than the threshold, else 0.
void Threshold(LayerImport& n) {
  const ValueId limit = n.Scalar(n.layer().threshold_param().threshold(), "threshold");
  const ValueId above = n.Add(op::kGreater, NoParams{}, {n.Bottom(), limit}, "above");
  n.Emit(op::kCast, CastParams{.to = DType::kFloat32}, {above});
}

// Applies `op` to all terms, from the left.
template <class P>
void Chain(LayerImport& n, const OpDef& op, P params, const std::vector<ValueId>& terms) {
  ValueId sum = terms[0];
  for (size_t i = 1; i + 1 < terms.size(); ++i)
    sum = n.Add(op, params, {sum, terms[i]}, StrCat("partial", i));
  n.Emit(op, params, {sum, terms.back()});
}

void Eltwise(LayerImport& n) {
  const EltwiseParameter& c = n.layer().eltwise_param();
  const int count = n.num_bottoms();
  for (int i = 1; i < count; ++i)
    if (n.Sizes(n.Bottom(i)) != n.Sizes(n.Bottom(0)))
      return n.Fail(InvalidModel("bottoms of different shapes: '", n.layer().bottom(0), "' ",
                                 n.Sizes(n.Bottom(0)).ToString(), ", '", n.layer().bottom(i), "' ",
                                 n.Sizes(n.Bottom(i)).ToString()));
  if (c.coeff_size() > 0 && (c.coeff_size() != count || c.operation() != EltwiseParameter::SUM))
    return n.Fail(InvalidModel(c.coeff_size(), " coefficients for ", count,
                               " bottoms; SUM takes one for each, other operations none"));
  if (c.operation() == EltwiseParameter::PROD)
    return Chain(n, op::kMul, BinaryParams{}, n.bottoms());
  if (c.operation() == EltwiseParameter::MAX) return Chain(n, op::kMax, NoParams{}, n.bottoms());
  if (count == 2 && c.coeff_size() == 2 && c.coeff(0) == 1 && c.coeff(1) == -1)
    return n.Emit(op::kSub, BinaryParams{}, n.bottoms());
  std::vector<ValueId> terms = n.bottoms();
  for (int i = 0; i < c.coeff_size(); ++i) {
    if (c.coeff(i) == 1) continue;
    const ValueId coeff = n.Scalar(c.coeff(i), StrCat("coeff", i));
    terms[i] = n.Add(op::kMul, BinaryParams{}, {terms[i], coeff}, StrCat("term", i));
  }
  Chain(n, op::kAdd, BinaryParams{}, terms);
}

// a * x + y, with a factor a for each channel of each batch element.
void Axpy(LayerImport& n) {
  const Shape a = n.Sizes(n.Bottom(0)), x = n.Sizes(n.Bottom(1));
  n.CheckRank(n.Bottom(1), 2);
  if (!n.ok()) return;
  std::vector<Dim> factor(x.rank(), 1);
  factor[0] = x[0];
  factor[1] = x[1];
  if (a.NumElements() != x[0] * x[1])
    return n.Fail(
        InvalidModel("factors of shape ", a.ToString(), " for a bottom of shape ", x.ToString()));
  const ValueId wide = n.Reshape(n.Bottom(0), Shape(std::move(factor)), "factor");
  const ValueId product = n.Add(op::kMul, BinaryParams{}, {n.Bottom(1), wide}, "product");
  n.Emit(op::kAdd, BinaryParams{}, {product, n.Bottom(2)});
}

// y = x o operand, the operand lying along the axes of x from `axis` on: the second bottom, or a
// blob over `num_axes` axes (-1: all that remain). Then for Scale, + bias of the same shape.
struct Affine {
  const OpDef& op;
  const char* what;
  int64_t axis, num_axes;
  bool bias;
};

void ApplyAffine(LayerImport& n, const Affine& a) {
  const ValueId x = n.Bottom();
  const Shape shape = n.Sizes(x);
  const bool learned = n.num_bottoms() == 1;
  const int64_t given_axes = learned ? a.num_axes : n.Rank(n.Bottom(1));
  // A scalar goes with any axis.
  const int begin = given_axes == 0 ? 0 : n.Axis(a.axis, shape.rank());
  const int64_t end = given_axes == -1 ? shape.rank() : begin + given_axes;
  if (!n.ok()) return;
  if (given_axes < -1 || end > shape.rank())
    return n.Fail(InvalidModel("axis ", a.axis, " and ", given_axes,
                               " axes lie outside of the bottom's shape ", shape.ToString()));
  auto blob = [&](int i, const char* what) {
    Dims dims;
    for (int64_t k = begin; k < end; ++k) dims.push_back(shape[k].TryValue().value_or(-1));
    return AlongAxes(n, n.Blob(i, std::move(dims), what), shape.rank(), begin, what);
  };
  const ValueId operand =
      learned ? blob(0, a.what) : AlongAxes(n, n.Bottom(1), shape.rank(), begin, a.what);
  if (!n.ok()) return;
  if (!a.bias) return n.Emit(a.op, BinaryParams{}, {x, operand});
  const ValueId scaled = n.Add(a.op, BinaryParams{}, {x, operand}, "scaled");
  const ValueId bias = blob(learned ? 1 : 0, "bias");
  if (n.ok()) n.Emit(op::kAdd, BinaryParams{}, {scaled, bias});
}

void Scale(LayerImport& n) {
  const ScaleParameter& c = n.layer().scale_param();
  ApplyAffine(n, {op::kMul, "scale", c.axis(), c.num_axes(), c.bias_term()});
}
void Bias(LayerImport& n) {
  const BiasParameter& c = n.layer().bias_param();
  ApplyAffine(n, {op::kAdd, "bias", c.axis(), c.num_axes(), false});
}

constexpr LayerHandler kHandlers[] = {
    {"AbsVal", Unary<op::kAbs>},
    {"Axpy", Axpy, 3, 3},
    {"BNLL", Unary<op::kSoftplus>},
    {"Bias", Bias, 1, 2},
    {"Clip", Clip},
    {"ELU", Elu},
    {"Eltwise", Eltwise, 2, kAny},
    {"Exp", Exp},
    {"Log", Log},
    {"PReLU", PRelu, 1, 1, 1, 1, true},
    {"Power", Power},
    {"ReLU", Relu},
    {"ReLU6", Relu6},
    {"Scale", Scale, 1, 2},
    {"Sigmoid", Unary<op::kSigmoid>},
    {"Swish", Swish},
    {"TanH", Unary<op::kTanh>},
    {"Threshold", Threshold},
};

}  // namespace

std::span<const LayerHandler> ElementwiseHandlers() { return kHandlers; }

}  // namespace sula::caffe
