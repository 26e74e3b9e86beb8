// Gather, GatherElements, GatherND, OneHot, NonZero.
#include "ops/gather.h"

#include <algorithm>
#include <cstring>

#include "ops/checks.h"
#include "ops/elements.h"
#include "ops/indices.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr Port kInputs[] = {{"x", "rank 1 or more"},
                            {"indices", "negative ones count from the end", kIndices}};
constexpr Port kY[] = {{"y", "type of x"}};
constexpr Port kOneHotInputs[] = {
    {"indices", "any shape; those outside [-depth, depth) give no on", kNumbers},
    {"depth", "one element, the size of the new axis", kNumbers},
    {"values", "[2]: off, on"}};
constexpr Port kOneHotY[] = {{"y", "type of values"}};
constexpr Port kNonZeroX[] = {{"x", "any shape"}};
constexpr Port kNonZeroY[] = {{"y", "[rank, n], row-major order", Bit(DType::kInt64)}};

constexpr Field kAxisFields[] = {MakeField<&AxisParams::axis>("axis", "indexed")};
constexpr Field kGatherNDFields[] = {
    MakeField<&GatherNDParams::batch_dims>("batch_dims", "leading axes that both inputs share")};
constexpr Field kOneHotFields[] = {MakeField<&OneHotParams::axis>("axis", "where the new axis is")};

// ---- Gather

void GatherContents(InferContext& ctx) {
  const auto x = KnownInts(ctx, 0);
  const auto indices = KnownNumbers(ctx, 1);
  if (!x || !indices || ctx.input(0).shape->rank() != 1 || ctx.input(1).shape->rank() > 1) return;
  const int64_t size = static_cast<int64_t>(x->size());
  std::vector<Dim> y;
  for (int64_t i : *indices) {
    if (i < -size || i >= size) return;  // Evaluate tells
    y.push_back((*x)[i < 0 ? i + size : i]);
  }
  ctx.SetOutputContents(0, std::move(y));
}

Status InferGather(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape indices, ctx.InputShape(1));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.params<AxisParams>().axis, x.rank()));
  std::vector<Dim> y(x.begin(), x.begin() + axis);
  y.insert(y.end(), indices.begin(), indices.end());
  y.insert(y.end(), x.begin() + axis + 1, x.end());
  ctx.SetOutput(0, {ctx.InputType(0), Shape(std::move(y))});
  GatherContents(ctx);
  return {};
}

Status EvaluateGather(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.params<AxisParams>().axis, x.rank()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices,
                   ReadIndices(ctx.input(1), x.dim(axis), StrCat("axis ", axis)));
  const std::span<const int64_t> dims = x.dims();
  const int64_t outer = NumElements(dims.first(axis));
  const size_t inner = static_cast<size_t>(NumElements(dims.subspan(axis + 1))) * SizeOf(x.dtype());
  if (y->num_elements() == 0) return {};
  std::byte* to = y->mutable_raw();
  for (int64_t o = 0; o < outer; ++o) {
    const std::byte* from = x.raw() + static_cast<size_t>(o * x.dim(axis)) * inner;
    for (int64_t i : indices) {
      std::memcpy(to, from + static_cast<size_t>(i) * inner, inner);
      to += inner;
    }
  }
  return {};
}

// ---- GatherElements

Status InferGatherElements(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, ctx.input(1).shape});
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape indices, ctx.InputShape(1));
  return CheckElementIndices(x, indices, ctx.params<AxisParams>().axis);
}

Status EvaluateGatherElements(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Tensor& indices = ctx.input(1);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const std::vector<int64_t> offsets,
                   ElementOffsets(x.dims(), indices, ctx.params<AxisParams>().axis));
  const size_t bytes = SizeOf(x.dtype());
  for (size_t i = 0; i < offsets.size(); ++i)
    std::memcpy(y->mutable_raw() + i * bytes, x.raw() + offsets[i] * bytes, bytes);
  return {};
}

// ---- GatherND

Status InferGatherND(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape indices, ctx.InputShape(1));
  const int64_t batch = ctx.params<GatherNDParams>().batch_dims;
  if (batch < 0 || batch >= indices.rank() || batch > x.rank()) {
    return InvalidModel("batch_dims ", batch, " with x ", x.ToString(), " and indices ",
                        indices.ToString());
  }
  const auto k = indices[indices.rank() - 1].TryValue();
  if (!k) {
    ctx.SetOutput(0, {ctx.InputType(0), std::nullopt});
    return {};
  }
  if (*k < 1 || *k > x.rank() - batch) {
    return InvalidModel("indices ", indices.ToString(), " have tuples of ", *k, " for x ",
                        x.ToString(), " with batch_dims ", batch);
  }
  for (int i = 0; i < batch; ++i) {
    if (!MayEqual(x[i], indices[i]))
      return InvalidModel("x ", x.ToString(), " and indices ", indices.ToString(),
                          " differ in batch axis ", i);
  }
  std::vector<Dim> y(indices.begin(), indices.end() - 1);
  y.insert(y.end(), x.begin() + batch + *k, x.end());
  ctx.SetOutput(0, {ctx.InputType(0), Shape(std::move(y))});
  return {};
}

Status EvaluateGatherND(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Tensor& indices = ctx.input(1);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const int64_t batch = ctx.params<GatherNDParams>().batch_dims;
  const std::span<const int64_t> dims = x.dims();
  const int64_t k = indices.dim(indices.rank() - 1);
  const int64_t batches = NumElements(dims.first(batch));
  ASSIGN_OR_RETURN(const std::vector<int64_t> offsets, ReadTuples(indices, dims.subspan(batch)));
  const size_t bytes = SizeOf(x.dtype());
  const size_t part = static_cast<size_t>(NumElements(dims.subspan(batch))) * bytes;
  const size_t inner = static_cast<size_t>(NumElements(dims.subspan(batch + k))) * bytes;
  if (y->num_elements() == 0) return {};
  const size_t per_batch = offsets.size() / static_cast<size_t>(batches);
  for (size_t i = 0; i < offsets.size(); ++i) {
    std::memcpy(y->mutable_raw() + i * inner,
                x.raw() + i / per_batch * part + static_cast<size_t>(offsets[i]) * bytes, inner);
  }
  return {};
}

// ---- OneHot

Status InferOneHot(InferContext& ctx) {
  const DType type = ctx.InputType(2);
  ctx.SetOutput(0, {type, std::nullopt});
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "depth"));
  RETURN_IF_ERROR(CheckVector(ctx, 2, "values", 2));
  ASSIGN_OR_RETURN(const Shape indices, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const int axis,
                   NormalizeAxis(ctx.params<OneHotParams>().axis, indices.rank() + 1));
  Dim depth;
  if (const Tensor* constant = ctx.InputConstant(1)) {
    depth = constant->AsInt(0);
    if (depth.value() < 0) return InvalidModel("depth of OneHot is ", depth.value());
  } else if (const auto known = KnownInts(ctx, 1)) {
    depth = (*known)[0];
  } else {
    depth = ctx.FreshSymbol();
  }
  std::vector<Dim> y = indices.dims();
  y.insert(y.begin() + axis, depth);
  const Shape shape(std::move(y));
  RETURN_IF_ERROR(CheckTensorSize(type, shape));
  ctx.SetOutput(0, {type, shape});
  return {};
}

Status EvaluateOneHot(EvalContext& ctx) {
  const Tensor& indices = ctx.input(0);
  const Tensor& values = ctx.input(2);
  ASSIGN_OR_RETURN(const int axis,
                   NormalizeAxis(ctx.params<OneHotParams>().axis, indices.rank() + 1));
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Dims& dims = y->dims();
  const int64_t depth = dims[axis];
  const size_t bytes = SizeOf(values.dtype());
  CopyStrided(bytes, dims, values.raw(), 0, Dims(dims.size(), 0), y->mutable_raw(), 0,
              RowMajorStrides(dims));
  const int64_t inner = NumElements(std::span<const int64_t>(dims).subspan(axis + 1));
  for (int64_t i = 0; i < indices.num_elements(); ++i) {
    int64_t hot = indices.AsInt(i);
    if (hot < -depth || hot >= depth) continue;
    if (hot < 0) hot += depth;
    const int64_t at = (i / inner * depth + hot) * inner + i % inner;
    std::memcpy(y->mutable_raw() + static_cast<size_t>(at) * bytes, values.raw() + bytes, bytes);
  }
  return {};
}

// ---- NonZero

Status InferNonZero(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kInt64, std::nullopt});
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ctx.SetOutput(0, {DType::kInt64, Shape{Dim(std::max(1, x.rank())), ctx.FreshSymbol()}});
  return {};
}

Status EvaluateNonZero(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < x.num_elements(); ++i)
    if (x.AsDouble(i) != 0) places.push_back(i);
  const int64_t n = static_cast<int64_t>(places.size());
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, DType::kInt64, {std::max(1, x.rank()), n}));
  int64_t* out = y->mutable_data<int64_t>().data();
  std::fill(out, out + y->num_elements(), 0);
  const Dims strides = RowMajorStrides(x.dims());
  for (int axis = 0; axis < x.rank(); ++axis) {
    for (int64_t i = 0; i < n; ++i) out[axis * n + i] = places[i] / strides[axis] % x.dim(axis);
  }
  return {};
}

}  // namespace

namespace op {

constinit const OpDef kGather = {.name = "Gather",
                                 .summary = "y = the slices of x along axis that indices name",
                                 .inputs = kInputs,
                                 .outputs = kY,
                                 .fields = kAxisFields,
                                 .default_params = DefaultParams<AxisParams>,
                                 .build_params = BuildParams<AxisParams>,
                                 .infer = InferGather,
                                 .evaluate = EvaluateGather,
                                 .traits = kDataMovement};

constinit const OpDef kGatherElements = {
    .name = "GatherElements",
    .summary = "y[p] = x[p with indices[p] at axis] for every place p of indices",
    .inputs = kInputs,
    .outputs = kY,
    .fields = kAxisFields,
    .default_params = DefaultParams<AxisParams>,
    .build_params = BuildParams<AxisParams>,
    .infer = InferGatherElements,
    .evaluate = EvaluateGatherElements,
    .traits = kDataMovement};

constinit const OpDef kGatherND = {
    .name = "GatherND",
    .summary = "y = the slices of x that the tuples along the last axis of indices name",
    .inputs = kInputs,
    .outputs = kY,
    .fields = kGatherNDFields,
    .default_params = DefaultParams<GatherNDParams>,
    .build_params = BuildParams<GatherNDParams>,
    .infer = InferGatherND,
    .evaluate = EvaluateGatherND,
    .traits = kDataMovement};

constinit const OpDef kOneHot = {.name = "OneHot",
                                 .summary = "y = on at the index along a new axis, off elsewhere",
                                 .inputs = kOneHotInputs,
                                 .outputs = kOneHotY,
                                 .fields = kOneHotFields,
                                 .default_params = DefaultParams<OneHotParams>,
                                 .build_params = BuildParams<OneHotParams>,
                                 .infer = InferOneHot,
                                 .evaluate = EvaluateOneHot};

constinit const OpDef kNonZero = {.name = "NonZero",
                                  .summary = "y = the places of the elements of x that are not 0",
                                  .inputs = kNonZeroX,
                                  .outputs = kNonZeroY,
                                  .infer = InferNonZero,
                                  .evaluate = EvaluateNonZero,
                                  .traits = kDataDependentShape};

}  // namespace op
}  // namespace sula
