#include "tensor/placement.h"

#include <algorithm>
#include <cmath>

namespace sula {
namespace {

int64_t Round(double v) { return std::lrint(v); }  // half to even

}  // namespace

Placement PlacePicture(ImageFit fit, int64_t shorter, ImageAnchor anchor, int64_t w, int64_t h,
                       int64_t width, int64_t height) {
  if (fit == ImageFit::kNone) return {w, h, 0, 0};
  Placement a{.width = width, .height = height};
  const double across = static_cast<double>(width) / static_cast<double>(w);
  const double down = static_cast<double>(height) / static_cast<double>(h);
  const bool centred = anchor == ImageAnchor::kCenter;
  if (fit == ImageFit::kCrop) {
    if (shorter > 0) {
      a.width = w <= h ? shorter : shorter * w / h;
      a.height = h <= w ? shorter : shorter * h / w;
    } else if (across >= down) {
      a.height = std::max(height, Round(static_cast<double>(h) * across));
    } else {
      a.width = std::max(width, Round(static_cast<double>(w) * down));
    }
    if (centred) {
      a.left = Round(static_cast<double>(a.width - width) / 2);
      a.top = Round(static_cast<double>(a.height - height) / 2);
    }
  } else if (fit == ImageFit::kLetterbox) {
    const double factor = std::min(across, down);
    a.width = std::clamp<int64_t>(Round(static_cast<double>(w) * factor), 1, width);
    a.height = std::clamp<int64_t>(Round(static_cast<double>(h) * factor), 1, height);
    if (centred) {
      a.left = -((width - a.width) / 2);
      a.top = -((height - a.height) / 2);
    }
  }
  return a;
}

}  // namespace sula
