#include "ops/sizes.h"

#include <unistd.h>

namespace sula {
namespace {

uint64_t MemoryOfMachine() {
  static const uint64_t bytes = [] {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page)
                                 : uint64_t{1} << 32;
  }();
  return bytes;
}

}  // namespace

Status CheckTensorSize(DType dtype, std::span<const int64_t> dims) {
  if (dims.size() > kMaxRank)
    return InvalidModel("a tensor of ", dims.size(), " axes; at most ", kMaxRank, " are possible");
  uint64_t bytes = SizeOf(dtype);
  bool overflow = false, empty = false;
  for (int64_t d : dims) {
    if (d < 0) return InvalidModel("a tensor of sizes ", ToString(dims), " has a negative size");
    empty |= d == 0;
    overflow |= d != 0 && __builtin_mul_overflow(bytes, static_cast<uint64_t>(d), &bytes);
  }
  if (!empty && (overflow || bytes > MemoryOfMachine())) {
    return ResourceExhausted("a tensor ", Name(dtype), ToString(dims), " would need ",
                             overflow ? std::string("more than 2^64") : std::to_string(bytes),
                             " bytes; this machine has ", MemoryOfMachine());
  }
  return {};
}

Status CheckTensorSize(DType dtype, const Shape& shape) {
  Dims dims;
  for (const Dim& d : shape) dims.push_back(d.TryValue().value_or(1));
  return CheckTensorSize(dtype, dims);
}

Result<Tensor> MakeTensor(DType dtype, const Dims& dims) {
  RETURN_IF_ERROR(CheckTensorSize(dtype, dims));
  return Tensor::Create(dtype, dims);
}

std::vector<Dim> AsDims(const Tensor& t) {
  const std::vector<int64_t> ints = t.ToInts();
  return {ints.begin(), ints.end()};
}

std::optional<std::vector<Dim>> KnownInts(const InferContext& ctx, int i) {
  if (!ctx.HasInput(i)) return std::nullopt;
  const Tensor* t = ctx.InputConstant(i);
  if (!t || IsFloat(t->dtype())) return ctx.InputContents(i);
  if (t->rank() > 1 || t->num_elements() > kMaxContents) return std::nullopt;
  return AsDims(*t);
}

std::optional<std::vector<int64_t>> KnownNumbers(const InferContext& ctx, int i) {
  const auto dims = KnownInts(ctx, i);
  if (!dims) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const Dim& d : *dims) {
    if (!d.is_const()) return std::nullopt;
    numbers.push_back(d.value());
  }
  return numbers;
}

Result<Dims> ConcreteDims(const Shape& shape) {
  Dims dims;
  for (const Dim& d : shape) {
    ASSIGN_OR_RETURN(const int64_t size, d.Evaluate({}));
    dims.push_back(size);
  }
  return dims;
}

std::optional<int64_t> KnownLength(const InferContext& ctx, int i) {
  if (!ctx.HasInput(i) || !ctx.input(i).shape) return std::nullopt;
  return ctx.input(i).shape->NumElements().TryValue();
}

std::optional<Shape> FreshShape(InferContext& ctx, int64_t rank) {
  if (rank > kMaxRank) return std::nullopt;
  std::vector<Dim> dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(ctx.FreshSymbol());
  return Shape(std::move(dims));
}

Status InferLikeInput(InferContext& ctx) {
  ctx.SetOutput(0, ctx.input(0));
  return {};
}

void ForwardContents(InferContext& ctx) {
  if (auto contents = ctx.InputContents(0)) ctx.SetOutputContents(0, std::move(*contents));
}

}  // namespace sula
