// Transpose, Concat, Split, Tile, DepthToSpace, SpaceToDepth: whole-tensor copies by strides.
#include "ops/movement.h"

#include <algorithm>
#include <numeric>

#include "ops/checks.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr TypeSet kInt64 = Bit(DType::kInt64);

constexpr Port kX[] = {{"x", "any shape"}};
constexpr Port kY[] = {{"y", "type of x"}};
constexpr Port kConcatInputs[] = {
    {"inputs", "equal in type and in sizes but that of axis", kAllTypes, Arity::kVariadic}};
constexpr Port kSplitInputs[] = {
    {"x", "any shape"},
    {"split", "1-D, sizes of the parts; absent: equal parts", kInt64, Arity::kOptional}};
constexpr Port kSplitOutputs[] = {{"outputs", "type of x", kAllTypes, Arity::kVariadic}};
constexpr Port kTileInputs[] = {{"x", "any shape"}, {"repeats", "1-D, one per axis", kInt64}};
constexpr Port kMap[] = {{"x", "[N,C,H,W]"}};

constexpr Field kTransposeFields[] = {
    MakeField<&TransposeParams::perm>("perm", "axis i of y is axis perm[i] of x; empty: reversed")};
constexpr Field kConcatFields[] = {MakeField<&ConcatParams::axis>("axis", "joined along it")};
constexpr Field kSplitFields[] = {
    MakeField<&SplitParams::axis>("axis", "cut across it"),
    MakeField<&SplitParams::num_outputs>("num_outputs", "equal parts, the last may be smaller")};
constexpr Field kBlockFields[] = {
    MakeField<&BlockParams::block>("block", "side of the square of pixels"),
    MakeField<&BlockParams::crd>("crd", "channels ordered column-row-depth")};

// Reads x through a shape `dims` (as many elements) with its axes permuted, writes y densely.
void CopyPermuted(const Tensor& x, const Dims& dims, std::span<const int> perm, Tensor& y) {
  const Dims dense = RowMajorStrides(dims);
  Dims sizes, strides;
  for (int axis : perm) {
    sizes.push_back(dims[axis]);
    strides.push_back(dense[axis]);
  }
  CopyStrided(SizeOf(x.dtype()), sizes, x.raw(), 0, strides, y.mutable_raw(), 0,
              RowMajorStrides(sizes));
}

// ---- Transpose

Status InferTranspose(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const std::vector<int> perm,
                   ResolvePerm(ctx.params<TransposeParams>().perm, x.rank()));
  std::vector<Dim> y;
  for (int axis : perm) y.push_back(x[axis]);
  ctx.SetOutput(0, {ctx.InputType(0), Shape(std::move(y))});
  if (x.rank() <= 1) ForwardContents(ctx);
  return {};
}

Status EvaluateTranspose(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(const std::vector<int> perm,
                   ResolvePerm(ctx.params<TransposeParams>().perm, x.rank()));
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  CopyPermuted(x, x.dims(), perm, *y);
  return {};
}

// ---- Concat

// Joins what is known of the elements of 1-D integer inputs.
void ConcatContents(InferContext& ctx) {
  std::vector<Dim> all;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    const auto part = KnownInts(ctx, i);
    if (!part) return;
    all.insert(all.end(), part->begin(), part->end());
  }
  if (static_cast<int64_t>(all.size()) <= kMaxContents) ctx.SetOutputContents(0, std::move(all));
}

Status InferConcat(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  std::optional<Shape> y;
  int axis = 0;
  bool all_known = true;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    RETURN_IF_ERROR(CheckSameType(ctx, {0, i}));
    if (!ctx.input(i).shape) {
      all_known = false;
      continue;
    }
    const Shape& x = *ctx.input(i).shape;
    if (!y) {
      ASSIGN_OR_RETURN(axis, NormalizeAxis(ctx.params<ConcatParams>().axis, x.rank()));
      y = x;
      continue;
    }
    bool fits = x.rank() == y->rank();
    for (int k = 0; fits && k < x.rank(); ++k) {
      if (k == axis) continue;
      fits = MayEqual(x[k], (*y)[k]);
      if (x[k].is_const()) (*y)[k] = x[k];
    }
    if (!fits) {
      return InvalidModel("input ", i, " of shape ", x.ToString(), " does not join ", y->ToString(),
                          " along axis ", axis);
    }
    (*y)[axis] = (*y)[axis] + x[axis];
  }
  if (!y) return {};
  if (!all_known) (*y)[axis] = ctx.FreshSymbol();
  const bool small = y->rank() == 1;
  ctx.SetOutput(0, {type, *std::move(y)});
  if (small && all_known && !IsFloat(type)) ConcatContents(ctx);
  return {};
}

Status EvaluateConcat(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(ctx.params<ConcatParams>().axis, y->rank()));
  const Dims y_strides = RowMajorStrides(y->dims());
  int64_t begin = 0;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    const Tensor& x = ctx.input(i);
    CopyStrided(SizeOf(x.dtype()), x.dims(), x.raw(), 0, RowMajorStrides(x.dims()),
                y->mutable_raw(), begin * y_strides[axis], y_strides);
    begin += x.dim(axis);
  }
  return {};
}

// ---- Split

Status BadSplit(const Dim& size, const std::string& why) {
  return InvalidModel("an axis of size ", size.ToString(), " cannot be split ", why);
}

// The sizes of `parts` parts along an axis of the given size.
Result<std::vector<Dim>> ResolveSplit(const Dim& size, const std::vector<Dim>* split,
                                      int64_t num_outputs, int parts) {
  if (split) {
    if (static_cast<int>(split->size()) != parts)
      return BadSplit(size, StrCat("by ", split->size(), " sizes into ", parts, " outputs"));
    Dim sum = 0;
    for (const Dim& d : *split) {
      if (d.is_const() && d.value() < 0) return BadSplit(size, "by a negative size");
      sum = sum + d;
    }
    if (!MayEqual(sum, size)) return BadSplit(size, StrCat("by sizes of sum ", sum.ToString()));
    return *split;
  }
  if (num_outputs != 0 && num_outputs != parts)
    return BadSplit(size, StrCat("into num_outputs=", num_outputs, " with ", parts, " outputs"));
  const Dim each = CeilDiv(size, parts);
  std::vector<Dim> sizes(parts, each);
  sizes.back() = size - each * Dim(parts - 1);
  if (sizes.back().is_const() && sizes.back().value() < 0)
    return BadSplit(size, StrCat("into ", parts, " parts"));
  return sizes;
}

Status InferSplit(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  const SplitParams& p = ctx.params<SplitParams>();
  for (int i = 0; i < ctx.num_outputs(); ++i) ctx.SetOutput(i, {type, std::nullopt});
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  const auto split = KnownInts(ctx, 1);
  std::vector<Dim> sizes;
  if (ctx.HasInput(1) && !split) {
    for (int i = 0; i < ctx.num_outputs(); ++i) sizes.push_back(ctx.FreshSymbol());
  } else {
    ASSIGN_OR_RETURN(
        sizes, ResolveSplit(x[axis], split ? &*split : nullptr, p.num_outputs, ctx.num_outputs()));
  }
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    x[axis] = sizes[i];
    ctx.SetOutput(i, {type, x});
  }
  const auto contents = ctx.InputContents(0);
  if (!contents || x.rank() != 1) return {};
  auto next = contents->begin();
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    const auto n = sizes[i].TryValue();
    if (!n || *n > contents->end() - next) return {};
    ctx.SetOutputContents(i, {next, next + *n});
    next += *n;
  }
  return {};
}

Status EvaluateSplit(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const SplitParams& p = ctx.params<SplitParams>();
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(p.axis, x.rank()));
  const std::vector<Dim> split = ctx.HasInput(1) ? AsDims(ctx.input(1)) : std::vector<Dim>();
  ASSIGN_OR_RETURN(const std::vector<Dim> sizes,
                   ResolveSplit(x.dim(axis), ctx.HasInput(1) ? &split : nullptr, p.num_outputs,
                                ctx.num_outputs()));
  const Dims x_strides = RowMajorStrides(x.dims());
  Dims dims = x.dims();
  int64_t begin = 0;
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    dims[axis] = sizes[i].value();
    if (ctx.HasOutput(i)) {
      ASSIGN_OR_RETURN(Tensor * y, ctx.Output(i, x.dtype(), dims));
      CopyStrided(SizeOf(x.dtype()), dims, x.raw(), begin * x_strides[axis], x_strides,
                  y->mutable_raw(), 0, RowMajorStrides(dims));
    }
    begin += dims[axis];
  }
  return {};
}

// ---- Tile

Result<Shape> ResolveTile(const Shape& x, std::span<const Dim> repeats) {
  if (static_cast<int>(repeats.size()) != x.rank()) {
    return InvalidModel("Tile of ", x.ToString(), " needs ", x.rank(), " repeats, has ",
                        repeats.size());
  }
  std::vector<Dim> y;
  for (int i = 0; i < x.rank(); ++i) {
    if (repeats[i].is_const() && repeats[i].value() < 0)
      return InvalidModel("Tile repeats axis ", i, " ", repeats[i].value(), " times");
    y.push_back(x[i] * repeats[i]);
  }
  return Shape(std::move(y));
}

Status InferTile(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const auto repeats = KnownInts(ctx, 1);
  if (!repeats) {
    ctx.SetOutput(0, {type, FreshShape(ctx, x.rank())});
    return {};
  }
  ASSIGN_OR_RETURN(Shape y, ResolveTile(x, *repeats));
  RETURN_IF_ERROR(CheckTensorSize(type, y));
  ctx.SetOutput(0, {type, std::move(y)});
  return {};
}

Status EvaluateTile(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Shape shape, ResolveTile(Shape::Of(x.dims()), AsDims(ctx.input(1))));
  ASSIGN_OR_RETURN(const Dims dims, ConcreteDims(shape));
  ASSIGN_OR_RETURN(Tensor * y, ctx.Output(0, x.dtype(), dims));
  // Every axis of y is a pair: which copy, and where in x.
  const Dims strides = RowMajorStrides(x.dims());
  Dims pairs, from;
  for (int i = 0; i < x.rank(); ++i) {
    pairs.insert(pairs.end(), {ctx.input(1).AsInt(i), x.dim(i)});
    from.insert(from.end(), {0, strides[i]});
  }
  CopyStrided(SizeOf(x.dtype()), pairs, x.raw(), 0, from, y->mutable_raw(), 0,
              RowMajorStrides(pairs));
  return {};
}

// ---- DepthToSpace, SpaceToDepth

Result<Shape> BlockInput(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  const int64_t block = ctx.params<BlockParams>().block;
  if (x.rank() != 4)
    return InvalidModel("x must have the axes [N,C,H,W], has the shape ", x.ToString());
  if (block < 1 || block > INT32_MAX) return InvalidModel("a block of side ", block);
  return x;
}

// size / by, an error if it is known not to divide.
Result<Dim> Divide(const Shape& x, int axis, int64_t by) {
  if (x[axis].is_const() && x[axis].value() % by != 0)
    return InvalidModel("axis ", axis, " of ", x.ToString(), " is not a multiple of ", by);
  return FloorDiv(x[axis], by);
}

Status InferDepthToSpace(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, BlockInput(ctx));
  const int64_t block = ctx.params<BlockParams>().block;
  ASSIGN_OR_RETURN(const Dim channels, Divide(x, 1, block * block));
  ctx.SetOutput(0, {ctx.InputType(0), Shape{x[0], channels, x[2] * block, x[3] * block}});
  return {};
}

Status EvaluateDepthToSpace(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const BlockParams& p = ctx.params<BlockParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const int64_t b = p.block, c = y->dim(1);
  if (p.crd) {
    CopyPermuted(x, {x.dim(0), c, b, b, x.dim(2), x.dim(3)}, std::vector<int>{0, 1, 4, 2, 5, 3},
                 *y);
  } else {
    CopyPermuted(x, {x.dim(0), b, b, c, x.dim(2), x.dim(3)}, std::vector<int>{0, 3, 4, 1, 5, 2},
                 *y);
  }
  return {};
}

Status InferSpaceToDepth(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, BlockInput(ctx));
  const int64_t block = ctx.params<BlockParams>().block;
  ASSIGN_OR_RETURN(const Dim height, Divide(x, 2, block));
  ASSIGN_OR_RETURN(const Dim width, Divide(x, 3, block));
  ctx.SetOutput(0, {ctx.InputType(0), Shape{x[0], x[1] * Dim(block * block), height, width}});
  return {};
}

Status EvaluateSpaceToDepth(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const BlockParams& p = ctx.params<BlockParams>();
  const int64_t b = p.block;
  const std::vector<int> perm =
      p.crd ? std::vector<int>{0, 1, 3, 5, 2, 4} : std::vector<int>{0, 3, 5, 1, 2, 4};
  CopyPermuted(x, {x.dim(0), x.dim(1), y->dim(2), b, y->dim(3), b}, perm, *y);
  return {};
}

}  // namespace

Result<std::vector<int>> ResolvePerm(std::span<const int64_t> perm, int rank) {
  std::vector<int> axes(rank);
  if (perm.empty()) {
    for (int i = 0; i < rank; ++i) axes[i] = rank - 1 - i;
    return axes;
  }
  bool is_permutation = static_cast<int>(perm.size()) == rank;
  std::vector<bool> seen(rank, false);
  for (int i = 0; is_permutation && i < rank; ++i) {
    is_permutation = perm[i] >= 0 && perm[i] < rank && !seen[perm[i]];
    if (!is_permutation) break;
    seen[perm[i]] = true;
    axes[i] = static_cast<int>(perm[i]);
  }
  if (!is_permutation)
    return InvalidModel("perm ", ToString(perm), " does not permute the ", rank, " axes of x");
  return axes;
}

namespace op {

constinit const OpDef kTranspose = {.name = "Transpose",
                                    .summary = "y = x with its axes in the order perm",
                                    .inputs = kX,
                                    .outputs = kY,
                                    .fields = kTransposeFields,
                                    .default_params = DefaultParams<TransposeParams>,
                                    .build_params = BuildParams<TransposeParams>,
                                    .infer = InferTranspose,
                                    .evaluate = EvaluateTranspose,
                                    .traits = kDataMovement};

constinit const OpDef kConcat = {.name = "Concat",
                                 .summary = "y = the inputs one after the other along an axis",
                                 .inputs = kConcatInputs,
                                 .outputs = kY,
                                 .fields = kConcatFields,
                                 .default_params = DefaultParams<ConcatParams>,
                                 .build_params = BuildParams<ConcatParams>,
                                 .infer = InferConcat,
                                 .evaluate = EvaluateConcat,
                                 .traits = kDataMovement};

constinit const OpDef kSplit = {.name = "Split",
                                .summary = "outputs = x cut into consecutive parts along an axis",
                                .inputs = kSplitInputs,
                                .outputs = kSplitOutputs,
                                .fields = kSplitFields,
                                .default_params = DefaultParams<SplitParams>,
                                .build_params = BuildParams<SplitParams>,
                                .infer = InferSplit,
                                .evaluate = EvaluateSplit,
                                .traits = kDataMovement};

constinit const OpDef kTile = {.name = "Tile",
                               .summary = "y = x repeated along each axis",
                               .inputs = kTileInputs,
                               .outputs = kY,
                               .infer = InferTile,
                               .evaluate = EvaluateTile,
                               .traits = kDataMovement};

constinit const OpDef kDepthToSpace = {
    .name = "DepthToSpace",
    .summary = "y [N,C/b^2,H*b,W*b] = channels of x moved into b x b squares of pixels",
    .inputs = kMap,
    .outputs = kY,
    .fields = kBlockFields,
    .default_params = DefaultParams<BlockParams>,
    .build_params = BuildParams<BlockParams>,
    .infer = InferDepthToSpace,
    .evaluate = EvaluateDepthToSpace,
    .traits = kDataMovement};

constinit const OpDef kSpaceToDepth = {
    .name = "SpaceToDepth",
    .summary = "y [N,C*b^2,H/b,W/b] = b x b squares of pixels moved into channels",
    .inputs = kMap,
    .outputs = kY,
    .fields = kBlockFields,
    .default_params = DefaultParams<BlockParams>,
    .build_params = BuildParams<BlockParams>,
    .infer = InferSpaceToDepth,
    .evaluate = EvaluateSpaceToDepth,
    .traits = kDataMovement};

}  // namespace op
}  // namespace sula
