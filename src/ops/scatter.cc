// ScatterElements, ScatterND.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/checks.h"
#include "ops/elements.h"
#include "ops/gather.h"
#include "ops/indices.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr Port kInputs[] = {{"x", "rank 1 or more"},
                            {"indices", "negative ones count from the end", kIndices},
                            {"updates", "type of x"}};
constexpr Port kY[] = {{"y", "shape and type of x"}};

constexpr Field kElementsFields[] = {
    MakeField<&ScatterParams::axis>("axis", "indexed"),
    MakeField<&ScatterParams::reduction>("reduction", "none (the update replaces), add, mul, ...")};
constexpr Field kNDFields[] = {
    MakeField<&ScatterParams::reduction>("reduction", "none (the update replaces), add, mul, ...")};

Status CheckScatterTypes(const InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 2}));
  if (ctx.InputType(0) == DType::kBool &&
      ctx.params<ScatterParams>().reduction != ScatterReduction::kNone)
    return InvalidModel("a scatter with a reduction needs numbers, not bool");
  return {};
}

double Combine(ScatterReduction reduction, double a, double b) {
  switch (reduction) {
    case ScatterReduction::kAdd: return a + b;
    case ScatterReduction::kMul: return a * b;
    case ScatterReduction::kMax: return a > b || std::isnan(a) ? a : b;
    case ScatterReduction::kMin: return a < b || std::isnan(a) ? a : b;
    case ScatterReduction::kNone: break;
  }
  return b;
}

// Wraps modulo 2^64.
int64_t Combine(ScatterReduction reduction, int64_t a, int64_t b) {
  const uint64_t ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (reduction) {
    case ScatterReduction::kAdd: return static_cast<int64_t>(ua + ub);
    case ScatterReduction::kMul: return static_cast<int64_t>(ua * ub);
    case ScatterReduction::kMax: return std::max(a, b);
    case ScatterReduction::kMin: return std::min(a, b);
    case ScatterReduction::kNone: break;
  }
  return b;
}

// y[at + i] = y[at + i] combined with updates[from + i], for i < n; in the order of calls.
template <class T>
void Reduce(ScatterReduction reduction, const Tensor& updates, int64_t from, int64_t n, Tensor& y,
            int64_t at) {
  for (int64_t i = 0; i < n; ++i) {
    T old, update;
    Load(y, at + i, 1, 1, &old);
    Load(updates, from + i, 1, 1, &update);
    const T combined = Combine(reduction, old, update);
    Store(&combined, 1, y, at + i);
  }
}

// y = x with row i of `updates` (n elements) placed or reduced at offsets[i].
void Scatter(const EvalContext& ctx, std::span<const int64_t> offsets, int64_t n, Tensor& y) {
  const Tensor& x = ctx.input(0);
  const Tensor& updates = ctx.input(2);
  const ScatterReduction reduction = ctx.params<ScatterParams>().reduction;
  if (x.num_elements() == 0) return;
  std::memmove(y.mutable_raw(), x.raw(), x.bytes());
  const size_t bytes = SizeOf(x.dtype());
  int64_t from = 0;
  for (int64_t at : offsets) {
    if (reduction == ScatterReduction::kNone) {
      std::memcpy(y.mutable_raw() + static_cast<size_t>(at) * bytes,
                  updates.raw() + static_cast<size_t>(from) * bytes,
                  static_cast<size_t>(n) * bytes);
    } else if (IsFloat(x.dtype())) {
      Reduce<double>(reduction, updates, from, n, y, at);
    } else {
      Reduce<int64_t>(reduction, updates, from, n, y, at);
    }
    from += n;
  }
}

Status InferScatterElements(InferContext& ctx) {
  RETURN_IF_ERROR(CheckScatterTypes(ctx));
  RETURN_IF_ERROR(InferLikeInput(ctx));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape indices, ctx.InputShape(1));
  ASSIGN_OR_RETURN(const Shape updates, ctx.InputShape(2));
  if (!MayEqual(indices, updates)) {
    return InvalidModel("indices ", indices.ToString(), " and updates ", updates.ToString(),
                        " differ in shape");
  }
  return CheckElementIndices(x, indices, ctx.params<ScatterParams>().axis);
}

Status EvaluateScatterElements(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(
      const std::vector<int64_t> offsets,
      ElementOffsets(ctx.input(0).dims(), ctx.input(1), ctx.params<ScatterParams>().axis));
  Scatter(ctx, offsets, 1, *y);
  return {};
}

Status InferScatterND(InferContext& ctx) {
  RETURN_IF_ERROR(CheckScatterTypes(ctx));
  RETURN_IF_ERROR(InferLikeInput(ctx));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape indices, ctx.InputShape(1));
  ASSIGN_OR_RETURN(const Shape updates, ctx.InputShape(2));
  if (indices.rank() < 1) return InvalidModel("indices of ScatterND must have rank 1 or more");
  const auto k = indices[indices.rank() - 1].TryValue();
  if (!k) return {};
  if (*k < 1 || *k > x.rank()) {
    return InvalidModel("indices ", indices.ToString(), " have tuples of ", *k, " for x ",
                        x.ToString());
  }
  std::vector<Dim> expected(indices.begin(), indices.end() - 1);
  expected.insert(expected.end(), x.begin() + *k, x.end());
  if (!MayEqual(updates, Shape(expected))) {
    return InvalidModel("updates ", updates.ToString(), " should have the shape ",
                        Shape(expected).ToString(), " for x ", x.ToString(), " and indices ",
                        indices.ToString());
  }
  return {};
}

Status EvaluateScatterND(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Tensor& indices = ctx.input(1);
  const std::span<const int64_t> dims = ctx.input(0).dims();
  ASSIGN_OR_RETURN(const std::vector<int64_t> offsets, ReadTuples(indices, dims));
  Scatter(ctx, offsets, NumElements(dims.subspan(indices.dim(indices.rank() - 1))), *y);
  return {};
}

constexpr OpDef ScatterOp(std::string_view name, std::string_view summary,
                          std::span<const Field> fields, Status (*infer)(InferContext&),
                          Status (*evaluate)(EvalContext&)) {
  return {.name = name,
          .summary = summary,
          .inputs = kInputs,
          .outputs = kY,
          .fields = fields,
          .default_params = DefaultParams<ScatterParams>,
          .build_params = BuildParams<ScatterParams>,
          .infer = infer,
          .evaluate = evaluate,
          .traits = kInPlace};
}

}  // namespace

namespace op {

constinit const OpDef kScatterElements = ScatterOp(
    "ScatterElements", "y = x with updates[p] at (p with indices[p] at axis), in the order of p",
    kElementsFields, InferScatterElements, EvaluateScatterElements);

constinit const OpDef kScatterND = ScatterOp(
    "ScatterND", "y = x with slices of updates where the tuples of indices say, in their order",
    kNDFields, InferScatterND, EvaluateScatterND);

}  // namespace op
}  // namespace sula
