// Where a picture lies in the rectangle that becomes a network's input: what libsula_image does on
// the host and what the operator FromPixels does within a model.
#pragma once

#include <cstdint>

#include "sula/image.h"

namespace sula {

// The picture is resized to width x height; of that the rectangle with its corner at (left, top)
// is taken. Where it reaches beyond (letterbox), left or top are negative.
struct Placement {
  int64_t width = 0, height = 0, left = 0, top = 0;
};

// For a picture w x h and a rectangle width x height, all from 1 to 2^16, and a shorter side (of
// ImageFit::kCrop; 0: as small as covers the rectangle) of at most kMaxImageSide. kNone: the
// picture's own size.
Placement PlacePicture(ImageFit fit, int64_t shorter, ImageAnchor anchor, int64_t w, int64_t h,
                       int64_t width, int64_t height);

}  // namespace sula
