#include "image/container.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sula {
namespace {

bool StartsWith(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t n = 0; n < 256; ++n) {
    uint32_t c = n;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[n] = c;
  }
  return table;
}();

uint32_t Crc(std::span<const std::byte> bytes) {
  uint32_t c = 0xffffffffu;
  for (std::byte b : bytes) c = kCrcTable[(c ^ std::to_integer<uint32_t>(b)) & 0xff] ^ (c >> 8);
  return ~c;
}

constexpr std::string_view kCutShort = "the file is cut short";

}  // namespace

int ExifOrientation(std::span<const std::byte> tiff) {
  const bool big_endian = StartsWith(tiff, "MM");
  if (!big_endian && !StartsWith(tiff, "II")) return 1;
  ByteReader in(tiff, big_endian);
  if (in.U16(2) != 42) return 1;
  const size_t directory = in.U32(4);
  const uint32_t entries = in.U16(directory);
  for (uint32_t i = 0; i < entries && !in.short_of_bytes(); ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;
    constexpr uint32_t kOrientation = 0x0112, kShort = 3;
    if (in.U16(entry) != kOrientation) continue;
    const uint32_t value = in.U16(entry + 8);
    return in.U16(entry + 2) == kShort && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Result<PictureHead> CheckPng(std::span<const std::byte> file) {
  ByteReader in(file);
  PictureHead head;
  bool data = false;
  for (size_t at = 8;;) {
    const size_t length = in.U32(at);
    std::span<const std::byte> name = in.Slice(at + 4, 4);
    std::span<const std::byte> body = in.Slice(at + 8, length);
    const uint32_t crc = in.U32(at + 8 + length);
    if (in.short_of_bytes()) return InvalidModel(kCutShort);
    const bool critical = (std::to_integer<int>(name[0]) & 0x20) == 0;
    const bool intact = Crc(file.subspan(at + 4, length + 4)) == crc;
    if (critical && !intact)
      return InvalidModel("damaged: a checksum does not match its chunk, at byte ", at);
    if (StartsWith(name, "CgBI"))
      return Unsupported("this is Apple's CgBI variant of PNG; save it as plain PNG");
    const bool header = StartsWith(name, "IHDR");
    if (header != (at == 8) || (header && length != 13))
      return InvalidModel("damaged: the header is not where it belongs");
    if (header) {
      head.width = in.U32(at + 8);
      head.height = in.U32(at + 12);
    } else if (StartsWith(name, "eXIf") && intact) {
      head.orientation = ExifOrientation(body);
    } else if (StartsWith(name, "IDAT")) {
      data = true;
    } else if (StartsWith(name, "IEND")) {
      if (!data) return InvalidModel("damaged: no picture data");
      return head;
    }
    at += 12 + length;
  }
}

namespace {

// The state of a walk through a JPEG file.
class JpegWalk {
 public:
  explicit JpegWalk(std::span<const std::byte> file) : in_(file), file_(file) {}

  Result<PictureHead> Walk() {
    for (at_ = 2;;) {
      // A marker is 0xff, any number of times, and a code that is neither 0 nor 0xff.
      if (in_.U8(at_) != 0xff && !in_.short_of_bytes())
        return Damaged("no marker where one is due");
      while (in_.U8(at_) == 0xff) ++at_;
      if (in_.short_of_bytes()) return InvalidModel(kCutShort);
      const uint32_t marker = in_.U8(at_++);
      if (marker == kEnd) {
        if (scans_ == 0) return Damaged("no picture data");
        return head_;
      }
      const size_t length = in_.U16(at_);
      body_ = length < 2 ? std::span<const std::byte>() : in_.Slice(at_ + 2, length - 2);
      if (in_.short_of_bytes()) return InvalidModel(kCutShort);
      if (length < 2) return Damaged("a segment without length");
      RETURN_IF_ERROR(Segment(marker));
      at_ += length;
      if (marker == kScan) SkipEntropyCoded();
    }
  }

 private:
  static constexpr uint32_t kEnd = 0xd9, kScan = 0xda, kHuffman = 0xc4, kExif = 0xe1;
  static constexpr int kMostScans = 200;  // writers make about ten; each costs a pass over all

  Status Damaged(std::string_view what) const {
    return InvalidModel("damaged: ", what, ", at byte ", at_);
  }

  Status Segment(uint32_t marker) {
    if (marker == kHuffman) return HuffmanTables();
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc8) return Frame(marker);
    if (marker == kScan) return Scan();
    if (marker == kExif && scans_ == 0 && StartsWith(body_, std::string_view("Exif\0\0", 6)))
      head_.orientation = ExifOrientation(body_.subspan(6));
    return {};
  }

  Status Frame(uint32_t marker) {
    if (marker == 0xcc || marker >= 0xc9)
      return Unsupported("this JPEG is arithmetic-coded; save it as baseline or progressive JPEG");
    if (marker > 0xc2)
      return Unsupported("this JPEG is lossless or hierarchical; save it as baseline JPEG");
    if (head_.width > 0) return Damaged("a second frame");
    ByteReader in(body_);
    const uint32_t bits = in.U8(0);
    head_.height = in.U16(1);
    head_.width = in.U16(3);
    components_ = in.U8(5);
    if (in.short_of_bytes() || body_.size() != 6 + 3 * components_)
      return Damaged("a frame header of a wrong length");
    if (bits != 8) return Unsupported("this JPEG has ", bits, " bits a sample; sula reads 8");
    if (components_ == 4)
      return Unsupported("this JPEG is in CMYK colours, for printing; save it in RGB");
    if (components_ != 1 && components_ != 3)
      return Unsupported("this JPEG has ", components_, " components; sula reads 1 and 3");
    if (head_.width == 0) return Damaged("the width is 0");
    if (head_.height == 0)
      return Unsupported("this JPEG does not say its height in its header; save it anew");
    for (size_t i = 0; i < components_; ++i) ids_[i] = in.U8(6 + 3 * i);
    return {};
  }

  Status HuffmanTables() {
    ByteReader in(body_);
    for (size_t at = 0; at < body_.size();) {
      const uint32_t which = in.U8(at);
      size_t symbols = 0;
      uint32_t room = 1;  // codes of the current length that are not taken by shorter ones
      for (size_t i = 1; i <= 16; ++i) {
        const uint32_t count = in.U8(at + i);
        symbols += count;
        room *= 2;
        if (count > room) return Damaged("a Huffman table with more codes than fit");
        room -= count;
      }
      if ((which & ~0x13u) != 0 || symbols > 256) return Damaged("a wrong Huffman table");
      in.Slice(at + 17, symbols);
      if (in.short_of_bytes()) return Damaged("a Huffman table is cut short");
      tables_ |= 1u << ((which >> 4) * 4 + (which & 3));
      at += 17 + symbols;
    }
    return {};
  }

  Status Scan() {
    if (head_.width == 0) return Damaged("picture data before the frame header");
    if (++scans_ > kMostScans) return Damaged("too many scans");
    ByteReader in(body_);
    const uint32_t count = in.U8(0);
    const uint32_t first = in.U8(1 + 2 * count), last = in.U8(2 + 2 * count);
    const uint32_t refines = in.U8(3 + 2 * count) >> 4;
    if (in.short_of_bytes() || count == 0) return Damaged("a scan header is cut short");
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t id = in.U8(1 + 2 * i), tables = in.U8(2 + 2 * i);
      if (std::find(ids_, ids_ + components_, id) == ids_ + components_)
        return Damaged("a scan of an unknown component");
      const bool dc = first == 0 && refines == 0, ac = last > 0;
      const bool has_dc = tables_ >> (tables >> 4 & 3) & 1,
                 has_ac = tables_ >> (4 + (tables & 3)) & 1;
      if ((dc && !has_dc) || (ac && !has_ac)) return Damaged("a Huffman table is missing");
    }
    return {};
  }

  // To the next marker: 0xff followed by neither 0 (a stuffed byte) nor a restart code.
  void SkipEntropyCoded() {
    while (at_ + 1 < file_.size()) {
      const void* found = std::memchr(file_.data() + at_, 0xff, file_.size() - at_ - 1);
      if (!found) break;
      at_ = static_cast<size_t>(static_cast<const std::byte*>(found) - file_.data());
      const uint32_t code = in_.U8(at_ + 1);
      const bool restart = code >= 0xd0 && code <= 0xd7;
      if (code != 0 && !restart) return;
      at_ += 2;
    }
    at_ = file_.size();
  }

  ByteReader in_;
  std::span<const std::byte> file_, body_;
  size_t at_ = 0;
  PictureHead head_;
  size_t components_ = 0;
  uint32_t ids_[3] = {};
  uint32_t tables_ = 0;  // Huffman tables seen: bits 0-3 DC, 4-7 AC
  int scans_ = 0;
};

}  // namespace

Result<PictureHead> CheckJpeg(std::span<const std::byte> file) { return JpegWalk(file).Walk(); }

}  // namespace sula
