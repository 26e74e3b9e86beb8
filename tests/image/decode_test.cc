// Files that are damaged, hostile or of kinds that are not read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "image/test_pictures.h"
#include "sula/image.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

using Bytes = std::vector<std::byte>;

void Put(Bytes& file, size_t at, std::initializer_list<int> values) {
  for (int v : values) file[at++] = static_cast<std::byte>(v);
}

size_t Find(const Bytes& file, std::string_view text) {
  std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  return all.find(text);
}

// Puts right the checksums of all chunks, as far as there are any.
void RepairPng(Bytes& file) {
  auto u32 = [&](size_t at) {
    uint32_t v = 0;
    for (size_t i = 0; i < 4; ++i) v = v << 8 | std::to_integer<uint32_t>(file[at + i]);
    return v;
  };
  for (size_t at = 8; at + 12 <= file.size();) {
    const size_t length = u32(at);
    if (length > file.size() - at - 12) return;
    const uint32_t crc = Crc32(std::span(file).subspan(at + 4, length + 4));
    for (size_t i = 0; i < 4; ++i)
      file[at + 8 + length + i] = static_cast<std::byte>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
}

TEST(Decode, EveryCutFileIsRefused) {
  for (const char* name : {"rgb.png", "interlaced.png", "rgb.bmp", "bits4.bmp", "420.jpg",
                           "progressive.jpg", "restart.jpg"}) {
    Bytes file = GoldenFile(name);
    ASSERT_TRUE(DecodeImage(file)) << name;
    // A BMP's last row may lack its padding: three of the 21 * 3 bytes' four, or of 11's.
    const size_t padding = std::string_view(name).ends_with(".bmp") ? 1 : 0;
    for (size_t size = 0; size + padding < file.size(); ++size) {
      auto image = DecodeImage(std::span(file).first(size));
      ASSERT_FALSE(image) << name << " cut to " << size << " of " << file.size() << " bytes";
      EXPECT_EQ(image.error().code(), Code::kInvalidModel) << image.error().ToString();
    }
  }
}

TEST(Decode, WhatFollowsAPictureDoesNotMatter) {
  for (const char* name : {"rgb.png", "rgb.bmp", "420.jpg"}) {
    Bytes file = GoldenFile(name);
    auto plain = DecodeImage(file);
    file.resize(file.size() + 100);
    auto longer = DecodeImage(file);
    ASSERT_TRUE(plain && longer) << name;
    EXPECT_EQ(plain->pixels, longer->pixels);
  }
}

// Thousands of damaged files: each gives a picture of the size it says, or an error, in bounded
// memory. The seed of a failure is its number.
void Mutate(const char* name, bool repair) {
  const Bytes good = GoldenFile(name);
  ASSERT_FALSE(good.empty()) << name;
  const DecodeLimits limits{.max_pixels = 1 << 20, .max_bytes = 64 << 20};
  int decoded = 0;
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    Bytes file = good;
    for (size_t change = 0, changes = 1 + below(4); change < changes && !file.empty(); ++change) {
      const size_t at = below(file.size());
      switch (below(6)) {
        case 0: file[at] ^= static_cast<std::byte>(1 << below(8)); break;
        case 1: file[at] = static_cast<std::byte>(below(256)); break;
        case 2: file[at] = static_cast<std::byte>(below(2) * 255); break;
        case 3: file.resize(at); break;
        case 4:
          file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(8), file[at]);
          break;
        default:
          file.erase(
              file.begin() + static_cast<std::ptrdiff_t>(at),
              file.begin() + static_cast<std::ptrdiff_t>(std::min(file.size(), at + 1 + below(8))));
      }
    }
    if (repair) RepairPng(file);
    auto image = DecodeImage(file, limits);
    if (!image) {
      EXPECT_FALSE(image.error().message().empty()) << name << ", seed " << seed;
      continue;
    }
    ++decoded;
    EXPECT_EQ(image->pixels.size(), size_t{1} * image->width * image->height * image->channels)
        << name << ", seed " << seed;
  }
  EXPECT_GT(decoded, 0) << name;  // otherwise the decoder itself is never reached
}

TEST(Decode, DamagedPng) { Mutate("rgb.png", true); }
TEST(Decode, DamagedPngWithPalette) { Mutate("palette4.png", true); }
TEST(Decode, DamagedInterlacedPng) { Mutate("interlaced.png", true); }
TEST(Decode, DamagedPngIsNoticedByItsChecksums) {
  const Bytes good = GoldenFile("rgb.png");
  for (size_t at = 0; at < good.size(); ++at) {
    Bytes file = good;
    file[at] ^= std::byte{4};
    EXPECT_FALSE(DecodeImage(file)) << "byte " << at;
  }
}
TEST(Decode, DamagedJpeg) { Mutate("420.jpg", false); }
TEST(Decode, DamagedGrayJpeg) { Mutate("gray.jpg", false); }
TEST(Decode, DamagedRestartingJpeg) { Mutate("restart.jpg", false); }
TEST(Decode, DamagedProgressiveJpeg) { Mutate("progressive.jpg", false); }
TEST(Decode, DamagedExif) { Mutate("turned6.jpg", false); }
TEST(Decode, DamagedBmp) { Mutate("rgb.bmp", false); }
TEST(Decode, DamagedIndexedBmp) { Mutate("bits4.bmp", false); }
TEST(Decode, DamagedMaskedBmp) { Mutate("mask565.bmp", false); }

TEST(Decode, SizesBeyondTheLimitsAreRefusedBeforeAnythingIsAllocated) {
  Bytes png = GoldenFile("rgb.png");
  Put(png, 16, {0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff});
  RepairPng(png);
  Bytes jpeg = GoldenFile("420.jpg");
  Put(jpeg, Find(jpeg, "\xff\xc0") + 5, {0x7f, 0xff, 0x7f, 0xff});
  Bytes bmp = GoldenFile("rgb.bmp");
  Put(bmp, 18, {0, 0, 0x10, 0, 1, 0, 0, 0});  // wide, one row
  bmp.resize(54 + 3 * (1 << 20));
  for (const Bytes& file : {png, jpeg, bmp}) {
    auto image = DecodeImage(file);
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code(), Code::kResourceExhausted) << image.error().ToString();
  }
  for (const char* name : {"rgb.png", "420.jpg", "rgb.bmp"}) {
    EXPECT_FALSE(DecodeImage(GoldenFile(name), {.max_pixels = 100}));
    EXPECT_FALSE(DecodeImage(GoldenFile(name), {.max_bytes = 500}));
    EXPECT_TRUE(DecodeImage(GoldenFile(name), {.max_pixels = 999, .max_bytes = 1 << 20}));
  }
}

// A small picture whose data would inflate to a gigabyte.
TEST(Decode, DataThatInflatesWithoutEndIsRefused) {
  Bytes file = GoldenFile("rgb.png");
  const size_t data = Find(file, "IDAT");
  file.resize(data + 4);
  // zlib's header; a last block of fixed Huffman codes: one literal, then copies of 258 bytes at
  // distance 1 (codes 11000101 and 00000), bits in the order of deflate.
  std::vector<int> bits;
  auto put = [&](const char* text) {
    for (; *text; ++text) bits.push_back(*text - '0');
  };
  put("110"), put("00110000");
  for (int i = 0; i < 4'000'000; ++i) put("1100010100000");
  put("0000000");
  Put(file, data - 4, {0, 0, 0, 0});
  file.push_back(std::byte{0x78}), file.push_back(std::byte{0x01});
  for (size_t i = 0; i < bits.size(); i += 8) {
    int v = 0;
    for (size_t k = 0; k < 8 && i + k < bits.size(); ++k) v |= bits[i + k] << k;
    file.push_back(static_cast<std::byte>(v));
  }
  const size_t length = file.size() - data - 4;
  for (size_t i = 0; i < 4; ++i)
    file[data - 4 + i] = static_cast<std::byte>(length >> (24 - 8 * i));
  file.insert(file.end(), 4, std::byte{0});
  for (int v : {0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0, 0, 0, 0})
    file.push_back(static_cast<std::byte>(v));
  RepairPng(file);
  auto image = DecodeImage(file);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code(), Code::kResourceExhausted) << image.error().ToString();
}

TEST(Decode, KindsThatAreNotReadAreNamed) {
  auto refusal = [](const Bytes& file) {
    auto image = DecodeImage(file);
    if (image) return std::string("decoded");
    EXPECT_EQ(image.error().code(), Code::kUnsupported);
    return image.error().ToString();
  };
  EXPECT_THAT(refusal(GoldenFile("cmyk.jpg")), HasSubstr("CMYK"));
  Bytes file = GoldenFile("420.jpg");
  const size_t frame = Find(file, "\xff\xc0");
  Put(file, frame + 4, {12});
  EXPECT_THAT(refusal(file), HasSubstr("12 bits"));
  Put(file, frame + 4, {8, 0, 0});
  EXPECT_THAT(refusal(file), HasSubstr("height"));
  Put(file, frame + 1, {0xc9});
  EXPECT_THAT(refusal(file), HasSubstr("arithmetic"));
  Put(file, frame + 1, {0xc3});
  EXPECT_THAT(refusal(file), HasSubstr("lossless"));
  file = GoldenFile("palette.bmp");
  Put(file, 30, {1});
  EXPECT_THAT(refusal(file), HasSubstr("compressed"));
  file = GoldenFile("rgb.png");
  std::memcpy(file.data() + Find(file, "IDAT"), "CgBI", 4);
  RepairPng(file);
  EXPECT_THAT(refusal(file), HasSubstr("CgBI"));
}

TEST(Decode, OtherFilesAreNoPictures) {
  EXPECT_FALSE(LooksLikeImage({}));
  EXPECT_FALSE(DecodeImage({}));
  const std::string text = "GIF89a, perhaps";
  EXPECT_FALSE(LooksLikeImage(std::as_bytes(std::span(text))));
  EXPECT_THAT(DecodeImage(std::as_bytes(std::span(text))).error().ToString(), HasSubstr("PNG"));
  EXPECT_TRUE(LooksLikeImageFile(GoldenPath("420.jpg")));
  EXPECT_FALSE(LooksLikeImageFile(GoldenPath("decode.txt")));
  EXPECT_FALSE(LooksLikeImageFile(GoldenPath("none")));
  EXPECT_EQ(ReadImage(GoldenPath("none")).error().code(), Code::kNotFound);
}

TEST(WritePng, ReadsBackTheSame) {
  const std::string path = testing::TempDir() + "/written.png";
  for (int channels : {1, 3}) {
    const Image image = TestPicture(31, 17, channels);
    ASSERT_TRUE(WritePng(image, path).ok());
    auto back = ReadImage(path);
    ASSERT_TRUE(back) << back.error().ToString();
    EXPECT_EQ(back->channels, channels);
    EXPECT_EQ(back->width, 31);
    EXPECT_EQ(back->pixels, image.pixels);
  }
  std::filesystem::remove(path);
  EXPECT_FALSE(WritePng({.width = 2, .height = 2, .channels = 3, .pixels = {}}, path).ok());
  EXPECT_EQ(WritePng(TestPicture(2, 2, 3), "/no/such/folder/x.png").code(), Code::kIo);
}

}  // namespace
}  // namespace sula
