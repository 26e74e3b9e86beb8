#include "ops/softmax.h"

#include <algorithm>
#include <cmath>

#include "ir/graph.h"
#include "ops/cost.h"
#include "ops/lines.h"
#include "ops/numbers.h"
#include "ops/sizes.h"

namespace sula {
namespace {

Status Infer(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  RETURN_IF_ERROR(NormalizeAxis(ctx.params<SoftmaxParams>().axis, x.rank()).status());
  return InferLikeInput(ctx);
}

// Replaces every line along the axis by fn(line).
Status EvaluateLines(EvalContext& ctx, void (*fn)(std::span<double> line)) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.params<SoftmaxParams>().axis, x.rank()));
  std::vector<double> values = LoadAs<double>(x);
  ForEachLine(x.dims(), axis, values, fn);
  StoreAs<double>(values, *y);
  return {};
}

double Max(std::span<const double> line) { return *std::max_element(line.begin(), line.end()); }

// Both subtract the maximum first, so that no exponential overflows.
Status EvaluateSoftmax(EvalContext& ctx) {
  return EvaluateLines(ctx, [](std::span<double> line) {
    const double max = Max(line);
    double sum = 0;
    for (double& v : line) sum += v = std::exp(v - max);
    for (double& v : line) v /= sum;
  });
}

Status EvaluateLogSoftmax(EvalContext& ctx) {
  return EvaluateLines(ctx, [](std::span<double> line) {
    const double max = Max(line);
    double sum = 0;
    for (double v : line) sum += std::exp(v - max);
    for (double& v : line) v = v - max - std::log(sum);
  });
}

Status EvaluateHardmax(EvalContext& ctx) {
  return EvaluateLines(ctx, [](std::span<double> line) {
    const auto best = std::max_element(line.begin(), line.end());
    const size_t index = best - line.begin();
    std::fill(line.begin(), line.end(), 0.0);
    line[index] = 1;
  });
}

// A maximum, a difference, an exponential, a sum and a quotient per element; the exponential
// counted as 10 operations.
Cost CostOfSoftmax(const Node&, std::span<const TensorType> inputs,
                   std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 14 * Elements(inputs[0]));
}

Cost CostOfHardmax(const Node&, std::span<const TensorType> inputs,
                   std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, Elements(inputs[0]));
}

constexpr Field kFields[] = {
    MakeField<&SoftmaxParams::axis>("axis", "negative: counted from the end"),
};
constexpr Port kInputs[] = {{"x", "any shape but a scalar", kFloats}};
constexpr Port kOutputs[] = {{"y", "of x's shape", kFloats}};

}  // namespace

namespace op {

constinit const OpDef kSoftmax = {
    .name = "Softmax",
    .summary = "y = exp(x) / sum(exp(x)) along one axis.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<SoftmaxParams>,
    .build_params = BuildParams<SoftmaxParams>,
    .infer = Infer,
    .evaluate = EvaluateSoftmax,
    .cost = CostOfSoftmax,
};

constinit const OpDef kLogSoftmax = {
    .name = "LogSoftmax",
    .summary = "y = log(exp(x) / sum(exp(x))) along one axis.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<SoftmaxParams>,
    .build_params = BuildParams<SoftmaxParams>,
    .infer = Infer,
    .evaluate = EvaluateLogSoftmax,
    .cost = CostOfSoftmax,
};

constinit const OpDef kHardmax = {
    .name = "Hardmax",
    .summary = "1 at the first maximum along one axis, 0 elsewhere.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<SoftmaxParams>,
    .build_params = BuildParams<SoftmaxParams>,
    .infer = Infer,
    .evaluate = EvaluateHardmax,
    .cost = CostOfHardmax,
};

}  // namespace op
}  // namespace sula
