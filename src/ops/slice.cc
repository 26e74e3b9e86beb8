// Slice and ReverseSequence: copies that step along an axis, possibly backwards.
#include <algorithm>

#include "ops/checks.h"
#include "ops/movement.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr Port kSliceInputs[] = {
    {"x", "any shape"},
    {"starts", "1-D; negative counts from the end", kIndices},
    {"ends", "1-D, not included; negative counts from the end", kIndices},
    {"axes", "1-D; absent: the first ones", kIndices, Arity::kOptional},
    {"steps", "1-D, not 0; absent: 1", kIndices, Arity::kOptional}};
constexpr Port kReverseInputs[] = {{"x", "rank 2 or more"},
                                   {"lengths", "[batch]", Bit(DType::kInt64)}};
constexpr Port kY[] = {{"y", "type of x"}};

constexpr Field kReverseFields[] = {
    MakeField<&ReverseSequenceParams::batch_axis>("batch_axis", "0 or 1"),
    MakeField<&ReverseSequenceParams::time_axis>("time_axis", "the other one")};

// Ends beyond this mean "to the end" in the files of exporters (INT32_MAX, INT64_MAX, ...).
constexpr int64_t kFar = INT32_MAX;

// The number of elements that a slice takes of a size that is not a number yet. Symbolic starts
// and ends are sizes, so not negative. Written so that whole axes and first or last elements give
// the plain expression: N, not max(min(N, N), 0).
Dim SymbolicCount(const Dim& size, const Dim& start, const Dim& end, int64_t step) {
  const Dim low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto is_far = [](const Dim& index) { return index.is_const() && index.value() >= kFar; };
  const auto place = [&](const Dim& index) {
    if (is_far(index) || index == size) return high;
    if (!index.is_const() || index.value() >= 0) return Min(index, high);
    return index.value() <= -kFar ? low : Max(size + index, low);
  };
  if (step < 0) {
    const Dim first = start == Dim(-1) ? high : place(start), last = place(end);
    const Dim count = CeilDiv(first - last, -step);
    return first == high && last == low ? count : Max(count, 0);
  }
  const bool to_end = is_far(end) || end == size;
  if (to_end && start.is_const() && start.value() < 0)
    return CeilDiv(Min(size, -std::max(start.value(), -kFar)), step);
  const Dim count = CeilDiv(place(end) - (start == Dim(0) ? start : place(start)), step);
  return start == Dim(0) ? count : Max(count, 0);
}

// For every axis of x: the place of its numbers in starts, ends and steps, or -1.
Result<std::vector<int>> PlaceOfAxes(int rank, size_t count,
                                     const std::optional<std::vector<int64_t>>& axes) {
  if (axes && axes->size() != count)
    return InvalidModel("Slice has ", count, " starts and ", axes->size(), " axes");
  if (!axes && count > static_cast<size_t>(rank))
    return InvalidModel("Slice has ", count, " starts for ", rank, " axes");
  std::vector<int> place(rank, -1);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const int axis,
                     NormalizeAxis(axes ? (*axes)[i] : static_cast<int64_t>(i), rank));
    if (place[axis] >= 0) return InvalidModel("Slice has axis ", axis, " twice");
    place[axis] = static_cast<int>(i);
  }
  return place;
}

Status InferSlice(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const auto starts = KnownInts(ctx, 1), ends = KnownInts(ctx, 2);
  const auto axes = KnownNumbers(ctx, 3), steps = KnownNumbers(ctx, 4);
  const auto count = KnownLength(ctx, 1);
  const auto fits = [&](const auto& list) { return static_cast<int64_t>(list.size()) == *count; };
  if (!count || (ctx.HasInput(3) && !axes)) {
    ctx.SetOutput(0, {type, FreshShape(ctx, x.rank())});
    return {};
  }
  if ((starts && !fits(*starts)) || (ends && !fits(*ends)) || (steps && !fits(*steps)))
    return InvalidModel("starts, ends and steps of Slice differ in length");
  ASSIGN_OR_RETURN(const std::vector<int> place, PlaceOfAxes(x.rank(), *count, axes));
  const auto contents = x.rank() == 1 ? ctx.InputContents(0) : std::nullopt;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int i = place[axis];
    if (i < 0) continue;
    if (!starts || !ends || (ctx.HasInput(4) && !steps)) {
      x[axis] = ctx.FreshSymbol();
      continue;
    }
    const int64_t step = steps ? (*steps)[i] : 1;
    const Dim &start = (*starts)[i], &end = (*ends)[i];
    if (!x[axis].is_const() || !start.is_const() || !end.is_const()) {
      if (step == 0) return InvalidModel("Slice has a step of 0");
      x[axis] = SymbolicCount(x[axis], start, end, std::max(step, -kFar));
      continue;
    }
    ASSIGN_OR_RETURN(const SliceRange range,
                     ResolveSlice(x[axis].value(), start.value(), end.value(), step));
    x[axis] = range.count;
    if (!contents) continue;
    std::vector<Dim> kept;
    for (int64_t k = 0; k < range.count; ++k)
      kept.push_back((*contents)[range.begin + k * range.step]);
    ctx.SetOutputContents(0, std::move(kept));
  }
  ctx.SetOutput(0, {type, x});
  return {};
}

Status EvaluateSlice(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::vector<int64_t> starts = ctx.input(1).ToInts(), ends = ctx.input(2).ToInts();
  std::optional<std::vector<int64_t>> axes;
  if (ctx.HasInput(3)) axes = ctx.input(3).ToInts();
  const std::vector<int64_t> steps =
      ctx.HasInput(4) ? ctx.input(4).ToInts() : std::vector<int64_t>(starts.size(), 1);
  if (ends.size() != starts.size() || steps.size() != starts.size()) {
    return InvalidModel("Slice has ", starts.size(), " starts, ", ends.size(), " ends and ",
                        steps.size(), " steps");
  }
  ASSIGN_OR_RETURN(const std::vector<int> place, PlaceOfAxes(x.rank(), starts.size(), axes));
  Dims dims = x.dims(), strides = RowMajorStrides(dims);
  int64_t begin = 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int i = place[axis];
    if (i < 0) continue;
    ASSIGN_OR_RETURN(const SliceRange range,
                     ResolveSlice(dims[axis], starts[i], ends[i], steps[i]));
    dims[axis] = range.count;
    begin += range.begin * strides[axis];
    strides[axis] *= range.step;
  }
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, x.dtype(), dims));
  CopyStrided(SizeOf(x.dtype()), dims, x.raw(), begin, strides, y->mutable_raw(), 0,
              RowMajorStrides(dims));
  return {};
}

// ---- ReverseSequence

Status InferReverseSequence(InferContext& ctx) {
  const auto& p = ctx.params<ReverseSequenceParams>();
  const bool axes_ok =
      (p.batch_axis == 0 && p.time_axis == 1) || (p.batch_axis == 1 && p.time_axis == 0);
  if (!axes_ok) {
    return InvalidModel("batch_axis ", p.batch_axis, " and time_axis ", p.time_axis,
                        " must be 0 and 1 or 1 and 0");
  }
  RETURN_IF_ERROR(InferLikeInput(ctx));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (x.rank() < 2) return InvalidModel("x must have rank 2 or more, has the shape ", x.ToString());
  return CheckVector(ctx, 1, "lengths", x[static_cast<int>(p.batch_axis)]);
}

Status EvaluateReverseSequence(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto lengths = ctx.data<int64_t>(1);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const int batch_axis = static_cast<int>(ctx.params<ReverseSequenceParams>().batch_axis);
  const int time_axis = 1 - batch_axis;
  const int64_t steps = x.dim(time_axis);
  const Dims strides = RowMajorStrides(x.dims());
  Dims dims = x.dims();
  dims[batch_axis] = 1;
  for (int64_t b = 0; b < x.dim(batch_axis); ++b) {
    const int64_t length = lengths[b];
    if (length < 0 || length > steps)
      return InvalidArgument("length ", length, " of sequence ", b, " is outside [0, ", steps, "]");
    const int64_t begin = b * strides[batch_axis];
    Dims backwards = strides;
    backwards[time_axis] = -strides[time_axis];
    dims[time_axis] = length;
    CopyStrided(SizeOf(x.dtype()), dims, x.raw(), begin + (length - 1) * strides[time_axis],
                backwards, y->mutable_raw(), begin, strides);
    dims[time_axis] = steps - length;
    const int64_t rest = begin + length * strides[time_axis];
    CopyStrided(SizeOf(x.dtype()), dims, x.raw(), rest, strides, y->mutable_raw(), rest, strides);
  }
  return {};
}

}  // namespace

Result<SliceRange> ResolveSlice(int64_t size, int64_t start, int64_t end, int64_t step) {
  if (step == 0) return InvalidModel("Slice has a step of 0");
  // Before the first and behind the last element that the walk may stand on.
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto clamp = [&](int64_t index) {
    if (index < -size) return low;
    return std::clamp(index < 0 ? index + size : index, low, std::max(low, high));
  };
  const int64_t begin = clamp(start), last = clamp(end);
  // A stride longer than the axis takes one element: limited so that products fit.
  const int64_t stride = std::clamp(step, -size - 1, size + 1);
  const int64_t span = step > 0 ? last - begin : begin - last;
  const int64_t magnitude = stride < 0 ? -stride : stride;
  return SliceRange{
      .begin = begin, .step = stride, .count = span <= 0 ? 0 : (span - 1) / magnitude + 1};
}

namespace op {

constinit const OpDef kSlice = {.name = "Slice",
                                .summary = "y = every step-th element from start to end of axes",
                                .inputs = kSliceInputs,
                                .outputs = kY,
                                .infer = InferSlice,
                                .evaluate = EvaluateSlice,
                                .traits = kDataMovement};

constinit const OpDef kReverseSequence = {
    .name = "ReverseSequence",
    .summary = "y = x with the first lengths[b] steps of each sequence b reversed",
    .inputs = kReverseInputs,
    .outputs = kY,
    .fields = kReverseFields,
    .default_params = DefaultParams<ReverseSequenceParams>,
    .build_params = BuildParams<ReverseSequenceParams>,
    .infer = InferReverseSequence,
    .evaluate = EvaluateReverseSequence,
    .traits = kDataMovement};

}  // namespace op
}  // namespace sula
