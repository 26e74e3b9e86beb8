// Pictures of 8 bits a channel as the input of a network.
#pragma once

#include "ir/op_def.h"
#include "ops/resize.h"
#include "tensor/placement.h"

namespace sula {

template <>
struct EnumNames<ImageFit> {
  static constexpr std::string_view kNames[] = {"stretch", "crop", "letterbox", "none"};
};
template <>
struct EnumNames<ImageAnchor> {
  static constexpr std::string_view kNames[] = {"center", "top_left"};
};

// How a picture is resampled; pixel centres lie at half integers but for kNearestFloor.
enum class PixelFilter : uint8_t {
  kNearest,          // the pixel that holds the position
  kNearestFloor,     // position out / factor, rounded down, as OpenCV's INTER_NEAREST
  kLinear,           // four pixels whatever the factor, as OpenCV's INTER_LINEAR
  kLinearAntialias,  // a triangle as wide as the factor of reduction, as Pillow's BILINEAR
  kCubicAntialias,   // Keys' kernel with a = -0.5, widened alike, as Pillow's BICUBIC
};
template <>
struct EnumNames<PixelFilter> {
  static constexpr std::string_view kNames[] = {"nearest", "nearest_floor", "linear",
                                                "linear_antialias", "cubic_antialias"};
};

struct FromPixelsParams {
  int64_t height = 0, width = 0;  // of y; 0 with fit none alone
  ImageFit fit = ImageFit::kNone;
  int64_t shorter = 0;  // of fit crop
  ImageAnchor anchor = ImageAnchor::kCenter;
  PixelFilter filter = PixelFilter::kLinear;
  std::vector<float> fill;   // levels beyond the picture, one per channel of x; none: zeros
  std::vector<float> mix;    // [channels of y][channels of x]
  std::vector<float> shift;  // [channels of y]
  friend bool operator==(const FromPixelsParams&, const FromPixelsParams&) = default;
};

// A node with every size known.
struct PixelPlan {
  int64_t batch = 0, in_height = 0, in_width = 0, in_channels = 0;
  int64_t height = 0, width = 0, channels = 0;  // of y
  // Rows and columns of x behind each row and column of y; empty where it lies beyond the picture.
  ResizeTaps rows, columns;
  std::vector<float> beyond;  // what y is there, by channel of y
};
// Errors: parameters that contradict each other or x, of sizes [N, H, W, C].
Result<PixelPlan> PlanPixels(const FromPixelsParams& p, const Dims& x);

namespace op {
// inputs x (uint8) [N, H, W, C], C from 1 to 4. With r the picture resampled and placed as the
// fields say, in real numbers (nothing is rounded to levels in between):
//   y[n, o, i, j] = shift[o] + sum over c of mix[o, c] * r[n, i, j, c]
extern const OpDef kFromPixels;  // FromPixelsParams
}  // namespace op

}  // namespace sula
