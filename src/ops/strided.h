// Walks over several arrays at once, each with its own strides: what broadcasting, reductions and
// all data movement reduce to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "base/function_ref.h"
#include "sula/tensor.h"

namespace sula {

// offsets[k]: where the row begins in array k; steps[k]: its stride along the row; both in
// elements. n: the row's length, at least 1.
using RowFn =
    FunctionRef<void(std::span<const int64_t> offsets, std::span<const int64_t> steps, int64_t n)>;

// Calls fn for rows that together cover every index of `dims` once, in row-major order. strides[k]
// has one stride (elements, possibly 0 or negative) per axis for array k. Axes that can be walked
// as one are merged first, so rows are as long as the strides allow.
void ForEachRow(std::span<const int64_t> dims, std::span<const Dims> strides, RowFn fn);
void ForEachRow(std::span<const int64_t> dims, std::initializer_list<Dims> strides, RowFn fn);

// Strides that read an array of sizes `from` (row-major) as if it had sizes `to`, by numpy's rule.
// Precondition: `from` broadcasts to `to`.
Dims BroadcastStrides(std::span<const int64_t> from, std::span<const int64_t> to);

// dst[i . dst_strides] = src[i . src_strides] for all i in dims; strides and the begins in
// elements of `element_size` bytes (1, 2, 4 or 8). The arrays must not overlap.
void CopyStrided(size_t element_size, std::span<const int64_t> dims, const void* src,
                 int64_t src_begin, const Dims& src_strides, void* dst, int64_t dst_begin,
                 const Dims& dst_strides);

}  // namespace sula
