// What the frame of a picture file says, checked before its content is decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace sula {

struct PictureHead {
  int64_t width = 0, height = 0;
  int orientation = 1;  // of EXIF, 1..8: how the stored rows and columns lie in the picture
};

// Walks through the file's chunks, segments or headers. Errors: kInvalidModel for what is damaged
// or ends too early; kUnsupported for kinds that are not decoded.
// PNG: W3C, "Portable Network Graphics (PNG) Specification", 2nd edition.
Result<PictureHead> CheckPng(std::span<const std::byte> file);
// JPEG: ITU-T T.81, annex B.
Result<PictureHead> CheckJpeg(std::span<const std::byte> file);

// The orientation in a block of EXIF data (a TIFF file, as in JPEG's APP1 after "Exif\0\0"); 1 if
// there is none.
int ExifOrientation(std::span<const std::byte> tiff);

// Reads numbers and slices of a file; what lies outside reads as zero and sets `short_of_bytes`.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, bool big_endian = true)
      : bytes_(bytes), big_endian_(big_endian) {}
  size_t size() const { return bytes_.size(); }
  bool short_of_bytes() const { return short_; }
  uint32_t U8(size_t at) { return Number(at, 1); }
  uint32_t U16(size_t at) { return Number(at, 2); }
  uint32_t U32(size_t at) { return Number(at, 4); }
  int32_t I32(size_t at) { return static_cast<int32_t>(U32(at)); }
  // Empty if it does not lie in the file.
  std::span<const std::byte> Slice(size_t at, size_t count) {
    if (at <= bytes_.size() && count <= bytes_.size() - at) return bytes_.subspan(at, count);
    short_ = true;
    return {};
  }

 private:
  uint32_t Number(size_t at, size_t count) {
    uint32_t v = 0;
    std::span<const std::byte> slice = Slice(at, count);
    for (size_t i = 0; i < slice.size(); ++i)
      v = v << 8 | std::to_integer<uint32_t>(slice[big_endian_ ? i : count - 1 - i]);
    return v;
  }
  std::span<const std::byte> bytes_;
  bool big_endian_;
  bool short_ = false;
};

}  // namespace sula
