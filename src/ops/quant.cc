#include "ops/quant.h"

#include <algorithm>
#include <cmath>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"
#include "ops/sizes.h"

namespace sula {
namespace {

enum Input { kX, kScale, kZero };

// x divided by scale in the precision of the scale's type.
double Quotient(double x, double scale, DType type) {
  if (type == DType::kFloat64) return x / scale;
  const float quotient = static_cast<float>(x) / static_cast<float>(scale);
  if (type == DType::kFloat16) return Half(quotient);
  if (type == DType::kBFloat16) return BFloat16(quotient);
  return quotient;
}

Status CheckScale(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(kX));
  ASSIGN_OR_RETURN(const Shape scale, ctx.InputShape(kScale));
  if (ctx.HasInput(kZero) && ctx.input(kZero).shape && !MayEqual(*ctx.input(kZero).shape, scale))
    return InvalidModel("the scale has shape ", scale.ToString(), " but the zero point ",
                        ctx.input(kZero).shape->ToString());
  if (x.IsConcrete() && scale.IsConcrete()) {
    return ResolveQuant(ctx.params<QuantParams>(), x.Concrete(), scale.Concrete()).status();
  }
  return {};
}

Status InferQuantize(InferContext& ctx) {
  RETURN_IF_ERROR(CheckScale(ctx));
  const DType type = ctx.HasInput(kZero) ? ctx.InputType(kZero) : ctx.params<QuantParams>().to;
  ctx.SetOutput(0, {type, ctx.input(kX).shape});
  return {};
}

Status InferDequantize(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {kX, kZero}));
  RETURN_IF_ERROR(CheckScale(ctx));
  ctx.SetOutput(0, {ctx.InputType(kScale), ctx.input(kX).shape});
  return {};
}

// y[i] = fn(x[i], its scale, its zero point).
template <class Fn>
Status ForEachElement(EvalContext& ctx, Fn&& fn) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(
      const QuantLayout layout,
      ResolveQuant(ctx.params<QuantParams>(), ctx.input(kX).dims(), ctx.input(kScale).dims()));
  std::vector<double> values = LoadAs<double>(ctx.input(kX));
  const std::vector<double> scale = LoadAs<double>(ctx.input(kScale));
  std::vector<double> zero(scale.size(), 0.0);
  if (ctx.HasInput(kZero)) zero = LoadAs<double>(ctx.input(kZero));
  double* v = values.data();
  for (int64_t o = 0; o < layout.outer; ++o) {
    for (int64_t a = 0; a < layout.axis; ++a) {
      const int64_t first = o * layout.outer_step + a / layout.block * layout.axis_step;
      for (int64_t j = 0; j < layout.inner; ++j, ++v) {
        const int64_t s = first + j * layout.inner_step;
        *v = fn(*v, scale[s], zero[s]);
      }
    }
  }
  StoreAs<double>(values, *y);
  return {};
}

// Values too large for the type saturate when they are stored.
Status EvaluateQuantize(EvalContext& ctx) {
  const DType type = ctx.input(kScale).dtype();
  return ForEachElement(ctx, [&](double x, double scale, double zero) {
    return std::nearbyint(Quotient(x, scale, type)) + zero;
  });
}

Status EvaluateDequantize(EvalContext& ctx) {
  return ForEachElement(ctx,
                        [](double x, double scale, double zero) { return (x - zero) * scale; });
}

Status InferDynamic(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kUInt8, ctx.input(0).shape});
  ctx.SetOutput(1, {DType::kFloat32, Shape()});
  ctx.SetOutput(2, {DType::kUInt8, Shape()});
  return {};
}

// In single precision, as the definition of the operator has it.
Status EvaluateDynamic(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const std::span<const float> x = ctx.data<float>(0);
  float low = 0, high = 0;
  for (float v : x) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const float scale = low == high ? 1 : (high - low) / 255;
  const float zero = std::nearbyint(std::clamp(-low / scale, 0.0f, 255.0f));
  std::vector<double> values(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    values[i] = static_cast<double>(std::nearbyint(x[i] / scale)) + zero;
  StoreAs<double>(values, *y);
  if (ctx.HasOutput(1)) {
    ASSIGN_OR_RETURN(Tensor * t, ctx.InferredOutput(1));
    t->mutable_data<float>()[0] = scale;
  }
  if (ctx.HasOutput(2)) {
    ASSIGN_OR_RETURN(Tensor * t, ctx.InferredOutput(2));
    const double z = zero;
    StoreAs<double>(std::span(&z, 1), *t);
  }
  return {};
}

Cost CostOfScaling(const Node&, std::span<const TensorType> inputs,
                   std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 2 * Elements(inputs[0]));
}

constexpr Field kFields[] = {
    MakeField<&QuantParams::axis>("axis", "of a scale per index or per block"),
    MakeField<&QuantParams::block>("block", "elements along the axis that share a scale; 0: none"),
    MakeField<&QuantParams::saturate>("saturate", "for 8-bit floats; integers always saturate"),
    MakeField<&QuantParams::to>("to", "type of the result without a zero point"),
};
constexpr TypeSet kQuantised = Bit(DType::kInt8) | Bit(DType::kUInt8) | Bit(DType::kInt16);
constexpr TypeSet kQuantisedOrSum = kQuantised | Bit(DType::kInt32);
constexpr std::string_view kScaleHelp = "one element, [axis size], or blocks of x";
constexpr Port kQuantizeInputs[] = {
    {"x", "any shape", kFloats | Bit(DType::kInt32)},
    {"scale", kScaleHelp, kFloats},
    {"zero", "of scale's shape", kQuantised, Arity::kOptional},
};
constexpr Port kQuantizeOutputs[] = {{"y", "of x's shape", kQuantised}};
constexpr Port kDequantizeInputs[] = {
    {"x", "any shape", kQuantisedOrSum},
    {"scale", kScaleHelp, kFloats},
    {"zero", "of scale's shape", kQuantisedOrSum, Arity::kOptional},
};
constexpr Port kDequantizeOutputs[] = {{"y", "of x's shape", kFloats}};
constexpr Port kDynamicInputs[] = {{"x", "any shape", Bit(DType::kFloat32)}};
constexpr Port kDynamicOutputs[] = {
    {"y", "of x's shape", Bit(DType::kUInt8)},
    {"scale", "scalar", Bit(DType::kFloat32)},
    {"zero", "scalar", Bit(DType::kUInt8)},
};

}  // namespace

Result<QuantLayout> ResolveQuant(const QuantParams& p, std::span<const int64_t> x,
                                 std::span<const int64_t> scale) {
  if (p.block < 0) return InvalidModel("block is ", p.block, ", expected 0 or more");
  QuantLayout layout;
  const int rank = static_cast<int>(x.size());
  const bool one = std::all_of(scale.begin(), scale.end(), [](int64_t d) { return d == 1; });
  if (one && (scale.size() <= 1 || p.block == 0)) {
    layout.inner = NumElements(x);
    return layout;
  }
  const Status mismatch =
      InvalidModel("scale of shape ", ToString(scale), " does not fit x of shape ", ToString(x),
                   " with axis ", p.axis, " and block ", p.block);
  // A tensor of rank 1 has but one axis.
  const Result<int> normalised = rank == 1 ? Result<int>(0) : NormalizeAxis(p.axis, rank);
  if (!normalised.has_value()) return mismatch;
  const int axis = *normalised;
  layout.outer = NumElements(x.first(axis));
  layout.axis = x[axis];
  layout.inner = NumElements(x.subspan(axis + 1));
  if (p.block == 0) {
    if (scale.size() != 1 || scale[0] != x[axis]) return mismatch;
    layout.axis_step = 1;
    return layout;
  }
  Dims expected(x.begin(), x.end());
  expected[axis] = x[axis] / p.block + (x[axis] % p.block != 0);
  if (!std::equal(scale.begin(), scale.end(), expected.begin(), expected.end())) return mismatch;
  layout.block = p.block;
  layout.outer_step = NumElements(std::span(expected).subspan(axis));
  layout.axis_step = layout.inner;
  layout.inner_step = 1;
  return layout;
}

namespace op {

constinit const OpDef kQuantizeLinear = {
    .name = "QuantizeLinear",
    .summary = "y = saturate(round(x / scale) + zero), halves to even.",
    .inputs = kQuantizeInputs,
    .outputs = kQuantizeOutputs,
    .fields = kFields,
    .default_params = DefaultParams<QuantParams>,
    .build_params = BuildParams<QuantParams>,
    .infer = InferQuantize,
    .evaluate = EvaluateQuantize,
    .cost = CostOfScaling,
};

constinit const OpDef kDequantizeLinear = {
    .name = "DequantizeLinear",
    .summary = "y = (x - zero) * scale.",
    .inputs = kDequantizeInputs,
    .outputs = kDequantizeOutputs,
    .fields = kFields,
    .default_params = DefaultParams<QuantParams>,
    .build_params = BuildParams<QuantParams>,
    .infer = InferDequantize,
    .evaluate = EvaluateDequantize,
    .cost = CostOfScaling,
};

constinit const OpDef kDynamicQuantizeLinear = {
    .name = "DynamicQuantizeLinear",
    .summary =
        "Quantises x to uint8 with the scale and zero point that its range, widened to "
        "include 0, asks for.",
    .inputs = kDynamicInputs,
    .outputs = kDynamicOutputs,
    .default_params = DefaultParams<NoParams>,
    .build_params = BuildParams<NoParams>,
    .infer = InferDynamic,
    .evaluate = EvaluateDynamic,
    .cost = CostOfScaling,
};

}  // namespace op
}  // namespace sula
