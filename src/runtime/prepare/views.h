// Values as strided views: which bytes of another value an operator's output is, if it only moves
// elements about, and which layouts a view can be described as.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "ir/graph.h"

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

// True for the operators that ViewsOf knows.
bool IsViewOperator(const Node& node);
// The outputs of a node that moves no bytes, as views of its input 0 that lies as `input` says;
// null where that is not so: another operator, sizes that don't line up, steps not constant.
// Covers operators that reinterpret (Reshape, Flatten, Squeeze, ...), Transpose, Slice, Split.
std::optional<std::vector<Strided>> ViewsOf(const Node& node, const Dims& dims,
                                            const Strided& input, std::span<const Dims> output_dims,
                                            std::span<const Tensor* const> constants);

// Where part i of a concatenation lies within the whole: its offset and the whole's strides.
// parts: the sizes of the inputs.
Strided PartOf(const Strided& whole, std::span<const Dims> parts, int axis, int i);

}  // namespace sula
