// What the ways to resample share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sula/image.h"

namespace sula {

// An error unless the picture has 1 or 3 channels, sides in 1..kMaxImageSide, and pixels to match.
Status CheckImage(const Image& image);

// A picture of these sizes, its pixels zero. Errors: a side not in 1..kMaxImageSide
// (kInvalidArgument); too many pixels (kResourceExhausted).
Result<Image> NewImage(int width, int height, int channels);

inline uint8_t ClampToByte(int v) { return static_cast<uint8_t>(std::clamp(v, 0, 255)); }

// The resamplers: `out` has its sizes and room; it is not `in`, but has as many channels.
void ResizePil(const Image& in, ResizeKind kind, Image& out);
void ResizeNearest(const Image& in, ResizeKind kind, Image& out);
void ResizeBilinearOpenCv(const Image& in, Image& out);
void ResizeAreaOpenCv(const Image& in, Image& out);

inline size_t RowBytes(const Image& image) { return size_t{1} * image.width * image.channels; }
inline const uint8_t* Row(const Image& image, int y) {
  return image.pixels.data() + RowBytes(image) * static_cast<size_t>(y);
}
inline uint8_t* Row(Image& image, int y) {
  return image.pixels.data() + RowBytes(image) * static_cast<size_t>(y);
}

}  // namespace sula
