// stb_image and stb_image_write behind plain functions: no other file sees their headers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/status.h"
#include "sula/image.h"

namespace sula {

// Decodes a PNG or JPEG file whose frame has been checked (container.h). The channels are reduced
// to 1 or 3: alpha is dropped. Takes at most `max_bytes` of memory at a time, the result not
// included. Errors: kInvalidModel, kResourceExhausted.
Result<Image> StbDecode(std::span<const std::byte> file, size_t max_bytes);

// The picture as a PNG file; empty if memory is short.
std::vector<std::byte> StbEncodePng(const Image& image);

}  // namespace sula
