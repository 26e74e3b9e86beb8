#include "tensor/shape.h"

#include <algorithm>
#include <limits>

namespace sula {
namespace {

std::optional<Dim> BroadcastDim(const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (a == Dim(1)) return b;
  if (b == Dim(1)) return a;
  if (a.is_const() && b.is_const()) return std::nullopt;
  // A number other than 1 decides: the other size is the same or 1 when the model runs.
  if (a.is_const()) return a;
  if (b.is_const()) return b;
  return Max(a, b);
}

}  // namespace

bool Shape::IsConcrete() const {
  return std::all_of(dims_.begin(), dims_.end(), [](const Dim& d) { return d.is_const(); });
}

std::optional<Dims> Shape::TryConcrete() const {
  if (!IsConcrete()) return std::nullopt;
  return Concrete();
}

Dims Shape::Concrete() const {
  Dims dims;
  dims.reserve(dims_.size());
  for (const Dim& d : dims_) dims.push_back(d.value());
  return dims;
}

Dim Shape::NumElements() const {
  Dim product = 1;
  for (const Dim& d : dims_) product = product * d;
  return product;
}

Shape Shape::Substitute(const DimBindings& bindings) const {
  std::vector<Dim> dims;
  dims.reserve(dims_.size());
  for (const Dim& d : dims_) dims.push_back(d.Substitute(bindings));
  return Shape(std::move(dims));
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (size_t i = 0; i < dims_.size(); ++i) {
    if (i > 0) text += ',';
    text += dims_[i].ToString();
  }
  return text + ']';
}

std::string TensorType::ToString() const {
  return StrCat(Name(dtype), shape ? shape->ToString() : "[?]");
}

Result<int> NormalizeAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return InvalidArgument("axis ", axis, " is outside [", -rank, ", ", rank, ") for rank ", rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Result<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<Dim> dims;
  dims.reserve(rank);
  for (int i = 0; i < rank; ++i) {
    const int in_a = i - (rank - a.rank()), in_b = i - (rank - b.rank());
    std::optional<Dim> dim = BroadcastDim(in_a < 0 ? Dim(1) : a[in_a], in_b < 0 ? Dim(1) : b[in_b]);
    if (!dim) {
      return InvalidArgument("shapes ", a.ToString(), " and ", b.ToString(),
                             " cannot be broadcast together: axis ", i, " has ", a[in_a].ToString(),
                             " and ", b[in_b].ToString());
    }
    dims.push_back(*std::move(dim));
  }
  return Shape(std::move(dims));
}

Result<Dims> BroadcastDims(std::span<const int64_t> a, std::span<const int64_t> b) {
  ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes(Shape::Of(a), Shape::Of(b)));
  return shape.Concrete();
}

Dims RowMajorStrides(std::span<const int64_t> dims) {
  Dims strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    if (__builtin_mul_overflow(stride, dims[i], &stride)) {
      stride = std::numeric_limits<int64_t>::max();
    }
  }
  return strides;
}

}  // namespace sula
