#include "ops/resize.h"

#include <algorithm>
#include <cmath>

#include "ir/graph.h"
#include "ops/cost.h"
#include "ops/numbers.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;

enum Input { kX, kRoi, kScales, kSizes };

Result<std::vector<int>> Axes(const ResizeParams& p, int rank) {
  std::vector<int> axes;
  if (p.axes.empty()) {
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  }
  for (int64_t a : p.axes) {
    ASSIGN_OR_RETURN(const int axis, NormalizeAxis(a, rank));
    if (std::find(axes.begin(), axes.end(), axis) != axes.end())
      return InvalidModel("axis ", a, " is given twice");
    axes.push_back(axis);
  }
  return axes;
}

Status CheckCount(std::string_view name, int64_t count, int64_t expected) {
  if (count == expected) return {};
  return InvalidModel(name, " has ", count, " elements, expected ", expected);
}

// Of a size known to be rounded as in the ONNX definition: floor(in * scale) in single precision.
Result<int64_t> ScaledSize(int64_t in, float scale) {
  if (!(scale > 0) || !std::isfinite(scale))
    return InvalidModel("a scale is ", scale, ", expected a positive number");
  const float size = std::floor(static_cast<float>(in) * scale);
  if (size > static_cast<float>(kMaxSize))
    return InvalidModel("size ", in, " times scale ", scale, " is more than ", kMaxSize);
  return static_cast<int64_t>(size);
}

// The same for a symbolic size, if the scale is a fraction m / 2^k that is exact in the product.
Result<Dim> ScaledSize(const Dim& in, float scale, InferContext& ctx) {
  if (in.is_const()) {
    ASSIGN_OR_RETURN(const int64_t size, ScaledSize(in.value(), scale));
    return Dim(size);
  }
  RETURN_IF_ERROR(ScaledSize(1, scale).status());
  int64_t divisor = 1;
  while (divisor < 256 &&
         scale * static_cast<float>(divisor) != std::floor(scale * static_cast<float>(divisor)))
    divisor *= 2;
  const float numerator = scale * static_cast<float>(divisor);
  if (numerator != std::floor(numerator) || numerator > 256) return ctx.FreshSymbol();
  return FloorDiv(in * static_cast<int64_t>(numerator), divisor);
}

// Whether input i is given; a tensor without elements is not.
bool IsGiven(const InferContext& ctx, int i) { return ctx.HasInput(i) && KnownLength(ctx, i) != 0; }

Status CheckGiven(bool scales, bool sizes) {
  if (scales != sizes) return {};
  return InvalidModel(
      scales ? "both scales and sizes are given" : "neither scales nor sizes is given",
      "; expected one of them");
}

Result<Dim> OutputSize(InferContext& ctx, const Dim& in, size_t i,
                       const std::optional<std::vector<Dim>>& sizes, const Tensor* scales) {
  const auto& p = ctx.params<ResizeParams>();
  if (sizes && p.policy == AspectPolicy::kStretch) return (*sizes)[i];
  if (scales) return ScaledSize(in, scales->data<float>()[i], ctx);
  return ctx.FreshSymbol();
}

Status InferSymbolic(InferContext& ctx, const Shape& x, bool by_sizes) {
  const auto& p = ctx.params<ResizeParams>();
  ASSIGN_OR_RETURN(const std::vector<int> axes, Axes(p, x.rank()));
  const int64_t count = static_cast<int64_t>(axes.size());
  const Input source = by_sizes ? kSizes : kScales;
  RETURN_IF_ERROR(
      CheckCount(by_sizes ? "sizes" : "scales", KnownLength(ctx, source).value_or(count), count));
  const std::optional<std::vector<Dim>> sizes = by_sizes ? KnownInts(ctx, kSizes) : std::nullopt;
  if (sizes) RETURN_IF_ERROR(CheckCount("sizes", sizes->size(), count));
  const Tensor* scales = by_sizes ? nullptr : ctx.InputConstant(kScales);
  Shape y = x;
  for (size_t i = 0; i < axes.size(); ++i) {
    ASSIGN_OR_RETURN(y[axes[i]], OutputSize(ctx, x[axes[i]], i, sizes, scales));
  }
  ctx.SetOutput(0, {ctx.InputType(kX), y});
  return {};
}

Dims OutputDims(Dims dims, const std::vector<ResizeAxis>& axes) {
  for (const ResizeAxis& a : axes) dims[a.axis] = a.out;
  return dims;
}

Status Infer(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(kX));
  const bool by_scales = IsGiven(ctx, kScales), by_sizes = IsGiven(ctx, kSizes);
  RETURN_IF_ERROR(CheckGiven(by_scales, by_sizes));
  const Tensor* source = ctx.InputConstant(by_sizes ? kSizes : kScales);
  if (!source || !x.IsConcrete()) return InferSymbolic(ctx, x, by_sizes);
  const Dims dims = x.Concrete();
  // The region does not change the output's size.
  ASSIGN_OR_RETURN(
      const std::vector<ResizeAxis> axes,
      by_sizes ? ResolveResize(ctx.params<ResizeParams>(), dims, {}, source->data<int64_t>(), {})
               : ResolveResize(ctx.params<ResizeParams>(), dims, source->data<float>(), {}, {}));
  ctx.SetOutput(0, {ctx.InputType(kX), Shape::Of(OutputDims(dims, axes))});
  return {};
}

// Where output element i lies along the axis, in elements of the input.
double Coordinate(CoordinateMode mode, const ResizeAxis& a, int64_t i) {
  const double x = static_cast<double>(i), in = static_cast<double>(a.in);
  const double half_pixel = (x + 0.5) / a.scale - 0.5;
  switch (mode) {
    case CoordinateMode::kHalfPixel: return half_pixel;
    case CoordinateMode::kHalfPixelSymmetric:
      return half_pixel + in / 2 * (1 - static_cast<double>(a.out) / a.width);
    case CoordinateMode::kPytorchHalfPixel: return a.out > 1 ? half_pixel : 0;
    case CoordinateMode::kAlignCorners: return a.width == 1 ? 0 : x * (in - 1) / (a.width - 1);
    case CoordinateMode::kAsymmetric: return x / a.scale;
    case CoordinateMode::kTfCropAndResize:
      if (a.width == 1) return (a.roi_begin + a.roi_end) / 2 * (in - 1);
      return (in - 1) * (a.roi_begin + x * (a.roi_end - a.roi_begin) / (a.width - 1));
  }
  return 0;
}

double Nearest(NearestMode mode, double x) {
  switch (mode) {
    case NearestMode::kRoundPreferFloor: return std::ceil(x - 0.5);
    case NearestMode::kRoundPreferCeil: return std::floor(x + 0.5);
    case NearestMode::kFloor: return std::floor(x);
    case NearestMode::kCeil: return std::ceil(x);
  }
  return x;
}

// Appends the taps of one output element at coordinate x.
void AppendTaps(const ResizeParams& p, const ResizeAxis& a, double x, ResizeTaps& taps) {
  const double last = static_cast<double>(a.in - 1);
  const auto clamp = [&](double i) { return static_cast<int64_t>(std::clamp(i, 0.0, last)); };
  if (p.mode == ResizeMode::kNearest) {
    taps.index.push_back(clamp(Nearest(p.nearest, x)));
    taps.weight.push_back(1);
    return;
  }
  const bool cubic = p.mode == ResizeMode::kCubic;
  const double stretch = p.antialias ? std::min(a.scale, 1.0) : 1;
  const double reach = (cubic ? 2 : 1) / stretch;
  const size_t first_tap = taps.weight.size();
  double sum = 0;
  for (double i = std::floor(x - reach) + 1; i < x + reach; ++i) {
    if (p.exclude_outside && (i < 0 || i > last)) continue;
    const double t = std::abs(i - x) * stretch;
    const double weight = cubic ? CubicKernel(t, p.cubic_a) : 1 - t;
    taps.index.push_back(clamp(i));
    taps.weight.push_back(weight);
    sum += weight;
  }
  if ((p.antialias || p.exclude_outside) && sum != 0)
    for (size_t t = first_tap; t < taps.weight.size(); ++t) taps.weight[t] /= sum;
}

// values with axis `a` resampled; `dims` are its sizes before.
std::vector<double> Resample(const ResizeParams& p, const ResizeAxis& a, const Dims& dims,
                             const std::vector<double>& values) {
  const ResizeTaps taps = MakeResizeTaps(p, a);
  const int64_t outer = NumElements(std::span(dims).first(a.axis));
  const int64_t inner = NumElements(std::span(dims).subspan(a.axis + 1));
  std::vector<double> result(outer * a.out * inner);
  double* dst = result.data();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < a.out; ++i, dst += inner) {
      if (taps.begin[i] == taps.begin[i + 1]) std::fill(dst, dst + inner, p.extrapolation);
      for (int64_t t = taps.begin[i]; t < taps.begin[i + 1]; ++t) {
        const double* src = values.data() + (o * a.in + taps.index[t]) * inner;
        for (int64_t j = 0; j < inner; ++j) dst[j] += taps.weight[t] * src[j];
      }
    }
  }
  return result;
}

bool IsIdentity(const ResizeParams& p, const ResizeAxis& a) {
  return a.in == a.out && a.scale == 1 && p.coordinate != CoordinateMode::kTfCropAndResize;
}

Status Evaluate(EvalContext& ctx) {
  const auto& p = ctx.params<ResizeParams>();
  const auto given = [&](int i) { return ctx.HasInput(i) && ctx.input(i).num_elements() > 0; };
  RETURN_IF_ERROR(CheckGiven(given(kScales), given(kSizes)));
  const Tensor& x = ctx.input(kX);
  std::vector<double> roi;
  if (given(kRoi)) roi = LoadAs<double>(ctx.input(kRoi));
  ASSIGN_OR_RETURN(
      std::vector<ResizeAxis> axes,
      ResolveResize(p, x.dims(),
                    given(kScales) ? ctx.data<float>(kScales) : std::span<const float>(),
                    given(kSizes) ? ctx.data<int64_t>(kSizes) : std::span<const int64_t>(), roi));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, x.dtype(), OutputDims(x.dims(), axes)));
  if (y->num_elements() == 0) return {};
  // What shrinks goes first: nothing in between is larger than both x and y.
  std::stable_sort(axes.begin(), axes.end(), [](const ResizeAxis& a, const ResizeAxis& b) {
    return static_cast<double>(a.out) / static_cast<double>(a.in) <
           static_cast<double>(b.out) / static_cast<double>(b.in);
  });
  Dims dims = x.dims();
  std::vector<double> values = LoadAs<double>(x);
  for (const ResizeAxis& a : axes) {
    if (IsIdentity(p, a)) continue;
    values = Resample(p, a, dims, values);
    dims[a.axis] = a.out;
  }
  if (IsInteger(x.dtype()))
    for (double& v : values) v = std::nearbyint(v);
  StoreAs<double>(values, *y);
  return {};
}

// As if two axes were resampled in full.
Cost CostOfResize(const Node& node, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  const ResizeMode mode = node.As<ResizeParams>().mode;
  const double taps = mode == ResizeMode::kNearest ? 0 : mode == ResizeMode::kLinear ? 2 : 4;
  return Traffic(inputs, outputs, 2 * 2 * taps * Elements(outputs[0]));
}

constexpr Field kFields[] = {
    MakeField<&ResizeParams::mode>("mode", "interpolation"),
    MakeField<&ResizeParams::coordinate>("coordinate", "where output elements lie in the input"),
    MakeField<&ResizeParams::nearest>("nearest", "rounding of the coordinate in mode nearest"),
    MakeField<&ResizeParams::cubic_a>("cubic_a", "parameter of the cubic kernel"),
    MakeField<&ResizeParams::exclude_outside>("exclude_outside",
                                              "elements outside the input weigh nothing"),
    MakeField<&ResizeParams::antialias>("antialias", "stretch the kernel when downscaling"),
    MakeField<&ResizeParams::extrapolation>("extrapolation",
                                            "value outside, with tf_crop_and_resize"),
    MakeField<&ResizeParams::axes>("axes", "those that the inputs speak of; default all"),
    MakeField<&ResizeParams::policy>("policy", "what sizes means for the aspect ratio"),
};
constexpr Port kInputs[] = {
    {"x", "any shape", kNumbers},
    {"roi", "begins, then ends, as parts of the input; for tf_crop_and_resize", kFloats,
     Arity::kOptional},
    {"scales", "per axis", Bit(DType::kFloat32), Arity::kOptional},
    {"sizes", "per axis", Bit(DType::kInt64), Arity::kOptional},
};
constexpr Port kOutputs[] = {{"y", "x resampled", kNumbers}};

}  // namespace

double CubicKernel(double t, double a) {
  t = std::abs(t);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

Result<std::vector<ResizeAxis>> ResolveResize(const ResizeParams& p, std::span<const int64_t> x,
                                              std::span<const float> scales,
                                              std::span<const int64_t> sizes,
                                              std::span<const double> roi) {
  ASSIGN_OR_RETURN(const std::vector<int> axes, Axes(p, static_cast<int>(x.size())));
  const int64_t count = static_cast<int64_t>(axes.size());
  if (scales.empty()) {
    RETURN_IF_ERROR(CheckCount("sizes", sizes.size(), count));
  } else {
    RETURN_IF_ERROR(CheckCount("scales", scales.size(), count));
  }
  const bool crop = p.coordinate == CoordinateMode::kTfCropAndResize;
  if (crop && !roi.empty()) RETURN_IF_ERROR(CheckCount("roi", roi.size(), 2 * count));
  std::vector<ResizeAxis> result(count);
  for (int64_t i = 0; i < count; ++i) {
    ResizeAxis& a = result[i];
    a.axis = axes[i];
    a.in = x[a.axis];
    if (crop && !roi.empty()) {
      a.roi_begin = roi[i];
      a.roi_end = roi[count + i];
    }
    if (scales.empty()) {
      if (sizes[i] < 0 || sizes[i] > kMaxSize)
        return InvalidModel("sizes contains ", sizes[i], ", expected 0 to ", kMaxSize);
      a.out = sizes[i];
      a.scale = a.in == 0 ? 1 : static_cast<double>(a.out) / static_cast<double>(a.in);
      a.width = static_cast<double>(a.out);
    } else {
      ASSIGN_OR_RETURN(a.out, ScaledSize(a.in, scales[i]));
      a.scale = scales[i];
      a.width = a.scale * static_cast<double>(a.in);
    }
  }
  if (scales.empty() && p.policy != AspectPolicy::kStretch && count > 0) {
    const auto less = [](const ResizeAxis& a, const ResizeAxis& b) { return a.scale < b.scale; };
    const double scale = p.policy == AspectPolicy::kNotLarger
                             ? std::min_element(result.begin(), result.end(), less)->scale
                             : std::max_element(result.begin(), result.end(), less)->scale;
    for (ResizeAxis& a : result) {
      a.scale = scale;
      a.width = scale * static_cast<double>(a.in);
      if (a.width > static_cast<double>(kMaxSize))
        return InvalidModel("size ", a.in, " times scale ", scale, " is more than ", kMaxSize);
      a.out = static_cast<int64_t>(std::floor(a.width + 0.5));
    }
  }
  for (const ResizeAxis& a : result)
    if (a.in == 0 && a.out > 0)
      return InvalidModel("axis ", a.axis, " of x, of shape ", ToString(x),
                          ", is empty and cannot be resized to ", a.out);
  return result;
}

ResizeTaps MakeResizeTaps(const ResizeParams& p, const ResizeAxis& axis) {
  return MakeResizeTaps(p, axis, 0, axis.out);
}

ResizeTaps MakeResizeTaps(const ResizeParams& p, const ResizeAxis& axis, int64_t first,
                          int64_t count) {
  ResizeTaps taps;
  taps.begin.reserve(count + 1);
  taps.begin.push_back(0);
  for (int64_t i = first; i < first + count; ++i) {
    const double x = Coordinate(p.coordinate, axis, i);
    const bool outside = i < 0 || i >= axis.out ||
                         (p.coordinate == CoordinateMode::kTfCropAndResize &&
                          !(x >= 0 && x <= static_cast<double>(axis.in - 1)));
    if (!outside) AppendTaps(p, axis, x, taps);
    taps.begin.push_back(static_cast<int64_t>(taps.index.size()));
  }
  return taps;
}

namespace op {

constinit const OpDef kResize = {
    .name = "Resize",
    .summary = "Resamples x along each axis on a regular grid.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<ResizeParams>,
    .build_params = BuildParams<ResizeParams>,
    .infer = Infer,
    .evaluate = Evaluate,
    .cost = CostOfResize,
};

}  // namespace op
}  // namespace sula
