#include "ops/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/elements.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr Port kNumberInputs[] = {
    {"x", "any shape", kNumbers},
    {"axes", "1-D; absent: the field axes", Bit(DType::kInt64), Arity::kOptional}};
constexpr Port kAnyInputs[] = {
    {"x", "any shape"},
    {"axes", "1-D; absent: the field axes", Bit(DType::kInt64), Arity::kOptional}};
constexpr Port kNumberY[] = {{"y", "type of x", kNumbers}};
constexpr Port kAnyY[] = {{"y", "type of x"}};

constexpr Field kFields[] = {
    MakeField<&ReduceParams::axes>("axes", "reduced; empty: all"),
    MakeField<&ReduceParams::keepdims>("keepdims", "reduced axes stay, with size 1"),
    MakeField<&ReduceParams::noop_with_empty_axes>("noop_with_empty_axes",
                                                   "no axes: nothing is reduced")};

// ---- shapes

Shape ReducedShape(const Shape& x, const std::vector<bool>& reduced, bool keepdims) {
  std::vector<Dim> y;
  for (int i = 0; i < x.rank(); ++i) {
    if (!reduced[i]) {
      y.push_back(x[i]);
    } else if (keepdims) {
      y.push_back(1);
    }
  }
  return Shape(std::move(y));
}

Status InferReduce(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  const auto& p = ctx.params<ReduceParams>();
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (ctx.HasInput(1) && !KnownNumbers(ctx, 1)) {
    ctx.SetOutput(0, {type, std::nullopt});
    if (p.keepdims) ctx.SetOutput(0, {type, FreshShape(ctx, x.rank())});
    return {};
  }
  const auto axes = KnownNumbers(ctx, 1).value_or(p.axes);
  ASSIGN_OR_RETURN(const std::vector<bool> reduced, ReducedAxes(p, axes, x.rank()));
  ctx.SetOutput(0, {type, ReducedShape(x, reduced, p.keepdims)});
  return {};
}

Cost ReduceCost(const Node&, std::span<const TensorType> inputs,
                std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, Elements(inputs[0]));
}

// ---- evaluation: accumulators of all output elements, then one walk over x

// What a reduction computes: `first` starts the accumulators, Step adds an element, Finish turns
// the accumulator of `n` elements into the result.
struct Sum {
  template <class T>
  static T First(DType) {
    return 0;
  }
  static double Step(double sum, double x) { return sum + x; }
  static int64_t Step(int64_t sum, int64_t x) {
    return static_cast<int64_t>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(x));
  }
  template <class T>
  static T Finish(T sum, int64_t) {
    return sum;
  }
};
struct Mean : Sum {
  static double Finish(double sum, int64_t n) { return sum / static_cast<double>(n); }
  static int64_t Finish(int64_t sum, int64_t n) { return n == 0 ? 0 : sum / n; }
};
struct Product : Sum {
  template <class T>
  static T First(DType) {
    return 1;
  }
  static double Step(double product, double x) { return product * x; }
  static int64_t Step(int64_t product, int64_t x) {
    return static_cast<int64_t>(static_cast<uint64_t>(product) * static_cast<uint64_t>(x));
  }
};
struct Maximum : Sum {
  template <class T>
  static T First(DType type) {
    if constexpr (std::is_same_v<T, double>) return -std::numeric_limits<double>::infinity();
    return static_cast<T>(LowestInt(type));
  }
  static double Step(double max, double x) { return x > max || std::isnan(x) ? x : max; }
  static int64_t Step(int64_t max, int64_t x) { return std::max(max, x); }
};
struct Minimum : Sum {
  template <class T>
  static T First(DType type) {
    if constexpr (std::is_same_v<T, double>) return std::numeric_limits<double>::infinity();
    return static_cast<T>(HighestInt(type));
  }
  static double Step(double min, double x) { return x < min || std::isnan(x) ? x : min; }
  static int64_t Step(int64_t min, int64_t x) { return std::min(min, x); }
};
struct AbsoluteSum : Sum {
  static double Step(double sum, double x) { return sum + std::fabs(x); }
  static int64_t Step(int64_t sum, int64_t x) {
    const uint64_t magnitude = x < 0 ? -static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
    return Sum::Step(sum, static_cast<int64_t>(magnitude));
  }
};
struct SquareSum : Sum {
  static double Step(double sum, double x) { return sum + x * x; }
  static int64_t Step(int64_t sum, int64_t x) { return Sum::Step(sum, Product::Step(x, x)); }
};
// The next three are computed in double for integers too.
struct Norm : SquareSum {
  static double Finish(double sum, int64_t) { return std::sqrt(sum); }
};
struct LogSum : Sum {
  static double Finish(double sum, int64_t) { return std::log(sum); }
};

// Where a reduction goes: for each axis of x the stride of the accumulators, 0 if reduced.
struct Walk {
  std::vector<Dims> strides;  // of x, of the accumulators
  int64_t outputs = 1;        // accumulators
  int64_t count = 1;          // elements of x for each
};

Result<Walk> MakeWalk(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto& p = ctx.params<ReduceParams>();
  const std::vector<int64_t> axes = ctx.HasInput(1) ? ctx.input(1).ToInts() : p.axes;
  ASSIGN_OR_RETURN(const std::vector<bool> reduced, ReducedAxes(p, axes, x.rank()));
  Walk walk{{RowMajorStrides(x.dims()), Dims(x.rank(), 0)}};
  for (int i = x.rank() - 1; i >= 0; --i) {
    if (reduced[i]) {
      walk.count *= x.dim(i);
    } else {
      walk.strides[1][i] = walk.outputs;
      walk.outputs *= x.dim(i);
    }
  }
  return walk;
}

// acc[its accumulator] = step(acc, x) for every element of x.
template <class T, class StepFn>
void Accumulate(const Tensor& x, const Walk& walk, std::vector<T>& acc, StepFn step) {
  constexpr int64_t kBlock = 1024;
  T block[kBlock];
  ForEachRow(x.dims(), walk.strides,
             [&](std::span<const int64_t> offsets, std::span<const int64_t> steps, int64_t row) {
               for (int64_t first = 0; first < row; first += kBlock) {
                 const int64_t n = std::min(kBlock, row - first);
                 Load(x, offsets[0] + first * steps[0], steps[0], n, block);
                 T* to = acc.data() + offsets[1] + first * steps[1];
                 if (steps[1] == 0) {
                   T sum = *to;
                   for (int64_t i = 0; i < n; ++i) sum = step(sum, block[i], to);
                   *to = sum;
                 } else {
                   for (int64_t i = 0; i < n; ++i, to += steps[1]) *to = step(*to, block[i], to);
                 }
               }
             });
}

template <class Op, class T>
Status Reduce(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const Walk walk, MakeWalk(ctx));
  std::vector<T> acc(walk.outputs, Op::template First<T>(x.dtype()));
  Accumulate(x, walk, acc, [](T sum, T v, const T*) { return Op::Step(sum, v); });
  for (T& a : acc) a = Op::Finish(a, walk.count);
  Store(acc.data(), walk.outputs, *y, 0);
  return {};
}

template <class Op>
Status EvaluateReduce(EvalContext& ctx) {
  if (IsFloat(ctx.input(0).dtype())) return Reduce<Op, double>(ctx);
  return Reduce<Op, int64_t>(ctx);
}

// log(sum(exp(x))) as max + log(sum(exp(x - max))), so that exp does not overflow.
Status EvaluateLogSumExp(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const Walk walk, MakeWalk(ctx));
  std::vector<double> max(walk.outputs, Maximum::First<double>(x.dtype()));
  Accumulate(x, walk, max, [](double m, double v, const double*) { return Maximum::Step(m, v); });
  for (double& m : max)
    if (!std::isfinite(m)) m = 0;
  std::vector<double> sum(walk.outputs, 0.0);
  Accumulate(x, walk, sum, [&](double s, double v, const double* at) {
    return s + std::exp(v - max[at - sum.data()]);
  });
  for (int64_t i = 0; i < walk.outputs; ++i) sum[i] = max[i] + std::log(sum[i]);
  Store(sum.data(), walk.outputs, *y, 0);
  return {};
}

constexpr OpDef ReduceOp(std::string_view name, std::string_view summary,
                         Status (*evaluate)(EvalContext&)) {
  return {.name = name,
          .summary = summary,
          .inputs = kNumberInputs,
          .outputs = kNumberY,
          .fields = kFields,
          .default_params = DefaultParams<ReduceParams>,
          .build_params = BuildParams<ReduceParams>,
          .infer = InferReduce,
          .evaluate = evaluate,
          .cost = ReduceCost};
}

// bool besides: a maximum is "any", a minimum "all".
constexpr OpDef ExtremumOp(std::string_view name, std::string_view summary,
                           Status (*evaluate)(EvalContext&)) {
  OpDef op = ReduceOp(name, summary, evaluate);
  op.inputs = kAnyInputs;
  op.outputs = kAnyY;
  return op;
}

}  // namespace

Result<std::vector<bool>> ReducedAxes(const ReduceParams& params, std::span<const int64_t> axes,
                                      int rank) {
  if (axes.empty()) return std::vector<bool>(rank, !params.noop_with_empty_axes);
  std::vector<bool> reduced(rank, false);
  for (int64_t given : axes) {
    ASSIGN_OR_RETURN(const int axis, NormalizeAxis(given, rank));
    if (reduced[axis]) return InvalidModel("axis ", given, " is reduced twice");
    reduced[axis] = true;
  }
  return reduced;
}

namespace op {

constinit const OpDef kReduceSum =
    ReduceOp("ReduceSum", "y = sum of x over axes; integers wrap", EvaluateReduce<Sum>);
constinit const OpDef kReduceMean = ReduceOp(
    "ReduceMean", "y = mean of x over axes; integers are cut towards zero", EvaluateReduce<Mean>);
constinit const OpDef kReduceMax =
    ExtremumOp("ReduceMax", "y = maximum of x over axes", EvaluateReduce<Maximum>);
constinit const OpDef kReduceMin =
    ExtremumOp("ReduceMin", "y = minimum of x over axes", EvaluateReduce<Minimum>);
constinit const OpDef kReduceProd =
    ReduceOp("ReduceProd", "y = product of x over axes; integers wrap", EvaluateReduce<Product>);
constinit const OpDef kReduceL1 =
    ReduceOp("ReduceL1", "y = sum of |x| over axes", EvaluateReduce<AbsoluteSum>);
constinit const OpDef kReduceL2 =
    ReduceOp("ReduceL2", "y = sqrt of the sum of x^2 over axes", Reduce<Norm, double>);
constinit const OpDef kReduceLogSum =
    ReduceOp("ReduceLogSum", "y = log of the sum of x over axes", Reduce<LogSum, double>);
constinit const OpDef kReduceLogSumExp =
    ReduceOp("ReduceLogSumExp", "y = log of the sum of exp(x) over axes", EvaluateLogSumExp);
constinit const OpDef kReduceSumSquare =
    ReduceOp("ReduceSumSquare", "y = sum of x^2 over axes", EvaluateReduce<SquareSum>);

}  // namespace op
}  // namespace sula
