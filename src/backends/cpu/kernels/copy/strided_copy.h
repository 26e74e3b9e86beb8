// Copies of boxes of elements between strided arrays: what transpose, slice, concat, pad, tile,
// expand, depth/space and layout changes come down to.
#pragma once

#include <cstddef>

#include "backends/cpu/kernels/box.h"
#include "base/thread_pool.h"

namespace sula::cpu {

// Array 0 is the destination, array 1 the source.
using CopyRegion = Box<2>;

// Copies elements of `element_bytes` (1, 2, 4 or 8). Source and destination must not overlap. The
// region must be simplified (Simplify). Allocates nothing.
void RunCopy(const CopyRegion& region, const void* src, void* dst, size_t element_bytes,
             const Parallel& parallel);

}  // namespace sula::cpu
