// Pictures and checksums that make_golden.py knows as well.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "sula/image.h"

namespace sula {

// `picture` of make_golden.py.
inline Image TestPicture(int width, int height, int channels, bool extreme = false) {
  Image image{.width = width, .height = height, .channels = channels, .pixels = {}};
  uint32_t state = static_cast<uint32_t>(width) * 1000003u + static_cast<uint32_t>(height) * 1009u +
                   static_cast<uint32_t>(channels);
  image.pixels.resize(size_t{1} * width * height * channels);
  for (uint8_t& v : image.pixels) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<uint8_t>(extreme ? (state >> 31) * 255 : state >> 24);
  }
  return image;
}

// CRC-32 as zlib computes it.
inline uint32_t Crc32(std::span<const std::byte> bytes) {
  uint32_t c = 0xffffffffu;
  for (std::byte b : bytes) {
    c ^= std::to_integer<uint32_t>(b);
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
  }
  return ~c;
}
inline uint32_t Crc32(const std::vector<uint8_t>& bytes) {
  return Crc32(std::as_bytes(std::span(bytes)));
}

inline std::string GoldenPath(const std::string& name) {
  return std::string(IMAGE_CASES) + "/" + name;
}

inline std::vector<std::byte> GoldenFile(const std::string& name) {
  std::ifstream in(GoldenPath(name), std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace sula
