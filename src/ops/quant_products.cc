// Convolution and matrix product of quantised tensors. Products of 8-bit integers and their sums
// are exact in double.
#include <cmath>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/matmul.h"
#include "ops/numbers.h"
#include "ops/quant.h"
#include "ops/strided.h"

namespace sula {
namespace {

// Input i as numbers, or a single 0 if it is absent.
std::vector<double> LoadOrZero(EvalContext& ctx, int i) {
  return ctx.HasInput(i) ? LoadAs<double>(ctx.input(i)) : std::vector<double>{0};
}

// Exact sums as integers; storing them as int32 wraps.
std::span<const int64_t> AsIntegers(std::span<const double> sums, std::vector<int64_t>& integers) {
  integers.assign(sums.begin(), sums.end());
  return integers;
}

// ---- convolution

// An error unless input i is absent, of one element, or [channels].
Status CheckPerChannel(const InferContext& ctx, int i, std::string_view name, const Dim& channels) {
  if (!ctx.HasInput(i) || !ctx.input(i).shape || MayEqual(ctx.input(i).shape->NumElements(), 1))
    return {};
  return CheckVector(ctx, i, name, channels);
}

enum ConvInput { kX, kXScale, kXZero, kW, kWScale, kWZero, kYScale, kYZero, kBias };

Status InferQLinearConv(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(kX));
  ASSIGN_OR_RETURN(const Shape w, ctx.InputShape(kW));
  ASSIGN_OR_RETURN(Shape y, InferConv(ctx.params<ConvParams>(), x, w));
  RETURN_IF_ERROR(CheckSameType(ctx, {kX, kXZero}));
  RETURN_IF_ERROR(CheckSameType(ctx, {kW, kWZero}));
  RETURN_IF_ERROR(CheckOneElement(ctx, kXScale, "x_scale"));
  RETURN_IF_ERROR(CheckOneElement(ctx, kXZero, "x_zero"));
  RETURN_IF_ERROR(CheckPerChannel(ctx, kWScale, "w_scale", y[1]));
  RETURN_IF_ERROR(CheckPerChannel(ctx, kWZero, "w_zero", y[1]));
  RETURN_IF_ERROR(CheckOneElement(ctx, kYScale, "y_scale"));
  RETURN_IF_ERROR(CheckOneElement(ctx, kYZero, "y_zero"));
  RETURN_IF_ERROR(CheckVector(ctx, kBias, "bias", y[1]));
  ctx.SetOutput(0, {ctx.InputType(kYZero), std::move(y)});
  return {};
}

enum IntegerInput { kA, kB, kAZero, kBZero };

Status InferConvInteger(InferContext& ctx) {
  const auto& p = ctx.params<ConvParams>();
  if (p.activation != ActivationKind::kNone) return Unsupported("an activation on integers");
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(kA));
  ASSIGN_OR_RETURN(const Shape w, ctx.InputShape(kB));
  ASSIGN_OR_RETURN(Shape y, InferConv(p, x, w));
  RETURN_IF_ERROR(CheckSameType(ctx, {kA, kAZero}));
  RETURN_IF_ERROR(CheckSameType(ctx, {kB, kBZero}));
  RETURN_IF_ERROR(CheckOneElement(ctx, kAZero, "x_zero"));
  RETURN_IF_ERROR(CheckPerChannel(ctx, kBZero, "w_zero", y[1]));
  ctx.SetOutput(0, {DType::kInt32, std::move(y)});
  return {};
}

// The convolution of x - x_zero and w - w_zero; zero points by the numbers of their inputs.
Status ConvolveDifferences(EvalContext& ctx, int x_input, int x_zero_input, int w_input,
                           int w_zero_input, PlaneSink done) {
  const Tensor &x = ctx.input(x_input), &w = ctx.input(w_input);
  ASSIGN_OR_RETURN(const ConvGeometry g, ResolveConv(ctx.params<ConvParams>(), x.dims(), w.dims()));
  const double x_zero = LoadOrZero(ctx, x_zero_input)[0];
  const std::vector<double> w_zero = LoadOrZero(ctx, w_zero_input);
  std::vector<double> xs = LoadAs<double>(x), ws = LoadAs<double>(w);
  for (double& v : xs) v -= x_zero;
  const size_t filter = g.out_channels == 0 ? 1 : ws.size() / g.out_channels;
  for (size_t i = 0; i < ws.size(); ++i) ws[i] -= w_zero[w_zero.size() == 1 ? 0 : i / filter];
  Convolve(g, xs, ws, done);
  return {};
}

Status EvaluateQLinearConv(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Activation activation = ctx.params<ConvParams>().Fused();
  const int64_t channels = y->dim(1);
  const double x_scale = ctx.input(kXScale).AsDouble(0), y_scale = ctx.input(kYScale).AsDouble(0);
  const double y_zero = ctx.input(kYZero).AsDouble(0);
  const std::vector<double> w_scale = LoadAs<double>(ctx.input(kWScale));
  const std::vector<double> bias = LoadOrZero(ctx, kBias);
  return ConvolveDifferences(
      ctx, kX, kXZero, kW, kWZero, [&](int64_t plane, std::span<double> sums) {
        const size_t m = static_cast<size_t>(plane % channels);
        const double scale = x_scale * w_scale[w_scale.size() == 1 ? 0 : m];
        const double b = bias[bias.size() == 1 ? 0 : m];
        for (double& v : sums)
          v = std::nearbyint(Apply(activation, (v + b) * scale) / y_scale) + y_zero;
        StoreAs<double>(sums, *y, plane * static_cast<int64_t>(sums.size()));
      });
}

Status EvaluateConvInteger(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  std::vector<int64_t> integers;
  return ConvolveDifferences(
      ctx, kA, kAZero, kB, kBZero, [&](int64_t plane, std::span<double> sums) {
        StoreAs<int64_t>(AsIntegers(sums, integers), *y, plane * static_cast<int64_t>(sums.size()));
      });
}

// ---- matrix product

// The sizes that per-row (of a) or per-column (of b) numbers broadcast to: `matrix` with the axis
// of the products' sum of size 1. Nothing if they don't. A vector [m] for a is meant as [m, 1].
std::optional<Shape> LineSizes(const Shape& matrix, const Shape& numbers, bool rows,
                               Shape* aligned) {
  Shape lines = matrix;
  const int summed = rows || matrix.rank() == 1 ? matrix.rank() - 1 : matrix.rank() - 2;
  lines[summed] = 1;
  *aligned = numbers;
  if (rows && numbers.rank() == 1 && matrix.rank() > 1) *aligned = Shape({numbers[0], 1});
  const Result<Shape> broadcast = BroadcastShapes(*aligned, lines);
  // A tensor of one element is a scalar, whatever its rank.
  if (MayEqual(numbers.NumElements(), 1))
    *aligned = Shape();
  else if (!broadcast.has_value() || !MayEqual(*broadcast, lines))
    return std::nullopt;
  return lines;
}

Status CheckLines(const InferContext& ctx, int matrix, int numbers, std::string_view name,
                  bool rows) {
  if (!ctx.HasInput(numbers) || !ctx.input(numbers).shape) return {};
  const Shape &shape = *ctx.input(numbers).shape, &operand = *ctx.input(matrix).shape;
  Shape aligned;
  if (LineSizes(operand, shape, rows, &aligned)) return {};
  return InvalidModel(name, " of shape ", shape.ToString(), " does not fit the operand of shape ",
                      operand.ToString(), "; expected one number",
                      rows ? ", or one per row" : ", or one per column");
}

// One number for each row of a (or column of b), matrix by matrix; 0 if the input is absent.
std::vector<double> LoadLines(EvalContext& ctx, int matrix, int numbers, bool rows) {
  const Shape operand = Shape::Of(ctx.input(matrix).dims());
  const Tensor absent = Tensor::Scalar<int8_t>(0);
  const Tensor& given = ctx.HasInput(numbers) ? ctx.input(numbers) : absent;
  Shape aligned;
  const Dims lines = LineSizes(operand, Shape::Of(given.dims()), rows, &aligned)->Concrete();
  const std::vector<double> values = LoadAs<double>(given);
  std::vector<double> result(NumElements(lines));
  ForEachRow(lines, {RowMajorStrides(lines), BroadcastStrides(aligned.Concrete(), lines)},
             [&](std::span<const int64_t> at, std::span<const int64_t> step, int64_t n) {
               for (int64_t i = 0; i < n; ++i)
                 result[at[0] + i * step[0]] = values[at[1] + i * step[1]];
             });
  return result;
}

// The product of a - a_zero and b - b_zero, matrix by matrix.
void MultiplyDifferences(EvalContext& ctx, const MatMulGeometry& g, int a_input, int a_zero,
                         int b_input, int b_zero,
                         FunctionRef<void(int64_t i, std::span<double> sums)> done) {
  std::vector<double> a = LoadAs<double>(ctx.input(a_input)),
                      b = LoadAs<double>(ctx.input(b_input));
  const std::vector<double> rows = LoadLines(ctx, a_input, a_zero, true),
                            columns = LoadLines(ctx, b_input, b_zero, false);
  for (size_t i = 0; i < a.size(); ++i) a[i] -= rows[i / g.k];
  for (size_t i = 0; i < b.size(); ++i) b[i] -= columns[i / (g.k * g.n) * g.n + i % g.n];
  MultiplyMatrices<double>(g, a, b, done);
}

enum MatMulInput { kQA, kQAScale, kQAZero, kQB, kQBScale, kQBZero, kQYScale, kQYZero };

Status InferQLinearMatMul(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape a, ctx.InputShape(kQA));
  ASSIGN_OR_RETURN(const Shape b, ctx.InputShape(kQB));
  ASSIGN_OR_RETURN(Shape y, InferMatMul({}, a, b));
  RETURN_IF_ERROR(CheckSameType(ctx, {kQA, kQAZero}));
  RETURN_IF_ERROR(CheckSameType(ctx, {kQB, kQBZero}));
  RETURN_IF_ERROR(CheckLines(ctx, kQA, kQAScale, "a_scale", true));
  RETURN_IF_ERROR(CheckLines(ctx, kQA, kQAZero, "a_zero", true));
  RETURN_IF_ERROR(CheckLines(ctx, kQB, kQBScale, "b_scale", false));
  RETURN_IF_ERROR(CheckLines(ctx, kQB, kQBZero, "b_zero", false));
  RETURN_IF_ERROR(CheckOneElement(ctx, kQYScale, "y_scale"));
  RETURN_IF_ERROR(CheckOneElement(ctx, kQYZero, "y_zero"));
  ctx.SetOutput(0, {ctx.InputType(kQYZero), std::move(y)});
  return {};
}

Status InferMatMulInteger(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape a, ctx.InputShape(kA));
  ASSIGN_OR_RETURN(const Shape b, ctx.InputShape(kB));
  ASSIGN_OR_RETURN(Shape y, InferMatMul({}, a, b));
  RETURN_IF_ERROR(CheckSameType(ctx, {kA, kAZero}));
  RETURN_IF_ERROR(CheckSameType(ctx, {kB, kBZero}));
  RETURN_IF_ERROR(CheckLines(ctx, kA, kAZero, "a_zero", true));
  RETURN_IF_ERROR(CheckLines(ctx, kB, kBZero, "b_zero", false));
  ctx.SetOutput(0, {DType::kInt32, std::move(y)});
  return {};
}

Status EvaluateQLinearMatMul(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const MatMulGeometry g,
                   ResolveMatMul({}, ctx.input(kQA).dims(), ctx.input(kQB).dims()));
  const std::vector<double> rows = LoadLines(ctx, kQA, kQAScale, true),
                            columns = LoadLines(ctx, kQB, kQBScale, false);
  const double y_scale = ctx.input(kQYScale).AsDouble(0);
  const double y_zero = ctx.input(kQYZero).AsDouble(0);
  MultiplyDifferences(ctx, g, kQA, kQAZero, kQB, kQBZero, [&](int64_t i, std::span<double> sums) {
    const auto [a_matrix, b_matrix] = g.Operands(i);
    for (int64_t row = 0; row < g.m; ++row)
      for (int64_t col = 0; col < g.n; ++col) {
        double& v = sums[row * g.n + col];
        const double scale = rows[a_matrix * g.m + row] * columns[b_matrix * g.n + col] / y_scale;
        v = std::nearbyint(v * scale) + y_zero;
      }
    StoreAs<double>(sums, *y, i * g.m * g.n);
  });
  return {};
}

Status EvaluateMatMulInteger(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const MatMulGeometry g,
                   ResolveMatMul({}, ctx.input(kA).dims(), ctx.input(kB).dims()));
  std::vector<int64_t> integers;
  MultiplyDifferences(ctx, g, kA, kAZero, kB, kBZero, [&](int64_t i, std::span<double> sums) {
    StoreAs<int64_t>(AsIntegers(sums, integers), *y, i * g.m * g.n);
  });
  return {};
}

// ---- costs and definitions

Cost CostOfQLinearConv(const Node&, std::span<const TensorType> inputs,
                       std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 2 * Elements(outputs[0]) * SliceElements(inputs[kW]));
}
Cost CostOfConvInteger(const Node&, std::span<const TensorType> inputs,
                       std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 2 * Elements(outputs[0]) * SliceElements(inputs[kB]));
}
Cost CostOfMatMul(const Node&, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  double k = 0;
  if (const auto& a = inputs[0].shape; a && a->rank() > 0)
    k = static_cast<double>((*a)[a->rank() - 1].TryValue().value_or(0));
  return Traffic(inputs, outputs, 2 * k * Elements(outputs[0]));
}

constexpr TypeSet kBytes = Bit(DType::kInt8) | Bit(DType::kUInt8);
constexpr TypeSet kSums = Bit(DType::kInt32);
constexpr Port kQLinearConvInputs[] = {
    {"x", "[N, C, spatial...]", kBytes},
    {"x_scale", "one element", kFloats},
    {"x_zero", "one element, of x's type", kBytes},
    {"w", "[M, C/group, kernel...]", kBytes},
    {"w_scale", "one element or [M]", kFloats},
    {"w_zero", "one element or [M], of w's type", kBytes},
    {"y_scale", "one element", kFloats},
    {"y_zero", "one element", kBytes},
    {"bias", "[M], in units of x_scale * w_scale", kSums, Arity::kOptional},
};
constexpr Port kQLinearConvOutputs[] = {{"y", "[N, M, spatial...], of y_zero's type", kBytes}};
constexpr Port kConvIntegerInputs[] = {
    {"x", "[N, C, spatial...]", kBytes},
    {"w", "[M, C/group, kernel...]", kBytes},
    {"x_zero", "one element, of x's type", kBytes, Arity::kOptional},
    {"w_zero", "one element or [M], of w's type", kBytes, Arity::kOptional},
};
constexpr Port kConvIntegerOutputs[] = {{"y", "[N, M, spatial...]", kSums}};
constexpr Port kQLinearMatMulInputs[] = {
    {"a", "[batch..., m, k]", kBytes},
    {"a_scale", "one element, or one per row", kFloats},
    {"a_zero", "as a_scale, of a's type", kBytes},
    {"b", "[batch..., k, n]", kBytes},
    {"b_scale", "one element, or one per column", kFloats},
    {"b_zero", "as b_scale, of b's type", kBytes},
    {"y_scale", "one element", kFloats},
    {"y_zero", "one element", kBytes},
};
constexpr Port kQLinearMatMulOutputs[] = {{"y", "[batch..., m, n], of y_zero's type", kBytes}};
constexpr Port kMatMulIntegerInputs[] = {
    {"a", "[batch..., m, k]", kBytes},
    {"b", "[batch..., k, n]", kBytes},
    {"a_zero", "one element, or one per row", kBytes, Arity::kOptional},
    {"b_zero", "one element, or one per column", kBytes, Arity::kOptional},
};
constexpr Port kMatMulIntegerOutputs[] = {{"y", "[batch..., m, n]", kSums}};

}  // namespace

namespace op {

constinit const OpDef kQLinearConv = {
    .name = "QLinearConv",
    .summary = "Convolution of quantised tensors: y = quantised act(conv(x, w) + bias).",
    .inputs = kQLinearConvInputs,
    .outputs = kQLinearConvOutputs,
    .fields = kConvFields,
    .default_params = DefaultParams<ConvParams>,
    .build_params = BuildParams<ConvParams>,
    .infer = InferQLinearConv,
    .evaluate = EvaluateQLinearConv,
    .cost = CostOfQLinearConv,
};

constinit const OpDef kConvInteger = {
    .name = "ConvInteger",
    .summary = "Convolution of x - x_zero and w - w_zero as int32.",
    .inputs = kConvIntegerInputs,
    .outputs = kConvIntegerOutputs,
    .fields = kConvFields,
    .default_params = DefaultParams<ConvParams>,
    .build_params = BuildParams<ConvParams>,
    .infer = InferConvInteger,
    .evaluate = EvaluateConvInteger,
    .cost = CostOfConvInteger,
};

constinit const OpDef kQLinearMatMul = {
    .name = "QLinearMatMul",
    .summary = "Matrix product of quantised tensors, quantised.",
    .inputs = kQLinearMatMulInputs,
    .outputs = kQLinearMatMulOutputs,
    .default_params = DefaultParams<NoParams>,
    .build_params = BuildParams<NoParams>,
    .infer = InferQLinearMatMul,
    .evaluate = EvaluateQLinearMatMul,
    .cost = CostOfMatMul,
};

constinit const OpDef kMatMulInteger = {
    .name = "MatMulInteger",
    .summary = "Matrix product of a - a_zero and b - b_zero as int32.",
    .inputs = kMatMulIntegerInputs,
    .outputs = kMatMulIntegerOutputs,
    .default_params = DefaultParams<NoParams>,
    .build_params = BuildParams<NoParams>,
    .infer = InferMatMulInteger,
    .evaluate = EvaluateMatMulInteger,
    .cost = CostOfMatMul,
};

}  // namespace op
}  // namespace sula
