// Sizes, cutting, grey and colour.
#include "image/geometry.h"

#include <cstring>

#include "base/status.h"

namespace sula {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 27;

}  // namespace

Status CheckImage(const Image& image) {
  if (image.channels != 1 && image.channels != 3)
    return InvalidArgument("a picture has 1 or 3 channels, not ", image.channels);
  if (image.width < 1 || image.height < 1 || image.width > kMaxImageSide ||
      image.height > kMaxImageSide)
    return InvalidArgument("a picture of ", image.width, "x", image.height,
                           " pixels: sides must be 1 to ", kMaxImageSide);
  if (image.pixels.size() != RowBytes(image) * static_cast<size_t>(image.height))
    return InvalidArgument("a picture of ", image.width, "x", image.height, " pixels and ",
                           image.channels, " channels has ", image.pixels.size(), " bytes");
  return {};
}

Result<Image> NewImage(int width, int height, int channels) {
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide)
    return InvalidArgument("cannot make a picture of ", width, "x", height,
                           " pixels: sides must be 1 to ", kMaxImageSide);
  if (int64_t{1} * width * height > kMaxPixels)
    return ResourceExhausted("a picture of ", width, "x", height, " pixels is too large: at most ",
                             kMaxPixels >> 20, " Mi pixels");
  Image image{.width = width, .height = height, .channels = channels, .pixels = {}};
  image.pixels.resize(RowBytes(image) * static_cast<size_t>(height));
  return image;
}

Result<Image> Resize(const Image& image, int width, int height, ResizeKind kind) {
  RETURN_IF_ERROR(CheckImage(image));
  ASSIGN_OR_RETURN(Image out, NewImage(width, height, image.channels));
  if (image.width == width && image.height == height) {
    out.pixels = image.pixels;
    return out;
  }
  switch (kind) {
    case ResizeKind::kNearestPil:
    case ResizeKind::kNearestOpenCv: ResizeNearest(image, kind, out); break;
    case ResizeKind::kBilinearOpenCv: ResizeBilinearOpenCv(image, out); break;
    case ResizeKind::kAreaOpenCv: ResizeAreaOpenCv(image, out); break;
    default: ResizePil(image, kind, out); break;
  }
  return out;
}

Result<Image> Crop(const Image& image, int left, int top, int width, int height,
                   std::array<uint8_t, 3> fill) {
  RETURN_IF_ERROR(CheckImage(image));
  ASSIGN_OR_RETURN(Image out, NewImage(width, height, image.channels));
  const size_t c = static_cast<size_t>(image.channels);
  // Columns and rows of the result that the picture covers.
  auto inside = [](int corner, int size, int limit) {
    int64_t begin = std::clamp<int64_t>(-int64_t{corner}, 0, size);
    int64_t end = std::clamp<int64_t>(int64_t{limit} - corner, begin, size);
    return std::pair(static_cast<int>(begin), static_cast<int>(end));
  };
  auto [x1, x2] = inside(left, width, image.width);
  auto [y1, y2] = inside(top, height, image.height);
  if (x2 - x1 < width || y2 - y1 < height) {
    if (c == 1) fill.fill(static_cast<uint8_t>((fill[0] + fill[1] + fill[2] + 1) / 3));
    for (size_t i = 0; i < out.pixels.size(); i += c) std::copy_n(fill.begin(), c, &out.pixels[i]);
  }
  if (x1 == x2) return out;
  for (int y = y1; y < y2; ++y)
    std::memcpy(Row(out, y) + x1 * c, Row(image, top + y) + (left + x1) * c, (x2 - x1) * c);
  return out;
}

Image ToGray(const Image& image) {
  if (image.channels == 1) return image;
  Image out{.width = image.width, .height = image.height, .channels = 1, .pixels = {}};
  out.pixels.resize(image.pixels.size() / 3);
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const uint8_t* p = &image.pixels[3 * i];
    // ITU-R BT.601 in units of 2^-16, rounded to nearest.
    out.pixels[i] =
        static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
  }
  return out;
}

Image ToRgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out{.width = image.width, .height = image.height, .channels = 3, .pixels = {}};
  out.pixels.resize(image.pixels.size() * 3);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    std::fill_n(&out.pixels[3 * i], 3, image.pixels[i]);
  return out;
}

}  // namespace sula
