#include "ops/indices.h"

#include "ops/strided.h"

namespace sula {

Result<std::vector<int64_t>> ReadIndices(const Tensor& indices, int64_t size,
                                         std::string_view what) {
  std::vector<int64_t> all = indices.ToInts();
  for (int64_t& index : all) {
    if (index < -size || index >= size) {
      return InvalidArgument("index ", index, " is outside [", -size, ", ", size, ") of ", what);
    }
    if (index < 0) index += size;
  }
  return all;
}

Result<std::vector<int64_t>> ReadTuples(const Tensor& indices, std::span<const int64_t> dims) {
  const int64_t k = indices.dim(indices.rank() - 1);
  const Dims strides = RowMajorStrides(dims);
  const std::vector<int64_t> all = indices.ToInts();
  int64_t tuples = 1;
  for (int i = 0; i + 1 < indices.rank(); ++i) tuples *= indices.dim(i);
  std::vector<int64_t> offsets(tuples, 0);
  for (int64_t t = 0; t < tuples; ++t) {
    for (int64_t i = 0; i < k; ++i) {
      const int64_t index = all[t * k + i];
      if (index < -dims[i] || index >= dims[i]) {
        return InvalidArgument("index ", index, " is outside [", -dims[i], ", ", dims[i],
                               ") of axis ", i, " of the indexed part ", ToString(dims));
      }
      offsets[t] += (index < 0 ? index + dims[i] : index) * strides[i];
    }
  }
  return offsets;
}

Status CheckElementIndices(const Shape& x, const Shape& indices, int64_t axis) {
  ASSIGN_OR_RETURN(const int along, NormalizeAxis(axis, x.rank()));
  bool fits = indices.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) {
    const auto have = x[i].TryValue(), want = indices[i].TryValue();
    fits = i == along || !have || !want || *want <= *have;
  }
  if (fits) return {};
  return InvalidModel("indices ", indices.ToString(), " do not fit x ", x.ToString(), " with axis ",
                      along);
}

Result<std::vector<int64_t>> ElementOffsets(const Dims& dims, const Tensor& indices, int64_t axis) {
  RETURN_IF_ERROR(CheckElementIndices(Shape::Of(dims), Shape::Of(indices.dims()), axis));
  ASSIGN_OR_RETURN(const int along, NormalizeAxis(axis, static_cast<int>(dims.size())));
  ASSIGN_OR_RETURN(std::vector<int64_t> offsets,
                   ReadIndices(indices, dims[along], StrCat("axis ", along)));
  Dims strides = RowMajorStrides(dims);
  const int64_t stride = strides[along];
  strides[along] = 0;
  auto next = offsets.begin();
  ForEachRow(indices.dims(), {strides},
             [&](std::span<const int64_t> begins, std::span<const int64_t> steps, int64_t n) {
               for (int64_t i = 0; i < n; ++i, ++next)
                 *next = *next * stride + begins[0] + i * steps[0];
             });
  return offsets;
}

}  // namespace sula
