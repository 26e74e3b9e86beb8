// Sliding windows over up to three spatial axes: sizes (known or symbolic) and the walk over
// elements, shared by convolution and pooling.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/conv.h"

namespace sula {

inline constexpr int kMaxSpatial = 3;
// Bound on sizes, strides, dilations and pads: keeps all arithmetic on them inside int64_t.
inline constexpr int64_t kMaxWindowSize = int64_t{1} << 30;

struct WindowAxis {
  int64_t stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;
};

// Fills in the defaults of the lists of a params struct, for `spatial` axes; pads other than
// kExplicit are left 0. Errors: wrong list lengths, values out of range, too many axes.
Result<std::vector<WindowAxis>> ResolveAxes(std::span<const int64_t> strides,
                                            std::span<const int64_t> dilations,
                                            std::span<const int64_t> pads, AutoPad auto_pad,
                                            int spatial);

// An error unless a per-axis list is empty or has `spatial` entries in [least, kMaxWindowSize].
Status CheckAxisList(std::string_view name, std::span<const int64_t> list, int spatial,
                     int64_t least);

// An error unless 0 <= d <= kMaxWindowSize where d is known. `what` names it in the message.
Status CheckWindowSize(const Dim& d, std::string_view what);

// (kernel - 1) * dilation + 1: what a window covers.
Dim WindowExtent(const WindowAxis& axis, const Dim& kernel);

// Number of windows along an axis of `in` elements; an error if that is known to be less than 1.
//   explicit, valid: floor((in + pads - extent) / stride) + 1
//   ceil_mode:       (explicit only) with ceil, but no window that starts behind in + pad_begin
//   same_*:          ceil(in / stride)
// Source: ONNX operators Conv and MaxPool.
Result<Dim> WindowCount(const WindowAxis& axis, const Dim& in, const Dim& kernel, AutoPad auto_pad,
                        bool ceil_mode);

// The padding that goes with `out` windows: for same_* computed, else as declared with pad_end
// raised to what the last window reaches.
WindowAxis ResolvePadding(WindowAxis axis, int64_t in, int64_t kernel, int64_t out,
                          AutoPad auto_pad);

// Splits `total` between begin and end; an odd element goes to the end if `upper`.
inline std::pair<int64_t, int64_t> SplitPadding(int64_t total, bool upper) {
  const int64_t smaller = total / 2;
  return upper ? std::pair(smaller, total - smaller) : std::pair(total - smaller, smaller);
}

// A geometry as one of exactly three spatial axes; missing ones are leading axes of size 1.
// `small` and `big` are the two sides of the walk: element `s` of the small side meets element
// s * stride + tap * dilation - pad of the big one. A convolution's output is its small side, a
// transposed convolution's input is.
struct WindowWalk {
  using Sizes = std::array<int64_t, kMaxSpatial>;
  Sizes small{1, 1, 1}, big{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1},
      pad{0, 0, 0};

  WindowWalk(const ConvGeometry& g, bool transposed);

  int64_t small_count() const { return small[0] * small[1] * small[2]; }
  int64_t big_count() const { return big[0] * big[1] * big[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }

  // The elements [begin, end) of the small side whose partner under `tap` lies inside the big one.
  struct Range {
    int64_t begin, end, offset;  // partner of s: s * stride + offset
  };
  Range Valid(int axis, int64_t tap) const {
    const int64_t offset = tap * dilation[axis] - pad[axis], step = stride[axis];
    const int64_t begin = offset >= 0 ? 0 : (-offset + step - 1) / step;
    const int64_t room = big[axis] - offset;  // partners need s * step < room
    const int64_t end = room <= 0 ? 0 : std::min(small[axis], (room + step - 1) / step);
    return {begin, std::max(begin, end), offset};
  }

  // Calls row(s, b, n) for each run of elements of the small side along the last axis that have a
  // partner under tap number `tap` (row-major in the kernel): s, b are the flat indices of the
  // first pair, n their number; the big index advances by stride[2].
  template <class Row>
  void ForEachRow(int64_t tap, Row&& row) const {
    const Range z = Valid(0, tap / (kernel[1] * kernel[2]));
    const Range y = Valid(1, tap / kernel[2] % kernel[1]);
    const Range x = Valid(2, tap % kernel[2]);
    if (x.begin >= x.end) return;
    for (int64_t sz = z.begin; sz < z.end; ++sz) {
      const int64_t bz = sz * stride[0] + z.offset;
      for (int64_t sy = y.begin; sy < y.end; ++sy) {
        const int64_t by = sy * stride[1] + y.offset;
        row((sz * small[1] + sy) * small[2] + x.begin,
            (bz * big[1] + by) * big[2] + x.begin * stride[2] + x.offset, x.end - x.begin);
      }
    }
  }
};

}  // namespace sula
