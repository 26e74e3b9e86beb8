// Indices as operators get them: possibly negative, possibly wrong.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace sula {

// All elements of an index tensor, each brought from [-size, size) to [0, size). An error names
// the first that is outside and `what` it was to pick from.
Result<std::vector<int64_t>> ReadIndices(const Tensor& indices, int64_t size,
                                         std::string_view what);

// Reads an index tensor [..., k] as tuples into the leading axes of an array of sizes `dims`
// (k at most their number) and gives the offset of each: its dot product with row-major strides.
Result<std::vector<int64_t>> ReadTuples(const Tensor& indices, std::span<const int64_t> dims);

// The rule of GatherElements and ScatterElements: indices has the rank of x and is nowhere larger
// but along axis. Sizes that are not known yet pass.
Status CheckElementIndices(const Shape& x, const Shape& indices, int64_t axis);

// Where each place p of indices points: to element (p with indices[p] at axis) of an array of sizes
// `dims`. Offsets in row-major order of p. Errors: as CheckElementIndices, an index out of range.
Result<std::vector<int64_t>> ElementOffsets(const Dims& dims, const Tensor& indices, int64_t axis);

}  // namespace sula
