// SpaceToBatch and BatchToSpace, as TensorFlow's SpaceToBatchND and BatchToSpaceND define them,
// with any axes blocked.
#include <algorithm>

#include "ops/checks.h"
#include "ops/movement.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr Port kX[] = {{"x", "[N,...]"}};
constexpr Port kY[] = {{"y", "type of x"}};
constexpr Field kSpaceToBatchFields[] = {
    MakeField<&BatchBlockParams::axes>("axes", "the blocked ones; default 1, 2, ..."),
    MakeField<&BatchBlockParams::block>("block", "side of a block, per blocked axis"),
    MakeField<&BatchBlockParams::borders>("pads", "zeros added: begins, then ends; default 0")};
constexpr Field kBatchToSpaceFields[] = {
    MakeField<&BatchBlockParams::axes>("axes", "the blocked ones; default 1, 2, ..."),
    MakeField<&BatchBlockParams::block>("block", "side of a block, per blocked axis"),
    MakeField<&BatchBlockParams::borders>("crops", "taken off: begins, then ends; default 0")};

// The parameters with every default resolved, checked against the rank of x.
struct Blocks {
  std::vector<int> axes;
  Dims block, begin, end;
  int64_t count = 1;  // product of the blocks
};
Result<Blocks> ResolveBlocks(const BatchBlockParams& p, int rank) {
  const size_t n = p.block.size();
  if (rank < 1) return InvalidModel("x is a scalar, expected at least a batch axis");
  if (!p.axes.empty() && p.axes.size() != n)
    return InvalidModel(p.axes.size(), " axes with ", n, " block sizes");
  if (!p.borders.empty() && p.borders.size() != 2 * n)
    return InvalidModel(p.borders.size(), " pads or crops with ", n, " block sizes, expected ",
                        2 * n);
  Blocks b;
  for (size_t i = 0; i < n; ++i) {
    const int64_t given = p.axes.empty() ? static_cast<int64_t>(i) + 1 : p.axes[i];
    ASSIGN_OR_RETURN(const int axis, NormalizeAxis(given, rank));
    if (axis == 0 || std::ranges::count(b.axes, axis) > 0)
      return InvalidModel("axis ", axis, axis == 0 ? " is the batch" : " is blocked twice");
    const int64_t begin = p.borders.empty() ? 0 : p.borders[i];
    const int64_t end = p.borders.empty() ? 0 : p.borders[n + i];
    if (p.block[i] < 1 || p.block[i] > INT32_MAX)
      return InvalidModel("a block of side ", p.block[i]);
    if (begin < 0 || end < 0 || begin > INT32_MAX || end > INT32_MAX)
      return InvalidModel("pads or crops of ", begin, " and ", end, " on axis ", axis);
    if (__builtin_mul_overflow(b.count, p.block[i], &b.count) || b.count > int64_t{1} << 40)
      return InvalidModel("blocks of more than 2^40 elements");
    b.axes.push_back(axis);
    b.block.push_back(p.block[i]);
    b.begin.push_back(begin);
    b.end.push_back(end);
  }
  return b;
}

Result<Dim> Quotient(const Dim& size, int64_t by, int axis, const Shape& x) {
  if (size.is_const() && size.value() % by != 0)
    return InvalidModel("axis ", axis, " of x ", x.ToString(), " has ", size.ToString(),
                        " elements with its padding, not a multiple of the block's ", by);
  return FloorDiv(size, by);
}

Status InferSpaceToBatch(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Blocks b, ResolveBlocks(ctx.params<BatchBlockParams>(), x.rank()));
  Shape y = x;
  y[0] = x[0] * Dim(b.count);
  for (size_t i = 0; i < b.axes.size(); ++i) {
    const int axis = b.axes[i];
    ASSIGN_OR_RETURN(y[axis], Quotient(x[axis] + Dim(b.begin[i] + b.end[i]), b.block[i], axis, x));
  }
  RETURN_IF_ERROR(CheckTensorSize(type, y));
  ctx.SetOutput(0, {type, std::move(y)});
  return {};
}

Status InferBatchToSpace(InferContext& ctx) {
  const DType type = ctx.InputType(0);
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Blocks b, ResolveBlocks(ctx.params<BatchBlockParams>(), x.rank()));
  Shape y = x;
  ASSIGN_OR_RETURN(y[0], Quotient(x[0], b.count, 0, x));
  for (size_t i = 0; i < b.axes.size(); ++i) {
    Dim& size = y[b.axes[i]];
    size = size * Dim(b.block[i]) - Dim(b.begin[i] + b.end[i]);
    if (size.is_const() && size.value() < 0)
      return InvalidModel("crops of ", b.begin[i], " and ", b.end[i], " take more than axis ",
                          b.axes[i], " of x ", x.ToString(), " has");
  }
  RETURN_IF_ERROR(CheckTensorSize(type, y));
  ctx.SetOutput(0, {type, std::move(y)});
  return {};
}

// Copies between `space` and `batch` (which is `space` with blocks moved into its axis 0), the part
// of each block that lies within `space`.
void CopyBlocks(const Blocks& b, const Tensor& from, Tensor& to, bool to_batch) {
  const Tensor& space = to_batch ? from : to;
  const Tensor& batch = to_batch ? to : from;
  if (space.num_elements() == 0 || batch.num_elements() == 0) return;
  const Dims space_strides = RowMajorStrides(space.dims());
  const Dims batch_strides = RowMajorStrides(batch.dims());
  const size_t n = b.axes.size();
  Dims at(n, 0);  // the place within a block
  for (int64_t i = 0; i < b.count; ++i) {
    Dims sizes = space.dims(), strides = space_strides;
    int64_t space_begin = 0, batch_begin = i * space.dim(0) * batch_strides[0];
    bool empty = false;
    for (size_t k = 0; k < n; ++k) {
      // Elements j of the batch's axis with 0 <= j * block + at - begin < size.
      const int axis = b.axes[k];
      const int64_t block = b.block[k], shift = at[k] - b.begin[k], size = space.dim(axis);
      const int64_t first = shift >= 0 ? 0 : (-shift + block - 1) / block;
      const int64_t last =
          std::min(size - 1 - shift < 0 ? -1 : (size - 1 - shift) / block, batch.dim(axis) - 1);
      if (last < first) empty = true;
      sizes[axis] = std::max<int64_t>(last - first + 1, 0);
      strides[axis] = space_strides[axis] * block;
      space_begin += (first * block + shift) * space_strides[axis];
      batch_begin += first * batch_strides[axis];
    }
    if (!empty) {
      const size_t bytes = SizeOf(from.dtype());
      if (to_batch) {
        CopyStrided(bytes, sizes, from.raw(), space_begin, strides, to.mutable_raw(), batch_begin,
                    batch_strides);
      } else {
        CopyStrided(bytes, sizes, from.raw(), batch_begin, batch_strides, to.mutable_raw(),
                    space_begin, strides);
      }
    }
    for (size_t k = n; k-- > 0 && ++at[k] == b.block[k];) at[k] = 0;
  }
}

template <bool kToBatch>
Status EvaluateBlocks(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(const Blocks b, ResolveBlocks(ctx.params<BatchBlockParams>(), x.rank()));
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  if (kToBatch && y->bytes() > 0) std::fill_n(y->mutable_raw(), y->bytes(), std::byte{0});
  CopyBlocks(b, x, *y, kToBatch);
  return {};
}

}  // namespace

namespace op {

constinit const OpDef kSpaceToBatch = {
    .name = "SpaceToBatch",
    .summary =
        "y = x padded with zeros, the elements at each place of its blocks as a batch of "
        "their own: batches in the order of the places, and in each that of x",
    .inputs = kX,
    .outputs = kY,
    .fields = kSpaceToBatchFields,
    .default_params = DefaultParams<BatchBlockParams>,
    .build_params = BuildParams<BatchBlockParams>,
    .infer = InferSpaceToBatch,
    .evaluate = EvaluateBlocks<true>,
    .traits = kDataMovement};

constinit const OpDef kBatchToSpace = {
    .name = "BatchToSpace",
    .summary = "the inverse of SpaceToBatch: batches back into blocks, then cropped",
    .inputs = kX,
    .outputs = kY,
    .fields = kBatchToSpaceFields,
    .default_params = DefaultParams<BatchBlockParams>,
    .build_params = BuildParams<BatchBlockParams>,
    .infer = InferBatchToSpace,
    .evaluate = EvaluateBlocks<false>,
    .traits = kDataMovement};

}  // namespace op
}  // namespace sula
