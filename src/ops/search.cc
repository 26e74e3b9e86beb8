// ArgMax, ArgMin, TopK, CumSum: operators that walk along one axis.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/elements.h"
#include "ops/reduce.h"
#include "ops/sizes.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr TypeSet kInt64 = Bit(DType::kInt64);

constexpr Port kNumberX[] = {{"x", "rank 1 or more", kNumbers}};
constexpr Port kIndicesY[] = {{"y", "places along axis", kInt64}};
constexpr Port kCumSumInputs[] = {{"x", "rank 1 or more", kNumbers}, {"axis", "scalar", kIndices}};
constexpr Port kCumSumY[] = {{"y", "shape and type of x", kNumbers}};
constexpr Port kTopKInputs[] = {{"x", "rank 1 or more", kNumbers},
                                {"k", "one element, at most the size of axis", kInt64}};
constexpr Port kTopKOutputs[] = {{"values", "type of x", kNumbers},
                                 {"indices", "places along axis", kInt64, Arity::kOptional}};

constexpr Field kArgFields[] = {
    MakeField<&ArgParams::axis>("axis", "searched"),
    MakeField<&ArgParams::keepdims>("keepdims", "axis stays, with size 1"),
    MakeField<&ArgParams::select_last_index>("select_last_index", "the last of equal ones")};
constexpr Field kCumSumFields[] = {
    MakeField<&CumSumParams::exclusive>("exclusive", "an element is not part of its own sum"),
    MakeField<&CumSumParams::reverse>("reverse", "from the end")};
constexpr Field kTopKFields[] = {
    MakeField<&TopKParams::axis>("axis", "searched"),
    MakeField<&TopKParams::largest>("largest", "the largest, else the smallest"),
    MakeField<&TopKParams::sorted>("sorted", "best first; results are sorted in any case")};

// The lines of a tensor along one axis: element i of line (o, s) lies at
// (o * size + i) * inner + s, for o < outer, s < inner.
struct Lines {
  int64_t outer = 1, size = 1, inner = 1;
  Lines(const Dims& dims, int axis) : size(dims[axis]) {
    for (int i = 0; i < axis; ++i) outer *= dims[i];
    for (int i = axis + 1; i < static_cast<int>(dims.size()); ++i) inner *= dims[i];
  }
};

// Puts NaN above all numbers, so that sorting is well defined.
bool Less(double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); }
bool Less(int64_t a, int64_t b) { return a < b; }

// ---- ArgMax, ArgMin

Status InferArg(InferContext& ctx) {
  const auto& p = ctx.params<ArgParams>();
  ctx.SetOutput(0, {DType::kInt64, std::nullopt});
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  if (x[axis] == Dim(0))
    return InvalidModel("axis ", axis, " of ", x.ToString(), " has nothing to search");
  std::vector<Dim> y = x.dims();
  if (p.keepdims) {
    y[axis] = 1;
  } else {
    y.erase(y.begin() + axis);
  }
  ctx.SetOutput(0, {DType::kInt64, Shape(std::move(y))});
  return {};
}

template <class T, bool kMax>
Status SearchExtremum(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto& p = ctx.params<ArgParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  const Lines lines(x.dims(), axis);
  int64_t* out = y->mutable_data<int64_t>().data();
  std::vector<T> line(lines.size);
  // NaN is the extremum in both directions, as in numpy.
  const auto better = [](T a, T b) {
    if constexpr (std::is_same_v<T, double>) {
      if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && !std::isnan(b);
    }
    return kMax ? a > b : a < b;
  };
  for (int64_t o = 0; o < lines.outer; ++o) {
    for (int64_t s = 0; s < lines.inner; ++s) {
      Load(x, o * lines.size * lines.inner + s, lines.inner, lines.size, line.data());
      int64_t best = 0;
      for (int64_t i = 1; i < lines.size; ++i) {
        const bool wins =
            p.select_last_index ? !better(line[best], line[i]) : better(line[i], line[best]);
        if (wins) best = i;
      }
      *out++ = best;
    }
  }
  return {};
}

template <bool kMax>
Status EvaluateArg(EvalContext& ctx) {
  if (IsFloat(ctx.input(0).dtype())) return SearchExtremum<double, kMax>(ctx);
  return SearchExtremum<int64_t, kMax>(ctx);
}

// ---- CumSum

Status InferCumSum(InferContext& ctx) {
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "axis"));
  RETURN_IF_ERROR(InferLikeInput(ctx));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (const auto axis = KnownNumbers(ctx, 1)) return NormalizeAxis((*axis)[0], x.rank()).status();
  return {};
}

double Plus(double a, double b) { return a + b; }
int64_t Plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class T>
Status CumulativeSum(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto& p = ctx.params<CumSumParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.input(1).AsInt(0), x.rank()));
  const Lines lines(x.dims(), axis);
  std::vector<T> line(lines.size);
  for (int64_t o = 0; o < lines.outer; ++o) {
    for (int64_t s = 0; s < lines.inner; ++s) {
      const int64_t first = o * lines.size * lines.inner + s;
      Load(x, first, lines.inner, lines.size, line.data());
      T sum = 0;
      for (int64_t i = 0; i < lines.size; ++i) {
        const int64_t at = p.reverse ? lines.size - 1 - i : i;
        const T with = Plus(sum, line[at]);
        Store(p.exclusive ? &sum : &with, 1, *y, first + at * lines.inner);
        sum = with;
      }
    }
  }
  return {};
}

Status EvaluateCumSum(EvalContext& ctx) {
  if (IsFloat(ctx.input(0).dtype())) return CumulativeSum<double>(ctx);
  return CumulativeSum<int64_t>(ctx);
}

// ---- TopK

Status CheckK(int64_t k, const Dim& size) {
  if (k < 0 || (size.is_const() && k > size.value()))
    return InvalidModel("k = ", k, " of an axis of size ", size.ToString());
  return {};
}

Status InferTopK(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  ctx.SetOutput(1, {DType::kInt64, std::nullopt});
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "k"));
  ASSIGN_OR_RETURN(Shape y, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.params<TopKParams>().axis, y.rank()));
  const auto k = KnownInts(ctx, 1);
  if (k && (*k)[0].is_const()) RETURN_IF_ERROR(CheckK((*k)[0].value(), y[axis]));
  y[axis] = k ? (*k)[0] : ctx.FreshSymbol();
  ctx.SetOutput(0, {type, y});
  ctx.SetOutput(1, {DType::kInt64, y});
  return {};
}

template <class T>
Status FindTopK(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto& p = ctx.params<TopKParams>();
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  if (ctx.input(1).num_elements() != 1)
    return InvalidModel("k must have one element, has sizes ", ToString(ctx.input(1).dims()));
  const int64_t k = ctx.input(1).AsInt(0);
  RETURN_IF_ERROR(CheckK(k, x.dim(axis)));
  Dims dims = x.dims();
  dims[axis] = k;
  ASSIGN_OR_RETURN(Tensor * values, ctx.Output(0, x.dtype(), dims));
  Tensor* indices = nullptr;
  if (ctx.HasOutput(1)) {
    ASSIGN_OR_RETURN(indices, ctx.Output(1, DType::kInt64, dims));
  }
  const Lines lines(x.dims(), axis);
  std::vector<T> line(lines.size);
  std::vector<int64_t> order(lines.size);
  const auto before = [&](int64_t a, int64_t b) {
    const bool less = Less(line[a], line[b]), greater = Less(line[b], line[a]);
    if (less || greater) return p.largest ? greater : less;
    return a < b;
  };
  for (int64_t o = 0; o < lines.outer; ++o) {
    for (int64_t s = 0; s < lines.inner; ++s) {
      Load(x, o * lines.size * lines.inner + s, lines.inner, lines.size, line.data());
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
      for (int64_t i = 0; i < k; ++i) {
        const int64_t at = (o * k + i) * lines.inner + s;
        Store(&line[order[i]], 1, *values, at);
        if (indices) Store(&order[i], 1, *indices, at);
      }
    }
  }
  return {};
}

Status EvaluateTopK(EvalContext& ctx) {
  if (IsFloat(ctx.input(0).dtype())) return FindTopK<double>(ctx);
  return FindTopK<int64_t>(ctx);
}

Cost OncePerInput(const Node&, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, Elements(inputs[0]));
}

constexpr OpDef ArgOp(std::string_view name, std::string_view summary,
                      Status (*evaluate)(EvalContext&)) {
  return {.name = name,
          .summary = summary,
          .inputs = kNumberX,
          .outputs = kIndicesY,
          .fields = kArgFields,
          .default_params = DefaultParams<ArgParams>,
          .build_params = BuildParams<ArgParams>,
          .infer = InferArg,
          .evaluate = evaluate,
          .cost = OncePerInput};
}

}  // namespace

namespace op {

constinit const OpDef kArgMax =
    ArgOp("ArgMax", "y = where along axis x is largest", EvaluateArg<true>);
constinit const OpDef kArgMin =
    ArgOp("ArgMin", "y = where along axis x is smallest", EvaluateArg<false>);

constinit const OpDef kCumSum = {.name = "CumSum",
                                 .summary = "y = sums of x up to each place along an axis",
                                 .inputs = kCumSumInputs,
                                 .outputs = kCumSumY,
                                 .fields = kCumSumFields,
                                 .default_params = DefaultParams<CumSumParams>,
                                 .build_params = BuildParams<CumSumParams>,
                                 .infer = InferCumSum,
                                 .evaluate = EvaluateCumSum,
                                 .cost = OncePerInput};

constinit const OpDef kTopK = {
    .name = "TopK",
    .summary =
        "The k largest (or smallest) elements along an axis, best first, of equal ones the "
        "first; NaN counts as larger than any number",
    .inputs = kTopKInputs,
    .outputs = kTopKOutputs,
    .fields = kTopKFields,
    .default_params = DefaultParams<TopKParams>,
    .build_params = BuildParams<TopKParams>,
    .infer = InferTopK,
    .evaluate = EvaluateTopK,
    .cost = OncePerInput};

}  // namespace op
}  // namespace sula
