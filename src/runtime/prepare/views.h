// Values as strided views: which bytes of another value an operator's output is, if it only moves
// elements about, and which layouts a view can be described as.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "ops/regions.h"

namespace sula {

// Where the elements of a value lie: element i of logical index (i0, i1, ...) is at
// offset + sum(ik * strides[k]), in elements from the beginning of a storage.
struct Strided {
  int64_t offset = 0;
  Dims strides;
  friend bool operator==(const Strided&, const Strided&) = default;
};

// Elements of `dims` without gaps in this layout. kChannelLast: rank >= 2; pixel_stride 0 means the
// number of channels.
Dims StridesOf(const Dims& dims, Layout layout, int64_t pixel_stride = 0);

// The description of these strides in the given layout, if they have one. Strides of axes of size
// 1 do not matter, so [1,C,1,1] and dense [N,1,H,W] lie both ways at once. Up to kMaxStridedRank
// everything is kStrided.
std::optional<TensorDesc> FitLayout(DType dtype, const Dims& dims, const Dims& strides,
                                    Layout layout);
// The first that does of row-major, channel-last and strided; nothing beyond kMaxStridedRank.
std::optional<TensorDesc> FitAny(DType dtype, const Dims& dims, const Dims& strides);
// True if equal but for axes of size 1.
bool SameStrides(const Dims& dims, const Dims& a, const Dims& b);

// From the first to one past the last element, in elements.
int64_t Extent(const Dims& dims, const Dims& strides);

// The same elements in the same order under other sizes; nothing if that needs a copy.
std::optional<Dims> ReshapeStrides(const Dims& from, const Dims& strides, const Dims& to);

// A value of sizes `dims` that is made of `region` alone, as a view of the region's source; nothing
// if it is no single walk of it.
std::optional<Strided> ViewThrough(const Region& region, const Dims& dims, const Strided& source);
// The other way round: the region's source, of sizes `dims`, as a part of the output `whole`.
// Nothing unless the region takes every element of the source, once and forwards.
std::optional<Strided> PartThrough(const Region& region, const Dims& dims, const Strided& whole);

// A region as loops over two arrays: what a copy of it reads and writes.
struct RegionLoops {
  Dims dims;
  Strided to, from;  // offsets from those of the output's and the source's first element
};
// Strides are by axis of output and source; those of a source of zeros are not looked at.
RegionLoops LoopsOf(const Region& region, const Dims& to_strides, const Dims& from_strides);

}  // namespace sula
