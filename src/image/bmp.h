// BMP files: headers of Windows 2 (12 bytes) and later (40 bytes and more), uncompressed.
#pragma once

#include <cstddef>
#include <span>

#include "base/status.h"
#include "sula/image.h"

namespace sula {

// kResourceExhausted if the picture is larger than the limits allow, or than an Image can be.
Status CheckLimits(int64_t width, int64_t height, const DecodeLimits& limits);

// Decodes 1, 4, 8 (palette), 16, 24 and 32 bits a pixel, the latter with any masks; alpha is
// dropped. Three channels. Errors as DecodeImage.
Result<Image> DecodeBmp(std::span<const std::byte> file, const DecodeLimits& limits);

}  // namespace sula
