#include "image/stb.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

// stb's memory: zero-filled, so that a damaged file shows nothing of what was there before, and
// limited, since sizes come from the file. Each block is preceded by its size.
thread_local size_t bytes_left = 0;
constexpr size_t kPrefix = alignof(std::max_align_t);

void* Take(size_t bytes) {
  if (bytes > bytes_left) return nullptr;
  void* block = std::calloc(1, bytes + kPrefix);
  if (!block) return nullptr;
  bytes_left -= bytes;
  std::memcpy(block, &bytes, sizeof(bytes));
  return static_cast<char*>(block) + kPrefix;
}

void GiveBack(void* p) {
  if (!p) return;
  void* block = static_cast<char*>(p) - kPrefix;
  size_t bytes;
  std::memcpy(&bytes, block, sizeof(bytes));
  bytes_left += bytes;
  std::free(block);
}

void* Grow(void* p, size_t old_bytes, size_t bytes) {
  void* grown = Take(bytes);
  if (!grown) return nullptr;
  if (p) std::memcpy(grown, p, std::min(old_bytes, bytes));
  GiveBack(p);
  return grown;
}

// A row of chroma at twice the width, as libjpeg makes it (h2v1_fancy_upsample); w samples to 2w.
// It stands in for stb_image's function of that name, which gets the last but one sample wrong.
unsigned char* stbi__resample_row_h_2(unsigned char* out, unsigned char* in, unsigned char*, int w,
                                      int) {
  for (int i = 0; i < w; ++i) {
    const int before = in[std::max(i - 1, 0)], after = in[std::min(i + 1, w - 1)];
    out[2 * i] = static_cast<unsigned char>((3 * in[i] + before + 1) >> 2);
    out[2 * i + 1] = static_cast<unsigned char>((3 * in[i] + after + 2) >> 2);
  }
  return out;
}

}  // namespace

// Renames stb_image's own where it is defined; where its address is taken no parenthesis follows.
#define stbi__resample_row_h_2(...) stbi__unused_resample_row_h_2(__VA_ARGS__)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS (1 << 16)
#define STBI_ASSERT(x) static_cast<void>(0)
#define STBI_MALLOC(bytes) Take(bytes)
#define STBI_REALLOC_SIZED(p, old_bytes, bytes) Grow(p, old_bytes, bytes)
#define STBI_FREE(p) GiveBack(p)
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop
#undef stbi__resample_row_h_2

namespace sula {

Result<Image> StbDecode(std::span<const std::byte> file, size_t max_bytes) {
  bytes_left = max_bytes;
  Image image;
  int stored = 0;
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(file.data()),
                            static_cast<int>(file.size()), &image.width, &image.height, &stored, 0),
      stbi_image_free);
  if (!pixels) {
    const std::string_view reason = stbi_failure_reason();
    if (reason == "outofmem") return ResourceExhausted("decoding it would need too much memory");
    return InvalidModel("damaged: ", reason);
  }
  image.channels = stored <= 2 ? 1 : 3;
  const size_t count = size_t{1} * image.width * image.height, kept = image.channels;
  image.pixels.resize(count * kept);
  const uint8_t* src = pixels.get();
  if (kept == static_cast<size_t>(stored)) {
    std::copy_n(src, count * kept, image.pixels.data());
  } else {
    for (size_t i = 0; i < count; ++i)
      std::copy_n(src + i * static_cast<size_t>(stored), kept, &image.pixels[i * kept]);
  }
  return image;
}

std::vector<std::byte> StbEncodePng(const Image& image) {
  std::vector<std::byte> file;
  auto append = [](void* to, void* data, int size) {
    const std::byte* begin = static_cast<const std::byte*>(data);
    auto& out = *static_cast<std::vector<std::byte>*>(to);
    out.insert(out.end(), begin, begin + size);
  };
  if (!stbi_write_png_to_func(append, &file, image.width, image.height, image.channels,
                              image.pixels.data(), 0))
    file.clear();
  return file;
}

}  // namespace sula
