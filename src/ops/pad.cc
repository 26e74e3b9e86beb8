#include <algorithm>
#include <cstring>

#include "ops/checks.h"
#include "ops/movement.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr TypeSet kInt64 = Bit(DType::kInt64);

constexpr Port kInputs[] = {
    {"x", "any shape"},
    {"pads", "1-D, begins of all axes, then ends; negative ones cut off", kInt64},
    {"value", "one element of the type of x; absent: 0", kAllTypes, Arity::kOptional},
    {"axes", "1-D; absent: all", kIndices, Arity::kOptional}};
constexpr Port kY[] = {{"y", "type of x"}};

constexpr Field kFields[] = {
    MakeField<&PadParams::mode>("mode", "what fills the border: constant, reflect, edge or wrap")};

// What is added before and behind each axis of x; 0 where axes leaves one out.
struct AxisPads {
  std::vector<Dim> begin, end;
};

Result<AxisPads> ResolvePads(const Shape& x, const std::vector<Dim>& pads,
                             const std::optional<std::vector<int64_t>>& axes) {
  const size_t count = axes ? axes->size() : static_cast<size_t>(x.rank());
  if (pads.size() != 2 * count) {
    return InvalidModel("Pad of ", x.ToString(), " needs ", 2 * count, " pads, has ", pads.size());
  }
  AxisPads all{std::vector<Dim>(x.rank(), 0), std::vector<Dim>(x.rank(), 0)};
  std::vector<bool> seen(x.rank(), false);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const int axis,
                     NormalizeAxis(axes ? (*axes)[i] : static_cast<int64_t>(i), x.rank()));
    if (seen[axis]) return InvalidModel("Pad has axis ", axis, " twice");
    seen[axis] = true;
    all.begin[axis] = pads[i];
    all.end[axis] = pads[count + i];
  }
  return all;
}

Result<Shape> PaddedShape(const Shape& x, const AxisPads& pads, PadMode mode) {
  std::vector<Dim> y;
  for (int i = 0; i < x.rank(); ++i) {
    y.push_back(x[i] + pads.begin[i] + pads.end[i]);
    if (!y.back().is_const()) continue;
    if (y.back().value() < 0) {
      return InvalidModel("pads ", pads.begin[i].ToString(), " and ", pads.end[i].ToString(),
                          " cut more than axis ", i, " of ", x.ToString(), " has");
    }
    if (mode != PadMode::kConstant && x[i] == Dim(0) && y.back().value() > 0)
      return InvalidModel("axis ", i, " of ", x.ToString(), " has nothing to fill a border with");
  }
  return Shape(std::move(y));
}

Status InferPad(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 2}));
  RETURN_IF_ERROR(CheckOneElement(ctx, 2, "value"));
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const auto known = KnownInts(ctx, 1);
  const auto axes = KnownNumbers(ctx, 3);
  if (!known || (ctx.HasInput(3) && !axes)) {
    ctx.SetOutput(0, {type, FreshShape(ctx, x.rank())});
    return {};
  }
  ASSIGN_OR_RETURN(const AxisPads pads, ResolvePads(x, *known, axes));
  ASSIGN_OR_RETURN(Shape y, PaddedShape(x, pads, ctx.params<PadParams>().mode));
  RETURN_IF_ERROR(CheckTensorSize(type, y));
  ctx.SetOutput(0, {type, std::move(y)});
  return {};
}

// Which element of an axis of x each element of that axis of y shows; -1: the constant.
std::vector<int64_t> SourceOfAxis(int64_t size, int64_t begin, int64_t end, PadMode mode) {
  // Negative pads cut first; the border is made of what is left.
  const int64_t low = std::max<int64_t>(0, -begin), high = size - std::max<int64_t>(0, -end);
  const int64_t left = high - low;
  std::vector<int64_t> source(size + begin + end, -1);
  for (int64_t o = 0; o < static_cast<int64_t>(source.size()); ++o) {
    int64_t i = o - begin - low;  // in what is left
    if (i < 0 || i >= left) {
      if (mode == PadMode::kConstant || left <= 0) continue;
      if (mode == PadMode::kEdge) {
        i = std::clamp<int64_t>(i, 0, left - 1);
      } else if (mode == PadMode::kWrap) {
        i = (i % left + left) % left;
      } else {
        const int64_t period = std::max<int64_t>(1, 2 * (left - 1));
        i = (i % period + period) % period;
        if (i >= left) i = period - i;
      }
    }
    source[o] = low + i;
  }
  return source;
}

// Copies one row of y: element o of it is element source[o] of `from`.
void CopyRow(const std::vector<int64_t>& source, const std::byte* from, int64_t bytes,
             std::byte* to) {
  for (size_t o = 0; o < source.size(); ++o)
    if (source[o] >= 0) std::memcpy(to + o * bytes, from + source[o] * bytes, bytes);
}

Status EvaluatePad(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const PadMode mode = ctx.params<PadParams>().mode;
  std::optional<std::vector<int64_t>> axes;
  if (ctx.HasInput(3)) axes = ctx.input(3).ToInts();
  const Shape x_shape = Shape::Of(x.dims());
  ASSIGN_OR_RETURN(const AxisPads pads, ResolvePads(x_shape, AsDims(ctx.input(1)), axes));
  ASSIGN_OR_RETURN(const Shape shape, PaddedShape(x_shape, pads, mode));
  ASSIGN_OR_RETURN(const Dims dims, ConcreteDims(shape));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, x.dtype(), dims));
  const int64_t bytes = static_cast<int64_t>(SizeOf(x.dtype()));

  const int rank = x.rank();
  if (mode == PadMode::kConstant) {
    const int64_t zero = 0;
    const void* value = &zero;
    if (ctx.HasInput(2)) {
      if (ctx.input(2).num_elements() != 1 || ctx.input(2).dtype() != x.dtype())
        return InvalidModel("value of Pad must be one element of the type of x");
      value = ctx.input(2).raw();
    }
    CopyStrided(SizeOf(x.dtype()), dims, value, 0, Dims(rank, 0), y->mutable_raw(), 0,
                RowMajorStrides(dims));
  }
  if (rank == 0) {
    std::memcpy(y->mutable_raw(), x.raw(), bytes);
    return {};
  }
  std::vector<std::vector<int64_t>> source(rank);
  for (int i = 0; i < rank; ++i)
    source[i] = SourceOfAxis(x.dim(i), pads.begin[i].value(), pads.end[i].value(), mode);

  // Rows of y along its last axis, each from one row of x or, if it lies in the border, from none.
  const Dims strides = RowMajorStrides(x.dims());
  const int64_t row = dims[rank - 1];
  const int64_t rows = row == 0 ? 0 : y->num_elements() / row;
  Dims index(rank, 0);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t begin = 0;
    bool inside = true;
    for (int i = 0; i < rank - 1; ++i) {
      inside = inside && source[i][index[i]] >= 0;
      begin += source[i][index[i]] * strides[i];
    }
    if (inside)
      CopyRow(source[rank - 1], x.raw() + begin * bytes, bytes, y->mutable_raw() + r * row * bytes);
    for (int i = rank - 2; i >= 0 && ++index[i] == dims[i]; --i) index[i] = 0;
  }
  return {};
}

}  // namespace

namespace op {

constinit const OpDef kPad = {.name = "Pad",
                              .summary = "y = x with a border before and behind each axis",
                              .inputs = kInputs,
                              .outputs = kY,
                              .fields = kFields,
                              .default_params = DefaultParams<PadParams>,
                              .build_params = BuildParams<PadParams>,
                              .infer = InferPad,
                              .evaluate = EvaluatePad,
                              .traits = kDataMovement};

}  // namespace op
}  // namespace sula
