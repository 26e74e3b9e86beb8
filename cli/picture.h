// Pictures as network inputs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "npy.h"
#include "sula/model.h"

namespace sula::cli {

// Rows from the top, channels interleaved, 8 bits each.
struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;  // height x width x channels
};

// True if the file begins like a PNG, JPEG or BMP.
bool LooksLikePicture(const std::string& path);

// Decodes a PNG, JPEG or BMP to `channels` channels (1: grey, 3: red green blue).
Result<Picture> ReadPicture(const std::string& path, int channels);

// Resamples with a triangle filter: bilinear interpolation when enlarging, an average over the
// covered area, weighted by distance, when reducing. Pixel centres are at half integers.
Picture Resize(const Picture& picture, int width, int height);

enum class ChannelOrder { kRgb, kBgr, kGray };

struct PictureOptions {
  std::optional<std::array<int, 2>> size;  // width, height
  bool keep_size = false;                  // the picture's own size; else `size`, else the model's
  double scale = 0;                        // 0: 1/255 for float inputs, 1 for integers
  std::vector<double> mean, std;           // one for all channels, or one each
  std::string layout;                      // "nchw", "nhwc"; "": from the input's shape
  std::optional<ChannelOrder> channels;    // from the input's shape: 3 are RGB, 1 is grey
};

// The picture as input for a model: (pixel * scale - mean) / std, pixels 0..255, mean and std in
// the order of `channels`; [1,C,H,W] or [1,H,W,C], without the leading 1 if the input has 3 axes.
Result<Array> PictureInput(const std::string& path, const ValueInfo& input,
                           const PictureOptions& options);

}  // namespace sula::cli
