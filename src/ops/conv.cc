#include "ops/conv.h"

#include <algorithm>
#include <tuple>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"
#include "ops/window.h"

namespace sula {
namespace {

// Ranks, groups and channels; w's first two sizes are given by what they mean.
Status CheckOperands(const Shape& x, const Shape& w, int64_t group) {
  if (x.rank() < 3 || x.rank() != w.rank())
    return InvalidModel("x has shape ", x.ToString(), " and w has shape ", w.ToString(),
                        "; expected the same rank, at least 3");
  if (group < 1 || group > kMaxWindowSize)
    return InvalidModel("group is ", group, ", expected at least 1");
  RETURN_IF_ERROR(CheckWindowSize(x[1], "the number of channels"));
  RETURN_IF_ERROR(CheckWindowSize(w[0], "w's first size"));
  return CheckWindowSize(w[1], "w's second size");
}

Status DoNotFit(const Shape& x, const Shape& w, int64_t group) {
  return InvalidModel("x of shape ", x.ToString(), " and w of shape ", w.ToString(),
                      " don't fit with group ", group);
}

bool MayDivide(const Dim& d, int64_t divisor) { return !d.is_const() || d.value() % divisor == 0; }

// The parts of a geometry that follow from the resolved output shape.
template <class P>
Result<ConvGeometry> ToGeometry(const P& p, std::span<const int64_t> x, std::span<const int64_t> w,
                                const Shape& y) {
  ConvGeometry g;
  g.batch = x[0];
  g.in_channels = x[1];
  g.out_channels = y[1].value();
  g.group = p.group;
  g.spatial = y.rank() - 2;
  g.in.assign(x.begin() + 2, x.end());
  g.kernel.assign(w.begin() + 2, w.end());
  for (int i = 0; i < g.spatial; ++i) g.out.push_back(y[i + 2].value());
  ASSIGN_OR_RETURN(const std::vector<WindowAxis> axes,
                   ResolveAxes(p.strides, p.dilations, p.pads, p.auto_pad, g.spatial));
  for (const WindowAxis& axis : axes) {
    g.stride.push_back(axis.stride);
    g.dilation.push_back(axis.dilation);
    g.pad_begin.push_back(axis.pad_begin);
    g.pad_end.push_back(axis.pad_end);
  }
  return g;
}

void AccumulatePlanes(const ConvGeometry& g, bool transposed, std::span<const double> x,
                      std::span<const double> w, PlaneSink done) {
  const WindowWalk walk(g, transposed);
  const int64_t in_size = transposed ? walk.small_count() : walk.big_count();
  const int64_t out_size = transposed ? walk.big_count() : walk.small_count();
  const int64_t taps = walk.taps(), stride = walk.stride[2];
  const int64_t group_in = g.in_channels / g.group, group_out = g.out_channels / g.group;
  std::vector<double> sums(out_size);
  double* y = sums.data();
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t m = 0; m < g.out_channels; ++m) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t i = 0; i < group_in; ++i) {
        const int64_t c = m / group_out * group_in + i;
        const double* plane = x.data() + (n * g.in_channels + c) * in_size;
        const double* filter =
            w.data() + taps * (transposed ? c * group_out + m % group_out : m * group_in + i);
        for (int64_t tap = 0; tap < taps; ++tap) {
          const double weight = filter[tap];
          walk.ForEachRow(tap, [&](int64_t small, int64_t big, int64_t count) {
            if (transposed) {
              for (int64_t j = 0; j < count; ++j) y[big + j * stride] += weight * plane[small + j];
            } else {
              for (int64_t j = 0; j < count; ++j) y[small + j] += weight * plane[big + j * stride];
            }
          });
        }
      }
      done(n * g.out_channels + m, sums);
    }
  }
}

Status Infer(InferContext& ctx, Result<Shape> shape) {
  ASSIGN_OR_RETURN(const Shape y, std::move(shape));
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1, 2, 3}));
  RETURN_IF_ERROR(CheckVector(ctx, 2, "bias", y[1]));
  if (ctx.HasInput(3) && ctx.input(3).shape && !MayEqual(*ctx.input(3).shape, y))
    return InvalidModel("residual has shape ", ctx.input(3).shape->ToString(),
                        " but the result has shape ", y.ToString());
  ctx.SetOutput(0, {ctx.InputType(0), y});
  return {};
}

Status InferConvNode(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape w, ctx.InputShape(1));
  return Infer(ctx, InferConv(ctx.params<ConvParams>(), x, w));
}

Status InferConvTransposeNode(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape w, ctx.InputShape(1));
  return Infer(ctx, InferConvTranspose(ctx.params<ConvTransposeParams>(), x, w));
}

// y = act(sums + bias + residual), where `run(x, w, sink)` makes the sums.
Status Evaluate(EvalContext& ctx, const ConvGeometry& g, const Activation& activation,
                decltype(Convolve)& convolve) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const std::vector<double> x = LoadAs<double>(ctx.input(0));
  const std::vector<double> w = LoadAs<double>(ctx.input(1));
  std::vector<double> bias, residual;
  if (ctx.HasInput(2)) bias = LoadAs<double>(ctx.input(2));
  if (ctx.HasInput(3)) residual = LoadAs<double>(ctx.input(3));
  convolve(g, x, w, [&](int64_t plane, std::span<double> sums) {
    const int64_t size = static_cast<int64_t>(sums.size());
    const double b = bias.empty() ? 0 : bias[plane % g.out_channels];
    const double* r = residual.empty() ? nullptr : residual.data() + plane * size;
    for (int64_t i = 0; i < size; ++i) sums[i] = Apply(activation, sums[i] + b + (r ? r[i] : 0));
    StoreAs<double>(sums, *y, plane * size);
  });
  return {};
}

Status EvaluateConv(EvalContext& ctx) {
  const auto& p = ctx.params<ConvParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g, ResolveConv(p, ctx.input(0).dims(), ctx.input(1).dims()));
  return Evaluate(ctx, g, p.Fused(), Convolve);
}

Status EvaluateConvTranspose(EvalContext& ctx) {
  const auto& p = ctx.params<ConvTransposeParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g,
                   ResolveConvTranspose(p, ctx.input(0).dims(), ctx.input(1).dims()));
  return Evaluate(ctx, g, p.Fused(), ConvolveTransposed);
}

// Every element of the output meets every weight of one of w's slices; transposed, every element
// of the input does.
Cost CostOfConv(const Node&, std::span<const TensorType> inputs,
                std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 2 * Elements(outputs[0]) * SliceElements(inputs[1]));
}

Cost CostOfConvTranspose(const Node&, std::span<const TensorType> inputs,
                         std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 2 * Elements(inputs[0]) * SliceElements(inputs[1]));
}

using TP = ConvTransposeParams;
constexpr Field kConvTransposeFields[] = {
    MakeField<&TP::strides>("strides", "per spatial axis; default 1"),
    MakeField<&TP::dilations>("dilations", "per spatial axis; default 1"),
    MakeField<&TP::pads>("pads", "begins of all spatial axes, then ends; default 0"),
    MakeField<&TP::output_padding>("output_padding", "extra size at the end, per spatial axis"),
    MakeField<&TP::output_shape>("output_shape", "spatial sizes; if given, pads follow from it"),
    MakeField<&TP::auto_pad>("auto_pad", "how padding is given: by pads, or computed"),
    MakeField<&TP::group>("group", "number of groups that the channels form"),
    kActivationFields<TP>[0],
    kActivationFields<TP>[1],
    kActivationFields<TP>[2],
};

constexpr Port kConvInputs[] = {
    {"x", "[N, C, spatial...]", kFloats},
    {"w", "[M, C/group, kernel...]", kFloats},
    {"bias", "[M]", kFloats, Arity::kOptional},
    {"residual", "of the output's shape, added before the activation", kFloats, Arity::kOptional},
};
constexpr Port kConvTransposeInputs[] = {
    {"x", "[N, C, spatial...]", kFloats},
    {"w", "[C, M/group, kernel...]", kFloats},
    {"bias", "[M]", kFloats, Arity::kOptional},
};
constexpr Port kOutputs[] = {{"y", "[N, M, spatial...]", kFloats}};

}  // namespace

Result<Shape> InferConv(const ConvParams& p, const Shape& x, const Shape& w) {
  RETURN_IF_ERROR(CheckOperands(x, w, p.group));
  if (!MayEqual(x[1], w[1] * p.group) || !MayDivide(w[0], p.group)) return DoNotFit(x, w, p.group);
  ASSIGN_OR_RETURN(const std::vector<WindowAxis> axes,
                   ResolveAxes(p.strides, p.dilations, p.pads, p.auto_pad, x.rank() - 2));
  std::vector<Dim> y = {x[0], w[0]};
  for (int i = 2; i < x.rank(); ++i) {
    ASSIGN_OR_RETURN(Dim count, WindowCount(axes[i - 2], x[i], w[i], p.auto_pad, false));
    y.push_back(std::move(count));
  }
  return Shape(std::move(y));
}

Result<Shape> InferConvTranspose(const ConvTransposeParams& p, const Shape& x, const Shape& w) {
  RETURN_IF_ERROR(CheckOperands(x, w, p.group));
  if (!MayEqual(x[1], w[0]) || !MayDivide(x[1], p.group)) return DoNotFit(x, w, p.group);
  const int spatial = x.rank() - 2;
  ASSIGN_OR_RETURN(const std::vector<WindowAxis> axes,
                   ResolveAxes(p.strides, p.dilations, p.pads, p.auto_pad, spatial));
  RETURN_IF_ERROR(CheckAxisList("output_padding", p.output_padding, spatial, 0));
  RETURN_IF_ERROR(CheckAxisList("output_shape", p.output_shape, spatial, 1));
  const bool same = p.auto_pad == AutoPad::kSameUpper || p.auto_pad == AutoPad::kSameLower;
  std::vector<Dim> y = {x[0], w[1] * p.group};
  for (int i = 0; i < spatial; ++i) {
    const WindowAxis& axis = axes[i];
    const Dim &in = x[i + 2], &kernel = w[i + 2];
    RETURN_IF_ERROR(CheckWindowSize(in, "an input size"));
    RETURN_IF_ERROR(CheckWindowSize(kernel, "a kernel size"));
    Dim out;
    if (!p.output_shape.empty()) {
      out = p.output_shape[i];
    } else if (same) {
      out = in * axis.stride;
    } else {
      const int64_t extra = p.output_padding.empty() ? 0 : p.output_padding[i];
      out = (in - 1) * axis.stride + WindowExtent(axis, kernel) +
            (extra - axis.pad_begin - axis.pad_end);
    }
    if (out.is_const() && (out.value() < 1 || out.value() > kMaxWindowSize))
      return InvalidModel("x of shape ", x.ToString(), " and w of shape ", w.ToString(),
                          " give an output of size ", out.value(), " on spatial axis ", i);
    y.push_back(std::move(out));
  }
  return Shape(std::move(y));
}

Result<ConvGeometry> ResolveConv(const ConvParams& p, std::span<const int64_t> x,
                                 std::span<const int64_t> w) {
  ASSIGN_OR_RETURN(const Shape y, InferConv(p, Shape::Of(x), Shape::Of(w)));
  ASSIGN_OR_RETURN(ConvGeometry g, ToGeometry(p, x, w, y));
  for (int i = 0; i < g.spatial; ++i) {
    const WindowAxis axis =
        ResolvePadding({g.stride[i], g.dilation[i], g.pad_begin[i], g.pad_end[i]}, g.in[i],
                       g.kernel[i], g.out[i], p.auto_pad);
    g.pad_begin[i] = axis.pad_begin;
    g.pad_end[i] = axis.pad_end;
  }
  return g;
}

Result<ConvGeometry> ResolveConvTranspose(const ConvTransposeParams& p, std::span<const int64_t> x,
                                          std::span<const int64_t> w) {
  ASSIGN_OR_RETURN(const Shape y, InferConvTranspose(p, Shape::Of(x), Shape::Of(w)));
  ASSIGN_OR_RETURN(ConvGeometry g, ToGeometry(p, x, w, y));
  const bool same = p.auto_pad == AutoPad::kSameUpper || p.auto_pad == AutoPad::kSameLower;
  if (p.output_shape.empty() && !same) return g;
  for (int i = 0; i < g.spatial; ++i) {
    const int64_t extra = p.output_padding.empty() ? 0 : p.output_padding[i];
    const int64_t full =
        (g.in[i] - 1) * g.stride[i] + extra + (g.kernel[i] - 1) * g.dilation[i] + 1;
    std::tie(g.pad_begin[i], g.pad_end[i]) =
        SplitPadding(std::max<int64_t>(full - g.out[i], 0), p.auto_pad == AutoPad::kSameUpper);
  }
  return g;
}

void Convolve(const ConvGeometry& g, std::span<const double> x, std::span<const double> w,
              PlaneSink done) {
  AccumulatePlanes(g, false, x, w, done);
}

void ConvolveTransposed(const ConvGeometry& g, std::span<const double> x, std::span<const double> w,
                        PlaneSink done) {
  AccumulatePlanes(g, true, x, w, done);
}

namespace op {

constinit const OpDef kConv = {
    .name = "Conv",
    .summary = "Convolution over 1 to 3 spatial axes: y = act(conv(x, w) + bias + residual).",
    .inputs = kConvInputs,
    .outputs = kOutputs,
    .fields = kConvFields,
    .default_params = DefaultParams<ConvParams>,
    .build_params = BuildParams<ConvParams>,
    .infer = InferConvNode,
    .evaluate = EvaluateConv,
    .cost = CostOfConv,
};

constinit const OpDef kConvTranspose = {
    .name = "ConvTranspose",
    .summary =
        "Transposed convolution over 1 to 3 spatial axes (the gradient of Conv with respect "
        "to x): y = act(convT(x, w) + bias).",
    .inputs = kConvTransposeInputs,
    .outputs = kOutputs,
    .fields = kConvTransposeFields,
    .default_params = DefaultParams<ConvTransposeParams>,
    .build_params = BuildParams<ConvTransposeParams>,
    .infer = InferConvTransposeNode,
    .evaluate = EvaluateConvTranspose,
    .cost = CostOfConvTranspose,
};

}  // namespace op
}  // namespace sula
