// Operators of one input: y[i] = f(x[i]).
#include <cmath>

#include "ops/elementwise.h"
#include "ops/elementwise_loops.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr Port kFloatX[] = {{"x", "any shape", kFloats}};
constexpr Port kNumberX[] = {{"x", "any shape", kNumbers}};
constexpr Port kBoolX[] = {{"x", "any shape", kBools}};
constexpr Port kFloatY[] = {{"y", "shape and type of x", kFloats}};
constexpr Port kNumberY[] = {{"y", "shape and type of x", kNumbers}};
constexpr Port kBoolY[] = {{"y", "shape of x", kBools}};

constexpr uint32_t kUnaryTraits = kElementwise | kInPlace | kLayoutAgnostic;

constexpr Field kAlphaField[] = {MakeField<&AlphaParams::alpha>("alpha", "see the formula")};
constexpr Field kAlphaFields[] = {MakeField<&AlphaParams::alpha>("alpha", "see the formula"),
                                  MakeField<&AlphaParams::beta>("beta", "see the formula")};
constexpr Field kGeluFields[] = {
    MakeField<&GeluParams::tanh>("tanh", "the approximation by tanh instead of erf")};

template <auto kF>
Status EvaluateFloat(EvalContext& ctx) {
  return MapDoubles(ctx, [](double* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[i] = kF(x[i]);
  });
}

template <auto kF>
Status EvaluateAlpha(EvalContext& ctx) {
  const AlphaParams p = ctx.params<AlphaParams>();
  return MapDoubles(ctx, [&](double* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[i] = kF(x[i], p.alpha, p.beta);
  });
}

template <auto kFloat, auto kInt>
Status EvaluateNumber(EvalContext& ctx) {
  if (IsFloat(ctx.input(0).dtype())) return EvaluateFloat<kFloat>(ctx);
  return MapInts(ctx, [](int64_t* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[i] = kInt(x[i]);
  });
}

Status InferBool(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kBool, ctx.input(0).shape});
  return {};
}

// y = f(x), f on doubles.
template <auto kF>
constexpr OpDef FloatOp(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .inputs = kFloatX,
          .outputs = kFloatY,
          .infer = InferLikeInput,
          .evaluate = EvaluateFloat<kF>,
          .cost = ElementwiseCost,
          .traits = kUnaryTraits};
}

// The same for integers too.
template <auto kFloat, auto kInt>
constexpr OpDef NumberOp(std::string_view name, std::string_view summary) {
  OpDef op = FloatOp<kFloat>(name, summary);
  op.inputs = kNumberX;
  op.outputs = kNumberY;
  op.evaluate = EvaluateNumber<kFloat, kInt>;
  return op;
}

// y = f(x, alpha, beta).
template <auto kF>
constexpr OpDef AlphaOp(std::string_view name, std::string_view summary,
                        std::span<const Field> fields) {
  return {.name = name,
          .summary = summary,
          .inputs = kFloatX,
          .outputs = kFloatY,
          .fields = fields,
          .default_params = DefaultParams<AlphaParams>,
          .build_params = BuildParams<AlphaParams>,
          .infer = InferLikeInput,
          .evaluate = EvaluateAlpha<kF>,
          .cost = ElementwiseCost,
          .traits = kUnaryTraits};
}

// y is bool.
constexpr OpDef TestOp(std::string_view name, std::string_view summary,
                       std::span<const Port> inputs, Status (*evaluate)(EvalContext&)) {
  return {.name = name,
          .summary = summary,
          .inputs = inputs,
          .outputs = kBoolY,
          .infer = InferBool,
          .evaluate = evaluate,
          .cost = ElementwiseCost,
          .traits = kUnaryTraits};
}

template <ActivationKind kKind>
double Activated(double x) {
  return Apply({.kind = kKind}, x);
}
template <ActivationKind kKind>
double ActivatedAlpha(double x, float alpha, float beta) {
  return Apply({.kind = kKind, .a = alpha, .b = beta}, x);
}

// log(1 + e^x) without overflow.
double Softplus(double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x))); }

double GeluTanh(double x) {
  constexpr double kSqrt2OverPi = 0.79788456080286535588;
  return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x)));
}

Status EvaluateGelu(EvalContext& ctx) {
  if (ctx.params<GeluParams>().tanh) return EvaluateFloat<GeluTanh>(ctx);
  return EvaluateFloat<Activated<ActivationKind::kGelu>>(ctx);
}

Status EvaluateNot(EvalContext& ctx) {
  return MapInts(ctx, [](int64_t* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[i] = !x[i];
  });
}

template <class T>
T SignOf(T x) {
  return x > 0 ? T{1} : x < 0 ? T{-1} : x;
}

double AboveThreshold(double x, double alpha, double) { return x > alpha ? x : 0; }

// The lowest integer has no opposite in its type and stays itself.
int64_t WrappingNegate(int64_t x) { return static_cast<int64_t>(-static_cast<uint64_t>(x)); }

}  // namespace

namespace op {

constinit const OpDef kRelu =
    NumberOp<Activated<ActivationKind::kRelu>, [](int64_t x) { return x < 0 ? 0 : x; }>(
        "Relu", "y = max(x, 0)");
constinit const OpDef kSigmoid =
    FloatOp<Activated<ActivationKind::kSigmoid>>("Sigmoid", "y = 1 / (1 + exp(-x))");
constinit const OpDef kTanh = FloatOp<Activated<ActivationKind::kTanh>>("Tanh", "y = tanh(x)");
constinit const OpDef kHardSwish = FloatOp<Activated<ActivationKind::kHardSwish>>(
    "HardSwish", "y = x * min(max(x / 6 + 1/2, 0), 1)");
constinit const OpDef kSoftplus = FloatOp<Softplus>("Softplus", "y = log(1 + exp(x))");
constinit const OpDef kSoftsign =
    FloatOp<[](double x) { return x / (1 + std::fabs(x)); }>("Softsign", "y = x / (1 + |x|)");
constinit const OpDef kMish = FloatOp<[](double x) { return x * std::tanh(Softplus(x)); }>(
    "Mish", "y = x * tanh(log(1 + exp(x)))");
constinit const OpDef kErf =
    FloatOp<[](double x) { return std::erf(x); }>("Erf", "y = erf(x), the error function");
constinit const OpDef kNeg =
    NumberOp<[](double x) { return -x; }, WrappingNegate>("Neg", "y = -x; integers wrap");
constinit const OpDef kAbs = NumberOp<[](double x) { return std::fabs(x); },
                                      [](int64_t x) { return x < 0 ? WrappingNegate(x) : x; }>(
    "Abs", "y = |x|; integers wrap");
constinit const OpDef kExp = FloatOp<[](double x) { return std::exp(x); }>("Exp", "y = e^x");
constinit const OpDef kLog =
    FloatOp<[](double x) { return std::log(x); }>("Log", "y = ln(x); NaN below 0");
constinit const OpDef kSqrt =
    FloatOp<[](double x) { return std::sqrt(x); }>("Sqrt", "y = sqrt(x); NaN below 0");
constinit const OpDef kReciprocal =
    FloatOp<[](double x) { return 1 / x; }>("Reciprocal", "y = 1 / x");
constinit const OpDef kFloor =
    FloatOp<[](double x) { return std::floor(x); }>("Floor", "y = x rounded down");
constinit const OpDef kCeil =
    FloatOp<[](double x) { return std::ceil(x); }>("Ceil", "y = x rounded up");
constinit const OpDef kRound = FloatOp<[](double x) { return std::nearbyint(x); }>(
    "Round", "y = x rounded to the nearest integer, halves to the even one");
constinit const OpDef kSign =
    NumberOp<SignOf<double>, SignOf<int64_t>>("Sign", "y = -1, 0 or 1 by the sign of x; NaN stays");
constinit const OpDef kSin = FloatOp<[](double x) { return std::sin(x); }>("Sin", "y = sin(x)");
constinit const OpDef kCos = FloatOp<[](double x) { return std::cos(x); }>("Cos", "y = cos(x)");
constinit const OpDef kTan = FloatOp<[](double x) { return std::tan(x); }>("Tan", "y = tan(x)");
constinit const OpDef kAsin =
    FloatOp<[](double x) { return std::asin(x); }>("Asin", "y = arcsin(x)");
constinit const OpDef kAcos =
    FloatOp<[](double x) { return std::acos(x); }>("Acos", "y = arccos(x)");
constinit const OpDef kAtan =
    FloatOp<[](double x) { return std::atan(x); }>("Atan", "y = arctan(x)");
constinit const OpDef kSinh = FloatOp<[](double x) { return std::sinh(x); }>("Sinh", "y = sinh(x)");
constinit const OpDef kCosh = FloatOp<[](double x) { return std::cosh(x); }>("Cosh", "y = cosh(x)");
constinit const OpDef kAsinh =
    FloatOp<[](double x) { return std::asinh(x); }>("Asinh", "y = arsinh(x)");
constinit const OpDef kAcosh =
    FloatOp<[](double x) { return std::acosh(x); }>("Acosh", "y = arcosh(x)");
constinit const OpDef kAtanh =
    FloatOp<[](double x) { return std::atanh(x); }>("Atanh", "y = artanh(x)");

constinit const OpDef kNot = TestOp("Not", "y = not x", kBoolX, EvaluateNot);
constinit const OpDef kIsNaN =
    TestOp("IsNaN", "y = whether x is NaN", kFloatX,
           EvaluateFloat<[](double x) { return std::isnan(x) ? 1.0 : 0.0; }>);
constinit const OpDef kIsInf =
    TestOp("IsInf", "y = whether x is plus or minus infinity", kFloatX,
           EvaluateFloat<[](double x) { return std::isinf(x) ? 1.0 : 0.0; }>);

constinit const OpDef kLeakyRelu = AlphaOp<ActivatedAlpha<ActivationKind::kLeakyRelu>>(
    "LeakyRelu", "y = x < 0 ? alpha * x : x", kAlphaField);
constinit const OpDef kElu =
    AlphaOp<[](double x, double alpha, double) { return x < 0 ? alpha * std::expm1(x) : x; }>(
        "Elu", "y = x < 0 ? alpha * (exp(x) - 1) : x", kAlphaField);
constinit const OpDef kSelu = AlphaOp<[](double x, double alpha, double gamma) {
  return gamma * (x < 0 ? alpha * std::expm1(x) : x);
}>("Selu", "y = beta * (x < 0 ? alpha * (exp(x) - 1) : x)", kAlphaFields);
constinit const OpDef kCelu = AlphaOp<[](double x, double alpha, double) {
  return x < 0 ? alpha * std::expm1(x / alpha) : x;
}>("Celu", "y = x < 0 ? alpha * (exp(x / alpha) - 1) : x", kAlphaField);
constinit const OpDef kHardSigmoid = AlphaOp<ActivatedAlpha<ActivationKind::kHardSigmoid>>(
    "HardSigmoid", "y = min(max(alpha * x + beta, 0), 1)", kAlphaFields);
constinit const OpDef kSwish = AlphaOp<ActivatedAlpha<ActivationKind::kSwish>>(
    "Swish", "y = x / (1 + exp(-alpha * x))", kAlphaField);
constinit const OpDef kThresholdedRelu =
    AlphaOp<AboveThreshold>("ThresholdedRelu", "y = x > alpha ? x : 0", kAlphaField);

constinit const OpDef kGelu = {
    .name = "Gelu",
    .summary =
        "y = x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2))), or its approximation "
        "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))",
    .inputs = kFloatX,
    .outputs = kFloatY,
    .fields = kGeluFields,
    .default_params = DefaultParams<GeluParams>,
    .build_params = BuildParams<GeluParams>,
    .infer = InferLikeInput,
    .evaluate = EvaluateGelu,
    .cost = ElementwiseCost,
    .traits = kUnaryTraits};

}  // namespace op
}  // namespace sula
