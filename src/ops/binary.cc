// Operators of two inputs with numpy's broadcasting: y = f(a, b).
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/checks.h"
#include "ops/elementwise.h"
#include "ops/elementwise_loops.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr Port kNumberInputs[] = {{"a", "any shape", kNumbers},
                                  {"b", "broadcast with a; same type", kNumbers}};
constexpr Port kAnyInputs[] = {{"a", "any shape"}, {"b", "broadcast with a; same type"}};
constexpr Port kBoolInputs[] = {{"a", "any shape", kBools}, {"b", "broadcast with a", kBools}};
constexpr Port kPowInputs[] = {{"a", "base", kNumbers},
                               {"b", "exponent, broadcast with a, of any type", kNumbers}};
constexpr Port kPReluInputs[] = {{"x", "any shape", kNumbers},
                                 {"slope", "broadcasts to the shape of x; same type", kNumbers}};
constexpr Port kNumberOutput[] = {{"y", "the broadcast shape; type of a", kNumbers}};
constexpr Port kBoolOutput[] = {{"y", "the broadcast shape", kBools}};

constexpr Field kModFields[] = {
    MakeField<&ModParams::fmod>("fmod", "sign of a (C's fmod and %) instead of that of b")};

constexpr uint32_t kBinaryTraits = kElementwise | kInPlace | kLayoutAgnostic;

// ---- inference

Status InferBroadcast(InferContext& ctx, DType result) {
  ctx.SetOutput(0, {result, std::nullopt});
  ASSIGN_OR_RETURN(Shape a, ctx.InputShape(0));
  ASSIGN_OR_RETURN(Shape b, ctx.InputShape(1));
  ASSIGN_OR_RETURN(Shape y, BroadcastShapes(a, b));
  ctx.SetOutput(0, {result, std::move(y)});
  return {};
}

Status InferSameType(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1}));
  return InferBroadcast(ctx, ctx.InputType(0));
}

Status InferPow(InferContext& ctx) { return InferBroadcast(ctx, ctx.InputType(0)); }

Status InferTest(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1}));
  return InferBroadcast(ctx, DType::kBool);
}

Status InferPRelu(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1}));
  RETURN_IF_ERROR(InferLikeInput(ctx));
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(Shape slope, ctx.InputShape(1));
  auto y = BroadcastShapes(x, slope);
  if (!y || y->rank() != x.rank() || !MayEqual(*y, x)) {
    return InvalidModel("slope ", slope.ToString(), " does not broadcast to x ", x.ToString());
  }
  return {};
}

using DimFn = std::optional<Dim> (*)(const Dim& a, const Dim& b);

// Whether d is small enough to be part of a size; other integers (masks, sentinels) are data.
bool IsSizeLike(const Dim& d) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  return !d.is_const() || (d.value() >= -kLimit && d.value() <= kLimit);
}

// Follows sizes through arithmetic on small integer vectors.
void CombineContents(InferContext& ctx, DimFn f) {
  const auto a = KnownInts(ctx, 0), b = KnownInts(ctx, 1);
  if (!a || !b || ctx.input(0).shape->rank() > 1 || ctx.input(1).shape->rank() > 1) return;
  const size_t n = a->size() == 1 ? b->size() : a->size();
  if ((b->size() != n && b->size() != 1) || n > kMaxContents) return;
  std::vector<Dim> y;
  for (size_t i = 0; i < n; ++i) {
    const Dim& u = (*a)[a->size() == 1 ? 0 : i];
    const Dim& v = (*b)[b->size() == 1 ? 0 : i];
    if (!IsSizeLike(u) || !IsSizeLike(v)) return;
    const auto d = f(u, v);
    if (!d) return;
    y.push_back(*d);
  }
  ctx.SetOutputContents(0, std::move(y));
}

template <DimFn kF>
Status InferArithmetic(InferContext& ctx) {
  RETURN_IF_ERROR(InferSameType(ctx));
  if (ctx.params<BinaryParams>().activation != ActivationKind::kNone) {
    if (!IsFloat(ctx.InputType(0)))
      return InvalidModel("a fused activation needs floats, not ", Name(ctx.InputType(0)));
    return {};
  }
  if (!IsFloat(ctx.InputType(0))) CombineContents(ctx, kF);
  return {};
}

template <DimFn kF>
Status InferExtremum(InferContext& ctx) {
  RETURN_IF_ERROR(InferSameType(ctx));
  if (!IsFloat(ctx.InputType(0))) CombineContents(ctx, kF);
  return {};
}

// Sizes are not negative, so that rounding down is rounding towards zero; numbers that are go
// through Evaluate once they are constant.
std::optional<Dim> QuotientOfSizes(const Dim& a, const Dim& b) {
  if (b.is_const() && b.value() <= 0) return std::nullopt;
  if (a.is_const() && a.value() < 0) return std::nullopt;
  return FloorDiv(a, b);
}

// ---- integer arithmetic: wraps modulo 2^bits of the type

int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t WrappingSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t WrappingMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

// Towards zero; 0 if b is 0.
int64_t TruncatedDiv(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? WrappingSub(0, a) : a / b;
}

// The sign of a; 0 if b is 0.
int64_t TruncatedMod(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

// The sign of b (Python's %); 0 if b is 0.
int64_t FlooredMod(int64_t a, int64_t b) {
  const int64_t r = TruncatedMod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
double FlooredMod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// By squaring; a negative exponent gives the real power cut towards zero (0 for the base 0).
int64_t IntegerPow(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  }
  int64_t y = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) y = WrappingMul(y, base);
    base = WrappingMul(base, base);
  }
  return y;
}

// NaN wins, as in numpy.
double Larger(double a, double b) { return a > b || std::isnan(a) ? a : b; }
double Smaller(double a, double b) { return a < b || std::isnan(a) ? a : b; }

// ---- evaluation

template <auto kF>
Status EvaluateDoubles(EvalContext& ctx) {
  return CombineDoubles(ctx, [](double* a, const double* b, int64_t n) {
    for (int64_t i = 0; i < n; ++i) a[i] = kF(a[i], b[i]);
  });
}

template <auto kF>
Status EvaluateInts(EvalContext& ctx) {
  return CombineInts(ctx, [](int64_t* a, const int64_t* b, int64_t n) {
    for (int64_t i = 0; i < n; ++i) a[i] = kF(a[i], b[i]);
  });
}

template <auto kDouble, auto kInt>
Status EvaluateEither(EvalContext& ctx) {
  if (!IsFloat(ctx.input(0).dtype())) return EvaluateInts<kInt>(ctx);
  return EvaluateDoubles<kDouble>(ctx);
}

template <auto kDouble, auto kInt>
Status EvaluateArithmetic(EvalContext& ctx) {
  const Activation act = ctx.params<BinaryParams>().Fused();
  if (act.kind == ActivationKind::kNone) return EvaluateEither<kDouble, kInt>(ctx);
  return CombineDoubles(ctx, [&](double* a, const double* b, int64_t n) {
    for (int64_t i = 0; i < n; ++i) a[i] = Apply(act, kDouble(a[i], b[i]));
  });
}

Status EvaluatePow(EvalContext& ctx) {
  if (IsFloat(ctx.input(0).dtype()) || IsFloat(ctx.input(1).dtype()))
    return EvaluateDoubles<[](double a, double b) { return std::pow(a, b); }>(ctx);
  return EvaluateInts<IntegerPow>(ctx);
}

Status EvaluateMod(EvalContext& ctx) {
  if (!IsFloat(ctx.input(0).dtype())) {
    if (ctx.params<ModParams>().fmod) return EvaluateInts<TruncatedMod>(ctx);
    return EvaluateInts<[](int64_t a, int64_t b) { return FlooredMod(a, b); }>(ctx);
  }
  if (ctx.params<ModParams>().fmod)
    return EvaluateDoubles<[](double a, double b) { return std::fmod(a, b); }>(ctx);
  return EvaluateDoubles<[](double a, double b) { return FlooredMod(a, b); }>(ctx);
}

// ---- definitions

template <auto kDouble, auto kInt, DimFn kDim>
constexpr OpDef ArithmeticOp(std::string_view name, std::string_view summary, uint32_t traits) {
  return {.name = name,
          .summary = summary,
          .inputs = kNumberInputs,
          .outputs = kNumberOutput,
          .fields = kActivationFields<BinaryParams>,
          .default_params = DefaultParams<BinaryParams>,
          .build_params = BuildParams<BinaryParams>,
          .infer = InferArithmetic<kDim>,
          .evaluate = EvaluateArithmetic<kDouble, kInt>,
          .cost = ElementwiseCost,
          .traits = kBinaryTraits | traits};
}

constexpr OpDef BinaryOp(std::string_view name, std::string_view summary,
                         std::span<const Port> inputs, std::span<const Port> outputs,
                         Status (*infer)(InferContext&), Status (*evaluate)(EvalContext&),
                         uint32_t traits = 0) {
  return {.name = name,
          .summary = summary,
          .inputs = inputs,
          .outputs = outputs,
          .infer = infer,
          .evaluate = evaluate,
          .cost = ElementwiseCost,
          .traits = kBinaryTraits | traits};
}

// y is bool; kTest is a generic comparison.
template <auto kTest>
constexpr OpDef Comparison(std::string_view name, std::string_view summary,
                           std::span<const Port> inputs, uint32_t traits = 0) {
  return BinaryOp(
      name, summary, inputs, kBoolOutput, InferTest,
      EvaluateEither<kTest, [](int64_t a, int64_t b) -> int64_t { return kTest(a, b); }>, traits);
}

}  // namespace

namespace op {

constinit const OpDef kAdd =
    ArithmeticOp<[](double a, double b) { return a + b; }, WrappingAdd,
                 [](const Dim& a, const Dim& b) { return std::optional<Dim>(a + b); }>(
        "Add", "y = act(a + b); integers wrap", kCommutative);
constinit const OpDef kSub =
    ArithmeticOp<[](double a, double b) { return a - b; }, WrappingSub,
                 [](const Dim& a, const Dim& b) { return std::optional<Dim>(a - b); }>(
        "Sub", "y = act(a - b); integers wrap", 0);
constinit const OpDef kMul =
    ArithmeticOp<[](double a, double b) { return a * b; }, WrappingMul,
                 [](const Dim& a, const Dim& b) { return std::optional<Dim>(a * b); }>(
        "Mul", "y = act(a * b); integers wrap", kCommutative);
constinit const OpDef kDiv =
    ArithmeticOp<[](double a, double b) { return a / b; }, TruncatedDiv, QuotientOfSizes>(
        "Div", "y = act(a / b); integers round towards zero, and give 0 where b is 0", 0);

constinit const OpDef kPow =
    BinaryOp("Pow",
             "y = a to the power of b, in the type of a; an integer to a negative integer power is "
             "cut towards zero (0 for a = 0)",
             kPowInputs, kNumberOutput, InferPow, EvaluatePow);
constinit const OpDef kMax = BinaryOp(
    "Max", "y = the larger of a and b; NaN if one is NaN", kNumberInputs, kNumberOutput,
    InferExtremum<[](const Dim& a, const Dim& b) { return std::optional<Dim>(Max(a, b)); }>,
    EvaluateEither<Larger, [](int64_t a, int64_t b) { return std::max(a, b); }>, kCommutative);
constinit const OpDef kMin = BinaryOp(
    "Min", "y = the smaller of a and b; NaN if one is NaN", kNumberInputs, kNumberOutput,
    InferExtremum<[](const Dim& a, const Dim& b) { return std::optional<Dim>(Min(a, b)); }>,
    EvaluateEither<Smaller, [](int64_t a, int64_t b) { return std::min(a, b); }>, kCommutative);
constinit const OpDef kPRelu = BinaryOp(
    "PRelu", "y = x < 0 ? slope * x : x", kPReluInputs, kNumberOutput, InferPRelu,
    EvaluateEither<[](double x, double slope) { return x < 0 ? slope * x : x; },
                   [](int64_t x, int64_t slope) { return x < 0 ? WrappingMul(slope, x) : x; }>);
constinit const OpDef kMod = {
    .name = "Mod",
    .summary =
        "y = remainder of a / b with the sign of b (fmod: of a); integers give 0 where b "
        "is 0, floats NaN",
    .inputs = kNumberInputs,
    .outputs = kNumberOutput,
    .fields = kModFields,
    .default_params = DefaultParams<ModParams>,
    .build_params = BuildParams<ModParams>,
    .infer = InferSameType,
    .evaluate = EvaluateMod,
    .cost = ElementwiseCost,
    .traits = kBinaryTraits};

constinit const OpDef kEqual = Comparison<[](auto a, auto b) { return a == b; }>(
    "Equal", "y = a == b", kAnyInputs, kCommutative);
constinit const OpDef kLess =
    Comparison<[](auto a, auto b) { return a < b; }>("Less", "y = a < b", kNumberInputs);
constinit const OpDef kLessOrEqual =
    Comparison<[](auto a, auto b) { return a <= b; }>("LessOrEqual", "y = a <= b", kNumberInputs);
constinit const OpDef kGreater =
    Comparison<[](auto a, auto b) { return b < a; }>("Greater", "y = a > b", kNumberInputs);
constinit const OpDef kGreaterOrEqual = Comparison<[](auto a, auto b) { return b <= a; }>(
    "GreaterOrEqual", "y = a >= b", kNumberInputs);
constinit const OpDef kAnd =
    BinaryOp("And", "y = a and b", kBoolInputs, kBoolOutput, InferTest,
             EvaluateInts<[](int64_t a, int64_t b) { return a & b; }>, kCommutative);
constinit const OpDef kOr =
    BinaryOp("Or", "y = a or b", kBoolInputs, kBoolOutput, InferTest,
             EvaluateInts<[](int64_t a, int64_t b) { return a | b; }>, kCommutative);
constinit const OpDef kXor =
    BinaryOp("Xor", "y = a exclusive or b", kBoolInputs, kBoolOutput, InferTest,
             EvaluateInts<[](int64_t a, int64_t b) { return a ^ b; }>, kCommutative);

}  // namespace op
}  // namespace sula
