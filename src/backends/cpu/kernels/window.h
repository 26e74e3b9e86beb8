// Windows that slide over maps: the geometry shared by convolution, depthwise convolution and
// pooling. Three spatial axes; a map with fewer has leading axes of size 1.
#pragma once

#include <array>
#include <cstdint>

namespace sula::cpu {

using Axes = std::array<int64_t, 3>;

// Output position o and tap k of an axis meet the input at o * stride + k * dilation - pad, which
// counts as zero (or is left out) outside [0, in).
struct Window {
  Axes in = {1, 1, 1}, out = {1, 1, 1}, kernel = {1, 1, 1};
  Axes stride = {1, 1, 1}, dilation = {1, 1, 1}, pad = {0, 0, 0};

  int64_t in_pixels() const { return in[0] * in[1] * in[2]; }
  int64_t out_pixels() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  // Output pixel i reads input pixel i and nothing else.
  bool IsPointwise() const {
    return taps() == 1 && in == out && stride == Axes{1, 1, 1} && pad == Axes{0, 0, 0};
  }
};

// A half-open range of positions.
struct Range {
  int64_t begin = 0, end = 0;
};

// Some rows of a map: row y, if it is there, begins at row(y). In floats.
struct MapRows {
  float* data = nullptr;
  int64_t count = 0;  // of rows that there is room for; row y takes the place of row y - count
  int64_t row_stride = 0, pixel_stride = 0;
  int64_t first = 0;  // the row at `data`, where it is not row 0

  float* row(int64_t y) const { return data + (y - first) % count * row_stride; }
};

// The taps k of an axis for which o * stride + k * dilation - pad lies inside the input.
[[gnu::always_inline]] constexpr Range ValidTaps(const Window& w, int axis, int64_t o) {
  const int64_t at = o * w.stride[axis] - w.pad[axis], d = w.dilation[axis];
  if (at >= 0 && at + (w.kernel[axis] - 1) * d < w.in[axis]) return {0, w.kernel[axis]};
  int64_t begin = at >= 0 ? 0 : (-at + d - 1) / d;
  int64_t end = at >= w.in[axis] ? 0 : (w.in[axis] - at + d - 1) / d;
  if (end > w.kernel[axis]) end = w.kernel[axis];
  if (begin > end) begin = end;
  return {begin, end};
}

// The input rows (axis 1) that output rows [out.begin, out.end) read.
constexpr Range InputRows(const Window& w, Range out) {
  const int64_t begin = out.begin * w.stride[1] - w.pad[1];
  const int64_t end =
      (out.end - 1) * w.stride[1] - w.pad[1] + (w.kernel[1] - 1) * w.dilation[1] + 1;
  const Range r{begin < 0 ? 0 : begin, end < w.in[1] ? end : w.in[1]};
  return r.begin < r.end ? r : Range{r.begin, r.begin};
}

// The output positions in [0, out) that meet the input inside with tap k.
[[gnu::always_inline]] constexpr Range ValidOutputs(const Window& w, int axis, int64_t k) {
  const int64_t at = k * w.dilation[axis] - w.pad[axis], s = w.stride[axis];
  int64_t begin = at >= 0 ? 0 : (-at + s - 1) / s;
  int64_t end = at >= w.in[axis] ? 0 : (w.in[axis] - at + s - 1) / s;
  if (end > w.out[axis]) end = w.out[axis];
  if (begin > end) begin = end;
  return {begin, end};
}

}  // namespace sula::cpu
