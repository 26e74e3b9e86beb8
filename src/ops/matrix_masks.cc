// Trilu and EyeLike: parts of matrices by their diagonals.
#include <algorithm>
#include <cstring>

#include "ops/checks.h"
#include "ops/elements.h"
#include "ops/movement.h"
#include "ops/sizes.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr Port kTriluInputs[] = {
    {"x", "[...,M,N]"},
    {"k", "scalar, the diagonal; absent: 0, the main one; positive: above", Bit(DType::kInt64),
     Arity::kOptional}};
constexpr Port kY[] = {{"y", "shape and type of x"}};
constexpr Port kEyeInputs[] = {{"x", "[M,N]; only its shape and type count"}};
constexpr Port kEyeY[] = {{"y", "[M,N]"}};

constexpr Field kTriluFields[] = {MakeField<&TriluParams::upper>(
    "upper", "keep what lies on and above the diagonal, else below")};
constexpr Field kEyeFields[] = {
    MakeField<&EyeLikeParams::k>("k", "the diagonal; positive: above the main one"),
    MakeField<&EyeLikeParams::has_dtype>("has_dtype", "dtype counts, instead of the type of x"),
    MakeField<&EyeLikeParams::dtype>("dtype", "the type of y if has_dtype")};

Status InferTrilu(InferContext& ctx) {
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "k"));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (x.rank() < 2) return InvalidModel("x must have rank 2 or more, has the shape ", x.ToString());
  return InferLikeInput(ctx);
}

// The first column of row `row` that lies above diagonal k - 1, in [0, columns].
int64_t DiagonalColumn(int64_t row, int64_t k, int64_t columns) {
  const int64_t limited = std::clamp(k, -row - 1, columns);  // so that the sum fits
  return std::clamp<int64_t>(row + limited, 0, columns);
}

Status EvaluateTrilu(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const bool upper = ctx.params<TriluParams>().upper;
  const int64_t k = ctx.HasInput(1) ? ctx.input(1).AsInt(0) : 0;
  const int64_t rows = x.dim(x.rank() - 2), columns = x.dim(x.rank() - 1);
  const size_t bytes = SizeOf(x.dtype());
  if (x.num_elements() == 0) return {};
  const int64_t all_rows = x.num_elements() / columns;
  std::memset(y->mutable_raw(), 0, y->bytes());
  for (int64_t r = 0; r < all_rows; ++r) {
    const int64_t on = DiagonalColumn(r % rows, k, columns);
    const int64_t after = k == INT64_MAX ? columns : DiagonalColumn(r % rows, k + 1, columns);
    const int64_t first = upper ? on : 0, last = upper ? columns : after;
    const size_t begin = static_cast<size_t>(r * columns + first) * bytes;
    std::memcpy(y->mutable_raw() + begin, x.raw() + begin,
                static_cast<size_t>(last - first) * bytes);
  }
  return {};
}

Status InferEyeLike(InferContext& ctx) {
  const auto& p = ctx.params<EyeLikeParams>();
  const DType type = p.has_dtype ? p.dtype : ctx.InputType(0);
  ctx.SetOutput(0, {type, std::nullopt});
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (x.rank() != 2) return InvalidModel("x must be a matrix, has the shape ", x.ToString());
  ctx.SetOutput(0, {type, x});
  return {};
}

Status EvaluateEyeLike(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const int64_t rows = y->dim(0), columns = y->dim(1);
  std::memset(y->mutable_raw(), 0, y->bytes());
  const int64_t one = 1;
  const int64_t k = std::clamp(ctx.params<EyeLikeParams>().k, -rows, columns);
  for (int64_t r = std::max<int64_t>(0, -k); r < rows && r + k < columns; ++r)
    Store(&one, 1, *y, r * columns + r + k);
  return {};
}

}  // namespace

namespace op {

constinit const OpDef kTrilu = {
    .name = "Trilu",
    .summary = "y = the upper or lower triangles of the matrices in x, 0 elsewhere",
    .inputs = kTriluInputs,
    .outputs = kY,
    .fields = kTriluFields,
    .default_params = DefaultParams<TriluParams>,
    .build_params = BuildParams<TriluParams>,
    .infer = InferTrilu,
    .evaluate = EvaluateTrilu,
    .traits = kDataMovement};

constinit const OpDef kEyeLike = {.name = "EyeLike",
                                  .summary = "y = 1 on a diagonal, 0 elsewhere",
                                  .inputs = kEyeInputs,
                                  .outputs = kEyeY,
                                  .fields = kEyeFields,
                                  .default_params = DefaultParams<EyeLikeParams>,
                                  .build_params = BuildParams<EyeLikeParams>,
                                  .infer = InferEyeLike,
                                  .evaluate = EvaluateEyeLike};

}  // namespace op
}  // namespace sula
