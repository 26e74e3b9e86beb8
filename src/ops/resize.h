// Resampling: Resize on a regular grid, GridSample at given points.
#pragma once

#include "ir/op_def.h"

namespace sula {

enum class ResizeMode : uint8_t { kNearest, kLinear, kCubic };
template <>
struct EnumNames<ResizeMode> {
  static constexpr std::string_view kNames[] = {"nearest", "linear", "cubic"};
};

// Where output element i lies in the input, see ResizeTaps.
enum class CoordinateMode : uint8_t {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kTfCropAndResize,
};
template <>
struct EnumNames<CoordinateMode> {
  static constexpr std::string_view kNames[] = {"half_pixel",         "half_pixel_symmetric",
                                                "pytorch_half_pixel", "align_corners",
                                                "asymmetric",         "tf_crop_and_resize"};
};

enum class NearestMode : uint8_t { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };
template <>
struct EnumNames<NearestMode> {
  static constexpr std::string_view kNames[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                "ceil"};
};

// How `sizes` is meant. kNotLarger, kNotSmaller: one scale for all axes, the smallest / the largest
// of those that `sizes` asks for.
enum class AspectPolicy : uint8_t { kStretch, kNotLarger, kNotSmaller };
template <>
struct EnumNames<AspectPolicy> {
  static constexpr std::string_view kNames[] = {"stretch", "not_larger", "not_smaller"};
};

struct ResizeParams {
  ResizeMode mode = ResizeMode::kNearest;
  CoordinateMode coordinate = CoordinateMode::kHalfPixel;
  NearestMode nearest = NearestMode::kRoundPreferFloor;
  float cubic_a = -0.75f;
  bool exclude_outside = false;
  bool antialias = false;
  float extrapolation = 0;
  std::vector<int64_t> axes;  // those that roi, scales and sizes speak of; empty: all
  AspectPolicy policy = AspectPolicy::kStretch;
  friend bool operator==(const ResizeParams&, const ResizeParams&) = default;
};

// One axis of a Resize with every size resolved.
struct ResizeAxis {
  int axis = 0;
  int64_t in = 0, out = 0;
  double scale = 1;
  double width =
      0;  // in * scale, of which `out` is the whole part; `out` itself if sizes are given
  double roi_begin = 0, roi_end = 1;
};
// x: sizes of the input. Either `scales` or `sizes` has one entry per axis (of p.axes), the other
// is empty; roi is empty or holds all begins, then all ends. Errors: counts that don't match,
// scales that are not positive, negative or enormous sizes.
Result<std::vector<ResizeAxis>> ResolveResize(const ResizeParams& p, std::span<const int64_t> x,
                                              std::span<const float> scales,
                                              std::span<const int64_t> sizes,
                                              std::span<const double> roi);

// Resize is separable; along one axis, output i is the sum of weight[t] * x[index[t]] over t in
// [begin[i], begin[i + 1]), and the extrapolation value where that range is empty.
struct ResizeTaps {
  std::vector<int64_t> begin, index;
  std::vector<double> weight;
};
// Coordinates and weights are those of ONNX's Resize-19.
ResizeTaps MakeResizeTaps(const ResizeParams& p, const ResizeAxis& axis);
// The same for outputs [first, first + count), which may reach beyond the axis at both ends: there
// the range is empty.
ResizeTaps MakeResizeTaps(const ResizeParams& p, const ResizeAxis& axis, int64_t first,
                          int64_t count);

// Keys' cubic convolution kernel at distance t with parameter a.
// Source: Keys, "Cubic convolution interpolation for digital image processing", 1981, eq. 4.
double CubicKernel(double t, double a);

enum class GridPadding : uint8_t { kZeros, kBorder, kReflection };
template <>
struct EnumNames<GridPadding> {
  static constexpr std::string_view kNames[] = {"zeros", "border", "reflection"};
};

struct GridSampleParams {
  ResizeMode mode = ResizeMode::kLinear;
  GridPadding padding = GridPadding::kZeros;
  bool align_corners = false;  // -1 and 1 are the centres, not the outer edges, of border elements
  friend bool operator==(const GridSampleParams&, const GridSampleParams&) = default;
};

namespace op {
// inputs x, roi? [2 * axes], scales? (float32) [axes], sizes? (int64) [axes]; one of scales and
// sizes is given (an empty one is not). Integers round to nearest even.
extern const OpDef kResize;
// inputs x [N, C, D1..Dr], grid [N, O1..Or, r] with coordinates in [-1, 1], the last axis first
extern const OpDef kGridSample;
}  // namespace op

}  // namespace sula
