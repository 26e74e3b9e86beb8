// Picture files: which kind, limits, orientation; and writing one.
#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/mapped_file.h"
#include "base/status.h"
#include "image/bmp.h"
#include "image/container.h"
#include "image/geometry.h"
#include "image/stb.h"

namespace sula {
namespace {

enum class Kind { kNone, kPng, kJpeg, kBmp };

Kind KindOf(std::span<const std::byte> head) {
  auto starts = [&](std::string_view text) {
    return head.size() >= text.size() && std::memcmp(head.data(), text.data(), text.size()) == 0;
  };
  if (starts("\x89PNG\r\n\x1a\n")) return Kind::kPng;
  if (starts("\xff\xd8\xff")) return Kind::kJpeg;
  if (starts("BM")) return Kind::kBmp;
  return Kind::kNone;
}

// Sets upright a picture whose file has the EXIF orientation 2 to 8 (CIPA DC-008, "Orientation").
Image Upright(const Image& in, int orientation) {
  const bool turned = orientation >= 5;  // the file's columns are the picture's rows
  // Whether the file's first column (row) is the last one of what it becomes.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out = in;
  if (turned) std::swap(out.width, out.height);
  const size_t c = static_cast<size_t>(in.channels);
  for (int y = 0; y < out.height; ++y) {
    uint8_t* dst = Row(out, y);
    for (int x = 0; x < out.width; ++x, dst += c) {
      int from_x = turned ? y : x, from_y = turned ? x : y;
      if (flip_x) from_x = in.width - 1 - from_x;
      if (flip_y) from_y = in.height - 1 - from_y;
      std::copy_n(Row(in, from_y) + static_cast<size_t>(from_x) * c, c, dst);
    }
  }
  return out;
}

}  // namespace

Status CheckLimits(int64_t width, int64_t height, const DecodeLimits& limits) {
  if (width < 1 || height < 1) return InvalidModel("damaged: ", width, "x", height, " pixels");
  if (width > kMaxImageSide || height > kMaxImageSide || width > limits.max_pixels / height)
    return ResourceExhausted(width, "x", height, " pixels are too many: at most ", kMaxImageSide,
                             " a side and ", limits.max_pixels, " in all");
  if (static_cast<size_t>(width * height) > limits.max_bytes / 3)
    return ResourceExhausted(width, "x", height, " pixels need more than ", limits.max_bytes,
                             " bytes");
  return {};
}

bool LooksLikeImage(std::span<const std::byte> head) { return KindOf(head) != Kind::kNone; }

bool LooksLikeImageFile(const std::string& path) {
  std::array<std::byte, 12> head{};
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(head.data()), head.size());
  return LooksLikeImage(std::span(head).first(static_cast<size_t>(in.gcount())));
}

Result<Image> DecodeImage(std::span<const std::byte> file, const DecodeLimits& limits) {
  constexpr size_t kMostFileBytes = size_t{1} << 30;
  const Kind kind = KindOf(file);
  if (kind == Kind::kNone) return InvalidModel("neither a PNG nor a JPEG nor a BMP file");
  if (file.size() > kMostFileBytes) return ResourceExhausted("the file is larger than 1 GiB");
  if (kind == Kind::kBmp) return DecodeBmp(file, limits);
  ASSIGN_OR_RETURN(PictureHead head, kind == Kind::kPng ? CheckPng(file) : CheckJpeg(file));
  RETURN_IF_ERROR(CheckLimits(head.width, head.height, limits));
  // The result, and a second one if it has to be turned, on top of what the decoder takes.
  const size_t result = static_cast<size_t>(head.width * head.height) * 3;
  const size_t kept = head.orientation == 1 ? result : 2 * result;
  if (kept > limits.max_bytes) return ResourceExhausted("decoding it would need too much memory");
  ASSIGN_OR_RETURN(Image image, StbDecode(file, limits.max_bytes - kept));
  return head.orientation == 1 ? std::move(image) : Upright(image, head.orientation);
}

Result<Image> ReadImage(const std::string& path, const DecodeLimits& limits) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  Result<Image> image = DecodeImage(file->bytes(), limits);
  if (!image) return Status(image.error()).AddContext(StrCat("picture '", path, "'"));
  return image;
}

Status WritePng(const Image& image, const std::string& path) {
  RETURN_IF_ERROR(CheckImage(image));
  const std::vector<std::byte> file = StbEncodePng(image);
  if (file.empty()) return ResourceExhausted("no memory to write '", path, "'");
  std::span<const std::byte> bytes = file;
  return WriteFileAtomically(path, {&bytes, 1});
}

}  // namespace sula
