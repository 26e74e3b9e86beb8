#include "ops/norm.h"

#include <algorithm>
#include <cmath>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/lines.h"
#include "ops/numbers.h"
#include "ops/sizes.h"
#include "ops/strided.h"

namespace sula {
namespace {

// ---- shared by the operators whose parameters are per channel (axis 1)

// x of rank 2 or more; the inputs behind it, called `names`, of shape [C].
Status InferPerChannel(InferContext& ctx, std::initializer_list<std::string_view> names) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (x.rank() < 2) return InvalidModel("x has shape ", x.ToString(), ", expected [N, C, ...]");
  int i = 1;
  for (std::string_view name : names) RETURN_IF_ERROR(CheckVector(ctx, i++, name, x[1]));
  return InferLikeInput(ctx);
}

struct Moments {
  double mean = 0, variance = 0;
};
Moments MomentsOf(std::span<const double> values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (double v : values) m.mean += v;
  m.mean /= n;
  for (double v : values) m.variance += (v - m.mean) * (v - m.mean);
  m.variance /= n;
  return m;
}

double InverseDeviation(const Moments& m, float epsilon) {
  return 1 / std::sqrt(m.variance + static_cast<double>(epsilon));
}

// ---- BatchNormalization

Status InferBatchNorm(InferContext& ctx) {
  return InferPerChannel(ctx, {"scale", "bias", "mean", "var"});
}

Status EvaluateBatchNorm(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const float epsilon = ctx.params<NormParams>().epsilon;
  const Tensor& x = ctx.input(0);
  const std::vector<double> scale = LoadAs<double>(ctx.input(1)),
                            bias = LoadAs<double>(ctx.input(2)),
                            mean = LoadAs<double>(ctx.input(3)),
                            variance = LoadAs<double>(ctx.input(4));
  std::vector<double> values = LoadAs<double>(x);
  const int64_t channels = x.dim(1);
  const int64_t plane = NumElements(std::span(x.dims()).subspan(2));
  double* v = values.data();
  for (int64_t i = 0; i < x.dim(0) * channels; ++i) {
    const int64_t c = i % channels;
    const double factor = scale[c] * InverseDeviation({mean[c], variance[c]}, epsilon);
    for (int64_t j = 0; j < plane; ++j, ++v) *v = (*v - mean[c]) * factor + bias[c];
  }
  StoreAs<double>(values, *y);
  return {};
}

// ---- InstanceNormalization, GroupNormalization

Status InferInstanceNorm(InferContext& ctx) { return InferPerChannel(ctx, {"scale", "bias"}); }

Status InferGroupNorm(InferContext& ctx) {
  RETURN_IF_ERROR(InferPerChannel(ctx, {"scale", "bias"}));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  const int64_t groups = ctx.params<GroupNormParams>().groups;
  if (groups < 1 || (x[1].is_const() && x[1].value() % groups != 0))
    return InvalidModel("groups is ", groups, ", expected a divisor of the ", x[1].ToString(),
                        " channels");
  return {};
}

Status NormalizeGroups(EvalContext& ctx, int64_t groups, float epsilon) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Tensor& x = ctx.input(0);
  const std::vector<double> scale = LoadAs<double>(ctx.input(1)),
                            bias = LoadAs<double>(ctx.input(2));
  std::vector<double> values = LoadAs<double>(x);
  if (values.empty()) return {};
  const int64_t channels = x.dim(1), group_channels = channels / groups;
  const int64_t plane = NumElements(std::span(x.dims()).subspan(2));
  const size_t group_size = static_cast<size_t>(group_channels * plane);
  double* v = values.data();
  for (int64_t i = 0; i < x.dim(0) * groups; ++i) {
    const Moments m = MomentsOf({v, group_size});
    const double inverse = InverseDeviation(m, epsilon);
    for (int64_t k = 0; k < group_channels; ++k) {
      const int64_t c = i % groups * group_channels + k;
      for (int64_t j = 0; j < plane; ++j, ++v) *v = (*v - m.mean) * inverse * scale[c] + bias[c];
    }
  }
  StoreAs<double>(values, *y);
  return {};
}

Status EvaluateInstanceNorm(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  return NormalizeGroups(ctx, x.rank() > 1 ? x.dim(1) : 1, ctx.params<NormParams>().epsilon);
}

Status EvaluateGroupNorm(EvalContext& ctx) {
  const auto& p = ctx.params<GroupNormParams>();
  return NormalizeGroups(ctx, p.groups, p.epsilon);
}

// ---- LayerNormalization, RMSNormalization

Status CheckBroadcasts(const InferContext& ctx, int i, std::string_view name, const Shape& x) {
  if (!ctx.HasInput(i) || !ctx.input(i).shape) return {};
  const Shape& shape = *ctx.input(i).shape;
  const Result<Shape> broadcast = BroadcastShapes(shape, x);
  if (broadcast.has_value() && MayEqual(*broadcast, x)) return {};
  return InvalidModel(name, " of shape ", shape.ToString(), " does not broadcast to x of shape ",
                      x.ToString());
}

Status InferLayerNorm(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.params<LayerNormParams>().axis, x.rank()));
  RETURN_IF_ERROR(CheckBroadcasts(ctx, 1, "scale", x));
  RETURN_IF_ERROR(CheckBroadcasts(ctx, 2, "bias", x));
  RETURN_IF_ERROR(InferLikeInput(ctx));
  Shape statistics = x;
  for (int i = axis; i < x.rank(); ++i) statistics[i] = 1;
  for (int i = 1; i < ctx.num_outputs(); ++i)
    if (ctx.HasOutput(i)) ctx.SetOutput(i, {DType::kFloat32, statistics});
  return {};
}

// values = values * scale + bias, scale and bias (null: none) broadcast to `dims`.
void ScaleAndShift(const Dims& dims, std::vector<double>& values, const Tensor& scale,
                   const Tensor* bias) {
  const std::vector<double> s = LoadAs<double>(scale);
  const std::vector<double> b = bias ? LoadAs<double>(*bias) : std::vector<double>{0};
  const Dims bias_dims = bias ? bias->dims() : Dims{};
  ForEachRow(dims,
             {RowMajorStrides(dims), BroadcastStrides(scale.dims(), dims),
              BroadcastStrides(bias_dims, dims)},
             [&](std::span<const int64_t> at, std::span<const int64_t> step, int64_t n) {
               for (int64_t i = 0; i < n; ++i) {
                 double& v = values[at[0] + i * step[0]];
                 v = v * s[at[1] + i * step[1]] + b[at[2] + i * step[2]];
               }
             });
}

// The rows that are normalised together.
struct Rows {
  int64_t count, size;
};
Rows RowsFrom(std::span<const int64_t> dims, int axis) {
  return {NumElements(dims.first(axis)), NumElements(dims.subspan(axis))};
}

Status EvaluateLayerNorm(EvalContext& ctx) {
  const auto& p = ctx.params<LayerNormParams>();
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  const Rows rows = RowsFrom(x.dims(), axis);
  std::vector<double> values = LoadAs<double>(x), means(rows.count), inverses(rows.count);
  for (int64_t r = 0; r < rows.count; ++r) {
    const std::span<double> row(values.data() + r * rows.size, static_cast<size_t>(rows.size));
    const Moments m = MomentsOf(row);
    means[r] = m.mean;
    inverses[r] = InverseDeviation(m, p.epsilon);
    for (double& v : row) v = (v - m.mean) * inverses[r];
  }
  ScaleAndShift(x.dims(), values, ctx.input(1), ctx.HasInput(2) ? &ctx.input(2) : nullptr);
  StoreAs<double>(values, *y);
  for (int i = 1; i < ctx.num_outputs(); ++i) {
    if (!ctx.HasOutput(i)) continue;
    ASSIGN_OR_RETURN(Tensor * statistics, ctx.InferredOutput(i));
    StoreAs<double>(i == 1 ? means : inverses, *statistics);
  }
  return {};
}

Status EvaluateRmsNorm(EvalContext& ctx) {
  const auto& p = ctx.params<LayerNormParams>();
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  const Rows rows = RowsFrom(x.dims(), axis);
  std::vector<double> values = LoadAs<double>(x);
  for (int64_t r = 0; r < rows.count; ++r) {
    const std::span<double> row(values.data() + r * rows.size, static_cast<size_t>(rows.size));
    double squares = 0;
    for (double v : row) squares += v * v;
    const double mean_square = squares / static_cast<double>(rows.size);
    const double inverse = 1 / std::sqrt(mean_square + static_cast<double>(p.epsilon));
    for (double& v : row) v *= inverse;
  }
  ScaleAndShift(x.dims(), values, ctx.input(1), nullptr);
  StoreAs<double>(values, *y);
  return {};
}

// ---- LRN, LpNormalization

Status InferLrn(InferContext& ctx) {
  if (ctx.params<LrnParams>().size < 1)
    return InvalidModel("size is ", ctx.params<LrnParams>().size, ", expected at least 1");
  return InferPerChannel(ctx, {});
}

Status EvaluateLrn(EvalContext& ctx) {
  const auto& p = ctx.params<LrnParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Tensor& x = ctx.input(0);
  std::vector<double> values = LoadAs<double>(x), squares;
  const int64_t channels = x.dim(1), before = (p.size - 1) / 2, behind = p.size / 2;
  ForEachLine(x.dims(), 1, values, [&](std::span<double> line) {
    squares.assign(line.begin(), line.end());
    for (double& v : squares) v *= v;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t first = c > before ? c - before : 0;
      const int64_t last = behind < channels - 1 - c ? c + behind : channels - 1;
      double sum = 0;
      for (int64_t i = first; i <= last; ++i) sum += squares[i];
      line[c] /= std::pow(p.bias + p.alpha / static_cast<double>(p.size) * sum, p.beta);
    }
  });
  StoreAs<double>(values, *y);
  return {};
}

Status InferLpNorm(InferContext& ctx) {
  const auto& p = ctx.params<LpNormParams>();
  if (p.p != 1 && p.p != 2) return InvalidModel("p is ", p.p, ", expected 1 or 2");
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  RETURN_IF_ERROR(NormalizeAxis(p.axis, x.rank()).status());
  return InferLikeInput(ctx);
}

Status EvaluateLpNorm(EvalContext& ctx) {
  const auto& p = ctx.params<LpNormParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  std::vector<double> values = LoadAs<double>(x);
  ForEachLine(x.dims(), axis, values, [&](std::span<double> line) {
    double norm = 0;
    for (double v : line) norm += p.p == 1 ? std::abs(v) : v * v;
    if (p.p == 2) norm = std::sqrt(norm);
    for (double& v : line) v = norm == 0 ? 0 : v / norm;
  });
  StoreAs<double>(values, *y);
  return {};
}

// ---- costs and definitions

// Scale and shift.
Cost CostOfBatchNorm(const Node&, std::span<const TensorType> inputs,
                     std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 2 * Elements(inputs[0]));
}
// Mean, variance, then scale and shift.
Cost CostOfStatistics(const Node&, std::span<const TensorType> inputs,
                      std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 8 * Elements(inputs[0]));
}
// A running sum of squares and a power, counted as 20 operations.
Cost CostOfLrn(const Node&, std::span<const TensorType> inputs,
               std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 24 * Elements(inputs[0]));
}

constexpr std::string_view kEpsilonHelp = "added to the variance";
constexpr Field kNormFields[] = {MakeField<&NormParams::epsilon>("epsilon", kEpsilonHelp)};
constexpr Field kLayerFields[] = {
    MakeField<&LayerNormParams::axis>("axis", "the first of the normalised axes"),
    MakeField<&LayerNormParams::epsilon>("epsilon", kEpsilonHelp),
};
constexpr Field kGroupFields[] = {
    MakeField<&GroupNormParams::groups>("groups", "number of groups of adjacent channels"),
    MakeField<&GroupNormParams::epsilon>("epsilon", kEpsilonHelp),
};
constexpr Field kLrnFields[] = {
    MakeField<&LrnParams::alpha>("alpha", "factor of the mean square"),
    MakeField<&LrnParams::beta>("beta", "exponent"),
    MakeField<&LrnParams::bias>("bias", "added to the mean square"),
    MakeField<&LrnParams::size>("size", "number of channels summed over"),
};
constexpr Field kLpFields[] = {
    MakeField<&LpNormParams::axis>("axis", "negative: counted from the end"),
    MakeField<&LpNormParams::p>("p", "1: sum of absolutes; 2: Euclidean"),
};

constexpr Port kX = {"x", "[N, C, ...]", kFloats};
constexpr Port kScale = {"scale", "[C]", kFloats};
constexpr Port kBias = {"bias", "[C]", kFloats};
constexpr Port kBatchInputs[] = {
    kX, kScale, kBias, {"mean", "[C]", kFloats}, {"var", "[C]", kFloats}};
constexpr Port kChannelInputs[] = {kX, kScale, kBias};
constexpr Port kLayerInputs[] = {
    {"x", "any shape but a scalar", kFloats},
    {"scale", "broadcasts to x", kFloats},
    {"bias", "broadcasts to x", kFloats, Arity::kOptional},
};
constexpr Port kRmsInputs[] = {kLayerInputs[0], kLayerInputs[1]};
constexpr Port kPlainInputs[] = {{"x", "any shape but a scalar", kFloats}};
constexpr Port kLrnInputs[] = {kX};
constexpr Port kOutputs[] = {{"y", "of x's shape", kFloats}};
constexpr Port kLayerOutputs[] = {
    kOutputs[0],
    {"mean", "the normalised axes of size 1", Bit(DType::kFloat32), Arity::kOptional},
    {"invstd", "of mean's shape", Bit(DType::kFloat32), Arity::kOptional},
};

}  // namespace

namespace op {

constinit const OpDef kBatchNormalization = {
    .name = "BatchNormalization",
    .summary = "y = (x - mean) / sqrt(var + epsilon) * scale + bias, per channel.",
    .inputs = kBatchInputs,
    .outputs = kOutputs,
    .fields = kNormFields,
    .default_params = DefaultParams<NormParams>,
    .build_params = BuildParams<NormParams>,
    .infer = InferBatchNorm,
    .evaluate = EvaluateBatchNorm,
    .cost = CostOfBatchNorm,
    .traits = kInPlace,
};

constinit const OpDef kInstanceNormalization = {
    .name = "InstanceNormalization",
    .summary =
        "y = (x - mean) / sqrt(variance + epsilon) * scale + bias, with the mean and "
        "variance of each batch and channel.",
    .inputs = kChannelInputs,
    .outputs = kOutputs,
    .fields = kNormFields,
    .default_params = DefaultParams<NormParams>,
    .build_params = BuildParams<NormParams>,
    .infer = InferInstanceNorm,
    .evaluate = EvaluateInstanceNorm,
    .cost = CostOfStatistics,
};

constinit const OpDef kGroupNormalization = {
    .name = "GroupNormalization",
    .summary =
        "y = (x - mean) / sqrt(variance + epsilon) * scale + bias, with the mean and "
        "variance of each batch and group of adjacent channels.",
    .inputs = kChannelInputs,
    .outputs = kOutputs,
    .fields = kGroupFields,
    .default_params = DefaultParams<GroupNormParams>,
    .build_params = BuildParams<GroupNormParams>,
    .infer = InferGroupNorm,
    .evaluate = EvaluateGroupNorm,
    .cost = CostOfStatistics,
};

constinit const OpDef kLayerNormalization = {
    .name = "LayerNormalization",
    .summary =
        "y = (x - mean) / sqrt(variance + epsilon) * scale + bias, with the mean and "
        "variance over the axes from `axis` on.",
    .inputs = kLayerInputs,
    .outputs = kLayerOutputs,
    .fields = kLayerFields,
    .default_params = DefaultParams<LayerNormParams>,
    .build_params = BuildParams<LayerNormParams>,
    .infer = InferLayerNorm,
    .evaluate = EvaluateLayerNorm,
    .cost = CostOfStatistics,
};

constinit const OpDef kRMSNormalization = {
    .name = "RMSNormalization",
    .summary =
        "y = x / sqrt(mean(x^2) + epsilon) * scale, with the mean over the axes from "
        "`axis` on.",
    .inputs = kRmsInputs,
    .outputs = kOutputs,
    .fields = kLayerFields,
    .default_params = DefaultParams<LayerNormParams>,
    .build_params = BuildParams<LayerNormParams>,
    .infer = InferLayerNorm,
    .evaluate = EvaluateRmsNorm,
    .cost = CostOfStatistics,
};

constinit const OpDef kLRN = {
    .name = "LRN",
    .summary =
        "Local response normalisation: y = x / (bias + alpha / size * sum(x^2))^beta, the "
        "sum over `size` channels around x's.",
    .inputs = kLrnInputs,
    .outputs = kOutputs,
    .fields = kLrnFields,
    .default_params = DefaultParams<LrnParams>,
    .build_params = BuildParams<LrnParams>,
    .infer = InferLrn,
    .evaluate = EvaluateLrn,
    .cost = CostOfLrn,
};

constinit const OpDef kLpNormalization = {
    .name = "LpNormalization",
    .summary = "y = x / p-norm of x along one axis; 0 where the norm is 0.",
    .inputs = kPlainInputs,
    .outputs = kOutputs,
    .fields = kLpFields,
    .default_params = DefaultParams<LpNormParams>,
    .build_params = BuildParams<LpNormParams>,
    .infer = InferLpNorm,
    .evaluate = EvaluateLpNorm,
    .cost = CostOfStatistics,
};

}  // namespace op
}  // namespace sula
