#include "image/bmp.h"

#include <array>
#include <bit>
#include <cstdlib>

#include "image/container.h"
#include "image/geometry.h"

namespace sula {
namespace {

using Colour = std::array<uint8_t, 3>;

// One channel of a pixel of 16 or 32 bits.
struct Mask {
  uint32_t bits = 0;
  uint8_t Of(uint32_t pixel) const {
    if (bits == 0) return 0;
    const int shift = std::countr_zero(bits);
    const uint64_t most = bits >> shift, v = (pixel & bits) >> shift;
    return static_cast<uint8_t>(v * 255 / most);
  }
  bool contiguous() const {
    return bits == 0 || std::has_single_bit((bits >> std::countr_zero(bits)) + uint64_t{1});
  }
};

struct Header {
  size_t offset = 0,
         size = 0;  // of the pixels in the file; of the header behind the first 14 bytes
  int64_t width = 0, height = 0;
  bool from_top = false;
  uint32_t bits = 0;  // a pixel
  std::array<Mask, 3> masks;
  size_t palette_at = 0, palette_entry = 4;
  size_t row_bytes = 0;  // padded to four
};

Result<Header> ReadHeader(ByteReader& in) {
  constexpr uint32_t kPlain = 0, kMasks = 3, kMasksAlpha = 6;
  Header h;
  h.offset = in.U32(10);
  h.size = in.U32(14);
  uint32_t compression = kPlain;
  if (h.size == 12) {  // of OS/2 and Windows 2
    h.width = in.U16(18);
    h.height = in.U16(20);
    h.bits = in.U16(24);
    h.palette_entry = 3;
  } else {
    h.width = in.I32(18);
    h.height = std::abs(int64_t{in.I32(22)});
    h.from_top = in.I32(22) < 0;
    h.bits = in.U16(28);
    compression = in.U32(30);
  }
  h.palette_at = 14 + h.size;
  if (in.short_of_bytes()) return InvalidModel("the file is cut short");
  if (h.size != 12 && (h.size < 40 || h.size > 1024))
    return InvalidModel("damaged: a header of ", h.size, " bytes");
  if (compression != kPlain && compression != kMasks && compression != kMasksAlpha)
    return Unsupported("this BMP is compressed; save it uncompressed, or as PNG");
  const bool wide = h.bits == 16 || h.bits == 32;
  if (h.bits != 1 && h.bits != 4 && h.bits != 8 && h.bits != 24 && !wide)
    return InvalidModel("damaged: ", h.bits, " bits a pixel");
  if (compression != kPlain && !wide)
    return InvalidModel("damaged: colour masks for ", h.bits, " bits a pixel");
  if (h.width < 1 || h.height < 1)
    return InvalidModel("damaged: ", h.width, "x", h.height, " pixels");
  if (compression != kPlain) {  // right behind 40 bytes, whether they count as header or not
    for (size_t i = 0; i < 3; ++i) h.masks[i].bits = in.U32(54 + 4 * i);
  } else if (wide) {
    h.masks = h.bits == 16 ? std::array<Mask, 3>{{{0x7c00}, {0x3e0}, {0x1f}}}
                           : std::array<Mask, 3>{{{0xff0000}, {0xff00}, {0xff}}};
  }
  for (const Mask& mask : h.masks)
    if (!mask.contiguous()) return InvalidModel("damaged: a colour mask with gaps");
  // Rows are padded, but for the last one.
  const uint64_t row = (static_cast<uint64_t>(h.width) * h.bits + 7) / 8;
  h.row_bytes = (row + 3) / 4 * 4;
  const uint64_t need = h.offset + h.row_bytes * static_cast<uint64_t>(h.height - 1) + row;
  if (h.offset < 14 + h.size || need > in.size() || in.short_of_bytes())
    return InvalidModel("the file is cut short");
  return h;
}

// The colours between header and pixels; those that an index may name but the file leaves out are
// black.
std::array<Colour, 256> ReadPalette(ByteReader& in, const Header& h) {
  std::array<Colour, 256> palette{};
  for (size_t i = 0; i < size_t{1} << h.bits; ++i) {
    const size_t at = h.palette_at + i * h.palette_entry;
    if (at + 3 > h.offset) break;
    for (size_t c = 0; c < 3; ++c) palette[i][c] = static_cast<uint8_t>(in.U8(at + 2 - c));
  }
  return palette;
}

void IndexedRow(const uint8_t* src, const Header& h, const std::array<Colour, 256>& palette,
                uint8_t* dst) {
  const uint32_t bits = h.bits, per_byte = 8 / bits, mask = (1u << bits) - 1;
  for (uint32_t x = 0; x < h.width; ++x, dst += 3) {
    const uint32_t shift = 8 - bits * (x % per_byte + 1);
    const Colour& colour = palette[src[x / per_byte] >> shift & mask];
    std::copy_n(colour.begin(), 3, dst);
  }
}

void MaskedRow(const uint8_t* src, const Header& h, uint8_t* dst) {
  const size_t step = h.bits / 8;
  for (int64_t x = 0; x < h.width; ++x, src += step, dst += 3) {
    uint32_t pixel = 0;
    for (size_t i = 0; i < step; ++i) pixel |= uint32_t{src[i]} << 8 * i;
    for (size_t c = 0; c < 3; ++c) dst[c] = h.masks[c].Of(pixel);
  }
}

}  // namespace

Result<Image> DecodeBmp(std::span<const std::byte> file, const DecodeLimits& limits) {
  ByteReader in(file, false);
  ASSIGN_OR_RETURN(Header h, ReadHeader(in));
  RETURN_IF_ERROR(CheckLimits(h.width, h.height, limits));
  ASSIGN_OR_RETURN(Image out, NewImage(static_cast<int>(h.width), static_cast<int>(h.height), 3));
  const bool indexed = h.bits <= 8;
  std::array<Colour, 256> palette{};
  if (indexed) palette = ReadPalette(in, h);
  const uint8_t* rows = reinterpret_cast<const uint8_t*>(file.data()) + h.offset;
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* src = rows + h.row_bytes * static_cast<size_t>(y);
    uint8_t* dst = Row(out, h.from_top ? y : out.height - 1 - y);
    if (indexed) {
      IndexedRow(src, h, palette, dst);
    } else if (h.bits == 24) {
      for (int x = 0; x < out.width; ++x, src += 3, dst += 3)
        dst[0] = src[2], dst[1] = src[1], dst[2] = src[0];
    } else {
      MaskedRow(src, h, dst);
    }
  }
  return out;
}

}  // namespace sula
