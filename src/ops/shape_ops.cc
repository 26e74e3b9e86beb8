#include "ops/shape_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/checks.h"
#include "ops/elements.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr TypeSet kInt64 = Bit(DType::kInt64);
constexpr TypeSet kRangeTypes = Bit(DType::kFloat32) | Bit(DType::kFloat64) | Bit(DType::kInt16) |
                                Bit(DType::kInt32) | Bit(DType::kInt64);

constexpr Port kX[] = {{"x", "any shape"}};
constexpr Port kY[] = {{"y", "type of x"}};
constexpr Port kReshapeInputs[] = {
    {"x", "any shape"}, {"shape", "1-D; 0 copies a size of x, one -1 takes the rest", kInt64}};
constexpr Port kExpandInputs[] = {{"x", "any shape"}, {"shape", "1-D; broadcast with x", kInt64}};
constexpr Port kSqueezeInputs[] = {
    {"x", "any shape"}, {"axes", "1-D; absent: all axes of size 1", kInt64, Arity::kOptional}};
constexpr Port kUnsqueezeInputs[] = {{"x", "any shape"}, {"axes", "1-D; axes of y", kInt64}};
constexpr Port kSizesY[] = {{"y", "sizes of x", kInt64}};
constexpr Port kConstantOfShapeInputs[] = {
    {"shape", "1-D", kInt64},
    {"value", "one element; absent: float32 0", kAllTypes, Arity::kOptional}};
constexpr Port kConstantOfShapeY[] = {{"y", "filled with value"}};
constexpr Port kRangeInputs[] = {{"start", "scalar", kRangeTypes},
                                 {"limit", "scalar, not reached; same type", kRangeTypes},
                                 {"delta", "scalar, not 0; same type", kRangeTypes}};
constexpr Port kRangeY[] = {{"y", "1-D", kRangeTypes}};

constexpr Field kReshapeFields[] = {
    MakeField<&ReshapeParams::allowzero>("allowzero", "0 in shape means the size 0")};
constexpr Field kFlattenFields[] = {
    MakeField<&FlattenParams::axis>("axis", "the first axis of the second part")};
constexpr Field kShapeFields[] = {
    MakeField<&ShapeParams::start>("start", "first axis; negative counts from the end"),
    MakeField<&ShapeParams::end>("end", "one past the last axis; negative counts from the end")};

constexpr uint32_t kReinterpretTraits = kReinterpret | kDataMovement | kInPlace;

// Copies the bytes of input 0 to output 0, of the shape given.
Status CopyAs(EvalContext& ctx, const Shape& shape) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(const Dims dims, ConcreteDims(shape));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, x.dtype(), dims));
  if (x.bytes() > 0) std::memmove(y->mutable_raw(), x.raw(), x.bytes());
  return {};
}

Shape ShapeOf(const Tensor& t) { return Shape::Of(t.dims()); }

// ---- Reshape

// Divides the product of `sizes` by that of `divisors`, cancelling equal factors first, so that
// symbolic sizes leave no fraction where none is needed. Nothing if the division is not exact.
std::optional<Dim> Quotient(std::vector<Dim> sizes, const std::vector<Dim>& divisors) {
  Dim rest_divisor = 1;
  for (const Dim& d : divisors) {
    const auto same = std::find(sizes.begin(), sizes.end(), d);
    if (same != sizes.end()) {
      sizes.erase(same);
    } else {
      rest_divisor = rest_divisor * d;
    }
  }
  Dim product = 1;
  for (const Dim& d : sizes) product = product * d;
  if (rest_divisor == Dim(0)) return std::nullopt;
  if (product.is_const() && rest_divisor.is_const() && product.value() % rest_divisor.value() != 0)
    return std::nullopt;
  return FloorDiv(product, rest_divisor);
}

Status ReshapeMismatch(const Shape& x, std::span<const Dim> target) {
  return InvalidModel("cannot reshape ", x.ToString(), " to ",
                      Shape(std::vector<Dim>(target.begin(), target.end())).ToString());
}

// What is known of the result when x is not: sizes that come from x are new symbols.
Shape ReshapeOfUnknown(InferContext& ctx, std::span<const Dim> target, bool allowzero) {
  std::vector<Dim> y;
  for (const Dim& t : target) {
    const bool from_x = t.is_const() && (t.value() < 0 || (t.value() == 0 && !allowzero));
    y.push_back(from_x ? ctx.FreshSymbol() : t);
  }
  return Shape(std::move(y));
}

Status InferReshape(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  const auto target = KnownInts(ctx, 1);
  if (!target) {
    if (const auto rank = KnownLength(ctx, 1)) ctx.SetOutput(0, {type, FreshShape(ctx, *rank)});
    return {};
  }
  const bool allowzero = ctx.params<ReshapeParams>().allowzero;
  if (!ctx.input(0).shape) {
    ctx.SetOutput(0, {type, ReshapeOfUnknown(ctx, *target, allowzero)});
    return {};
  }
  ASSIGN_OR_RETURN(Shape y, ResolveReshape(*ctx.input(0).shape, *target, allowzero));
  ctx.SetOutput(0, {type, y});
  if (y.rank() <= 1) ForwardContents(ctx);
  return {};
}

Status EvaluateReshape(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Shape y, ResolveReshape(ShapeOf(ctx.input(0)), AsDims(ctx.input(1)),
                                           ctx.params<ReshapeParams>().allowzero));
  return CopyAs(ctx, y);
}

// ---- Flatten

Status InferFlatten(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const int64_t given = ctx.params<FlattenParams>().axis;
  if (given < -x.rank() || given > x.rank()) {
    return InvalidModel("axis ", given, " is outside [", -x.rank(), ", ", x.rank(), "] of x ",
                        x.ToString());
  }
  const int axis = static_cast<int>(given < 0 ? given + x.rank() : given);
  Dim before = 1, after = 1;
  for (int i = 0; i < x.rank(); ++i)
    (i < axis ? before : after) = (i < axis ? before : after) * x[i];
  ctx.SetOutput(0, {type, Shape{before, after}});
  return {};
}

Status EvaluateInferredCopy(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  if (x.bytes() > 0) std::memmove(y->mutable_raw(), x.raw(), x.bytes());
  return {};
}

// ---- Squeeze, Unsqueeze

// Marks the axes given, each once, of `rank`.
Result<std::vector<bool>> MarkAxes(std::span<const int64_t> axes, int rank) {
  std::vector<bool> marked(rank, false);
  for (int64_t given : axes) {
    ASSIGN_OR_RETURN(const int axis, NormalizeAxis(given, rank));
    if (marked[axis]) return InvalidModel("axis ", given, " is given twice");
    marked[axis] = true;
  }
  return marked;
}

Result<Shape> ResolveSqueeze(const Shape& x, std::span<const int64_t> axes) {
  ASSIGN_OR_RETURN(const std::vector<bool> gone, MarkAxes(axes, x.rank()));
  std::vector<Dim> y;
  for (int i = 0; i < x.rank(); ++i) {
    if (!gone[i]) {
      y.push_back(x[i]);
    } else if (!MayEqual(x[i], 1)) {
      return InvalidModel("axis ", i, " of ", x.ToString(), " has not the size 1");
    }
  }
  return Shape(std::move(y));
}

Shape SqueezeOnes(const Shape& x) {
  std::vector<Dim> y;
  for (const Dim& d : x)
    if (d != Dim(1)) y.push_back(d);
  return Shape(std::move(y));
}

Result<Shape> ResolveUnsqueeze(const Shape& x, std::span<const int64_t> axes) {
  if (axes.size() > kMaxRank) return InvalidModel("Unsqueeze by ", axes.size(), " axes");
  const int rank = x.rank() + static_cast<int>(axes.size());
  ASSIGN_OR_RETURN(const std::vector<bool> added, MarkAxes(axes, rank));
  std::vector<Dim> y;
  int from = 0;
  for (int i = 0; i < rank; ++i) y.push_back(added[i] ? Dim(1) : x[from++]);
  return Shape(std::move(y));
}

Status InferSqueeze(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  if (!ctx.HasInput(1)) {
    // Whether a symbolic size is 1, and so the rank, only the run tells.
    if (!x.IsConcrete()) return {};
    ctx.SetOutput(0, {type, SqueezeOnes(x)});
  } else if (const auto axes = KnownNumbers(ctx, 1)) {
    ASSIGN_OR_RETURN(Shape y, ResolveSqueeze(x, *axes));
    ctx.SetOutput(0, {type, std::move(y)});
  } else {
    if (const auto n = KnownLength(ctx, 1); n && *n <= x.rank())
      ctx.SetOutput(0, {type, FreshShape(ctx, x.rank() - *n)});
    return {};
  }
  ForwardContents(ctx);
  return {};
}

Status EvaluateSqueeze(EvalContext& ctx) {
  const Shape x = ShapeOf(ctx.input(0));
  if (!ctx.HasInput(1)) return CopyAs(ctx, SqueezeOnes(x));
  ASSIGN_OR_RETURN(Shape y, ResolveSqueeze(x, ctx.input(1).ToInts()));
  return CopyAs(ctx, y);
}

Status InferUnsqueeze(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const auto axes = KnownNumbers(ctx, 1);
  if (!axes) {
    if (const auto n = KnownLength(ctx, 1))
      ctx.SetOutput(0, {type, FreshShape(ctx, x.rank() + *n)});
    return {};
  }
  ASSIGN_OR_RETURN(Shape y, ResolveUnsqueeze(x, *axes));
  const bool small = y.rank() <= 1;
  ctx.SetOutput(0, {type, std::move(y)});
  if (small) ForwardContents(ctx);
  return {};
}

Status EvaluateUnsqueeze(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Shape y, ResolveUnsqueeze(ShapeOf(ctx.input(0)), ctx.input(1).ToInts()));
  return CopyAs(ctx, y);
}

// ---- Shape, Size

// The axes [first, last) that Shape reports.
std::pair<int, int> ShapeRange(const ShapeParams& p, int rank) {
  const auto clamp = [rank](int64_t axis) {
    return static_cast<int>(std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank));
  };
  const int first = clamp(p.start);
  return {first, std::max(first, clamp(p.end))};
}

Status InferShape(InferContext& ctx) {
  if (!ctx.input(0).shape) {
    ctx.SetOutput(0, {DType::kInt64, FreshShape(ctx, 1)});
    return {};
  }
  const std::vector<Dim>& x = ctx.input(0).shape->dims();
  const auto [first, last] = ShapeRange(ctx.params<ShapeParams>(), static_cast<int>(x.size()));
  ctx.SetOutput(0, {DType::kInt64, Shape{Dim(last - first)}});
  ctx.SetOutputContents(0, {x.begin() + first, x.begin() + last});
  return {};
}

Status EvaluateShape(EvalContext& ctx) {
  const Dims& x = ctx.input(0).dims();
  const auto [first, last] = ShapeRange(ctx.params<ShapeParams>(), static_cast<int>(x.size()));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, DType::kInt64, {last - first}));
  std::copy(x.begin() + first, x.begin() + last, y->mutable_data<int64_t>().begin());
  return {};
}

Status InferSize(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kInt64, Shape{}});
  if (ctx.input(0).shape) ctx.SetOutputContents(0, {ctx.input(0).shape->NumElements()});
  return {};
}

Status EvaluateSize(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, DType::kInt64, {}));
  y->mutable_data<int64_t>()[0] = ctx.input(0).num_elements();
  return {};
}

// ---- ConstantOfShape

Status InferConstantOfShape(InferContext& ctx) {
  const DType type = ctx.HasInput(1) ? ctx.InputType(1) : DType::kFloat32;
  ctx.SetOutput(0, {type, std::nullopt});
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "value"));
  const auto sizes = KnownInts(ctx, 0);
  if (!sizes) {
    if (const auto rank = KnownLength(ctx, 0)) ctx.SetOutput(0, {type, FreshShape(ctx, *rank)});
    return {};
  }
  const Shape y(*sizes);
  RETURN_IF_ERROR(CheckTensorSize(type, y));
  ctx.SetOutput(0, {type, y});
  if (y.rank() > 1 || !ctx.HasInput(1) || IsFloat(type)) return {};
  const Tensor* value = ctx.InputConstant(1);
  const auto n = y.NumElements().TryValue();
  if (value && n && *n <= kMaxContents)
    ctx.SetOutputContents(0, std::vector<Dim>(*n, Dim(value->AsInt(0))));
  return {};
}

Status EvaluateConstantOfShape(EvalContext& ctx) {
  const Tensor value = ctx.HasInput(1) ? ctx.input(1) : Tensor::Scalar(0.0f);
  if (value.num_elements() != 1) {
    return InvalidModel("value must have one element, has sizes ", ToString(value.dims()));
  }
  const Dims dims = ctx.input(0).ToInts();
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, value.dtype(), dims));
  CopyStrided(SizeOf(value.dtype()), dims, value.raw(), 0, Dims(dims.size(), 0), y->mutable_raw(),
              0, RowMajorStrides(dims));
  return {};
}

// ---- Range

// max(ceil((limit - start) / delta), 0); an error if delta is 0 or the count is no count.
Result<int64_t> RangeCount(double start, double limit, double delta) {
  if (delta == 0) return InvalidModel("delta of Range is 0");
  const double n = std::ceil((limit - start) / delta);
  if (std::isnan(n) || n > 0x1p62) {
    return InvalidModel("Range from ", start, " to ", limit, " by ", delta, " has no end");
  }
  return n > 0 ? static_cast<int64_t>(n) : 0;
}
Result<int64_t> RangeCount(int64_t start, int64_t limit, int64_t delta) {
  if (delta == 0) return InvalidModel("delta of Range is 0");
  const __int128 span = static_cast<__int128>(limit) - start;
  if (span == 0 || (span < 0) != (delta < 0)) return int64_t{0};
  const __int128 step = delta < 0 ? -static_cast<__int128>(delta) : delta;
  const __int128 n = ((span < 0 ? -span : span) + step - 1) / step;
  if (n > INT64_MAX) {
    return ResourceExhausted("Range from ", start, " to ", limit, " by ", delta,
                             " has more than 2^63 elements");
  }
  return static_cast<int64_t>(n);
}

Result<int64_t> RangeCount(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  for (const Tensor* t : {&start, &limit, &delta}) {
    if (t->num_elements() != 1 || t->dtype() != start.dtype())
      return InvalidModel("start, limit and delta of Range must be scalars of one type");
  }
  if (IsFloat(start.dtype()))
    return RangeCount(start.AsDouble(0), limit.AsDouble(0), delta.AsDouble(0));
  return RangeCount(start.AsInt(0), limit.AsInt(0), delta.AsInt(0));
}

// Lies between start and limit, but i * delta may not fit 64 bits.
int64_t RangeElement(int64_t start, int64_t delta, int64_t i) {
  return static_cast<int64_t>(static_cast<uint64_t>(start) +
                              static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
}

Status InferRange(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1, 2}));
  for (int i = 0; i < 3; ++i)
    RETURN_IF_ERROR(CheckOneElement(ctx, i, "each of start, limit, delta"));
  const Tensor* start = ctx.InputConstant(0);
  const Tensor* limit = ctx.InputConstant(1);
  const Tensor* delta = ctx.InputConstant(2);
  if (start && limit && delta) {
    ASSIGN_OR_RETURN(const int64_t n, RangeCount(*start, *limit, *delta));
    const Shape y{Dim(n)};
    RETURN_IF_ERROR(CheckTensorSize(type, y));
    ctx.SetOutput(0, {type, y});
    if (IsFloat(type) || n > kMaxContents) return {};
    std::vector<Dim> contents;
    for (int64_t i = 0; i < n; ++i)
      contents.push_back(RangeElement(start->AsInt(0), delta->AsInt(0), i));
    ctx.SetOutputContents(0, std::move(contents));
    return {};
  }
  const auto from = KnownInts(ctx, 0), to = KnownInts(ctx, 1), by = KnownInts(ctx, 2);
  const bool known = from && to && by && from->size() == 1 && to->size() == 1 && by->size() == 1 &&
                     (*by)[0].is_const() && (*by)[0].value() > 0;
  const Dim n = known ? Max(CeilDiv((*to)[0] - (*from)[0], (*by)[0]), 0) : ctx.FreshSymbol();
  ctx.SetOutput(0, {type, Shape{n}});
  return {};
}

Status EvaluateRange(EvalContext& ctx) {
  const Tensor& start = ctx.input(0);
  const Tensor& delta = ctx.input(2);
  ASSIGN_OR_RETURN(const int64_t n, RangeCount(start, ctx.input(1), delta));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, start.dtype(), {n}));
  for (int64_t i = 0; i < n; ++i) {
    if (IsFloat(start.dtype())) {
      const double v = start.AsDouble(0) + static_cast<double>(i) * delta.AsDouble(0);
      Store(&v, 1, *y, i);
    } else {
      const int64_t v = RangeElement(start.AsInt(0), delta.AsInt(0), i);
      Store(&v, 1, *y, i);
    }
  }
  return {};
}

// ---- Expand

Result<Shape> ResolveExpand(const Shape& x, const Shape& target) {
  for (const Dim& d : target) {
    if (d.is_const() && d.value() < 0) {
      return InvalidModel("Expand of ", x.ToString(), " to ", target.ToString(),
                          ", which has a negative size");
    }
  }
  return BroadcastShapes(x, target);
}

Status InferExpand(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const auto target = KnownInts(ctx, 1);
  if (!target) {
    if (const auto rank = KnownLength(ctx, 1))
      ctx.SetOutput(0, {type, FreshShape(ctx, std::max<int64_t>(*rank, x.rank()))});
    return {};
  }
  ASSIGN_OR_RETURN(Shape y, ResolveExpand(x, Shape(*target)));
  RETURN_IF_ERROR(CheckTensorSize(type, y));
  ctx.SetOutput(0, {type, y});
  const auto contents = KnownInts(ctx, 0);
  const auto n = y.NumElements().TryValue();
  if (contents && contents->size() == 1 && y.rank() <= 1 && n && *n <= kMaxContents)
    ctx.SetOutputContents(0, std::vector<Dim>(*n, (*contents)[0]));
  return {};
}

Status EvaluateExpand(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Shape shape, ResolveExpand(ShapeOf(x), Shape(AsDims(ctx.input(1)))));
  ASSIGN_OR_RETURN(const Dims dims, ConcreteDims(shape));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, x.dtype(), dims));
  CopyStrided(SizeOf(x.dtype()), dims, x.raw(), 0, BroadcastStrides(x.dims(), dims),
              y->mutable_raw(), 0, RowMajorStrides(dims));
  return {};
}

}  // namespace

Result<Shape> ResolveReshape(const Shape& x, std::span<const Dim> target, bool allowzero) {
  if (target.size() > kMaxRank) return InvalidModel("Reshape to ", target.size(), " axes");
  std::vector<Dim> y, divisors;
  int rest = -1;
  for (int i = 0; i < static_cast<int>(target.size()); ++i) {
    const Dim& t = target[i];
    if (t == Dim(-1)) {
      if (rest >= 0) return ReshapeMismatch(x, target);
      rest = i;
      y.push_back(-1);
      continue;
    }
    if (t.is_const() && t.value() < 0) return ReshapeMismatch(x, target);
    if (t == Dim(0) && !allowzero) {
      if (i >= x.rank()) return ReshapeMismatch(x, target);
      y.push_back(x[i]);
    } else {
      y.push_back(t);
    }
    divisors.push_back(y.back());
  }
  if (rest >= 0) {
    // With a size of 0 that is not one of x any size would do for the rest.
    const bool ambiguous =
        allowzero && std::find(target.begin(), target.end(), Dim(0)) != target.end();
    const auto size = Quotient(x.dims(), divisors);
    if (ambiguous || !size) return ReshapeMismatch(x, target);
    y[rest] = *size;
  }
  Shape shape(std::move(y));
  RETURN_IF_ERROR(CheckTensorSize(DType::kInt8, shape));
  if (!MayEqual(shape.NumElements(), x.NumElements())) return ReshapeMismatch(x, target);
  return shape;
}

namespace op {

constinit const OpDef kReshape = {
    .name = "Reshape",
    .summary = "y = the elements of x in the shape given, with as many elements",
    .inputs = kReshapeInputs,
    .outputs = kY,
    .fields = kReshapeFields,
    .default_params = DefaultParams<ReshapeParams>,
    .build_params = BuildParams<ReshapeParams>,
    .infer = InferReshape,
    .evaluate = EvaluateReshape,
    .traits = kReinterpretTraits};

constinit const OpDef kFlatten = {
    .name = "Flatten",
    .summary = "y = x as a matrix: axes before `axis` become the first, the rest the second",
    .inputs = kX,
    .outputs = kY,
    .fields = kFlattenFields,
    .default_params = DefaultParams<FlattenParams>,
    .build_params = BuildParams<FlattenParams>,
    .infer = InferFlatten,
    .evaluate = EvaluateInferredCopy,
    .traits = kReinterpretTraits};

constinit const OpDef kSqueeze = {.name = "Squeeze",
                                  .summary = "y = x without the axes given, which have size 1",
                                  .inputs = kSqueezeInputs,
                                  .outputs = kY,
                                  .infer = InferSqueeze,
                                  .evaluate = EvaluateSqueeze,
                                  .traits = kReinterpretTraits};

constinit const OpDef kUnsqueeze = {.name = "Unsqueeze",
                                    .summary = "y = x with new axes of size 1",
                                    .inputs = kUnsqueezeInputs,
                                    .outputs = kY,
                                    .infer = InferUnsqueeze,
                                    .evaluate = EvaluateUnsqueeze,
                                    .traits = kReinterpretTraits};

constinit const OpDef kShape = {.name = "Shape",
                                .summary = "y = the sizes of the axes [start, end) of x",
                                .inputs = kX,
                                .outputs = kSizesY,
                                .fields = kShapeFields,
                                .default_params = DefaultParams<ShapeParams>,
                                .build_params = BuildParams<ShapeParams>,
                                .infer = InferShape,
                                .evaluate = EvaluateShape};

constinit const OpDef kSize = {.name = "Size",
                               .summary = "y = the number of elements of x",
                               .inputs = kX,
                               .outputs = kSizesY,
                               .infer = InferSize,
                               .evaluate = EvaluateSize};

constinit const OpDef kConstantOfShape = {.name = "ConstantOfShape",
                                          .summary = "y = a tensor of the shape given, filled",
                                          .inputs = kConstantOfShapeInputs,
                                          .outputs = kConstantOfShapeY,
                                          .infer = InferConstantOfShape,
                                          .evaluate = EvaluateConstantOfShape};

constinit const OpDef kRange = {.name = "Range",
                                .summary = "y = start, start + delta, ... before limit",
                                .inputs = kRangeInputs,
                                .outputs = kRangeY,
                                .infer = InferRange,
                                .evaluate = EvaluateRange};

constinit const OpDef kExpand = {.name = "Expand",
                                 .summary = "y = x broadcast with a tensor of the shape given",
                                 .inputs = kExpandInputs,
                                 .outputs = kY,
                                 .infer = InferExpand,
                                 .evaluate = EvaluateExpand,
                                 .traits = kDataMovement};

}  // namespace op
}  // namespace sula
