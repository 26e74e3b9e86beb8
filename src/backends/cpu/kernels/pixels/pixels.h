// Pictures of 8 bits a channel as planes of floats, in one pass over the picture: resampled, mixed
// and shifted row by row, so that what lies in between stays in the nearest cache.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cpu/kernels/target.h"
#include "backends/cpu/kernels/window.h"
#include "base/thread_pool.h"

namespace sula::cpu {

inline constexpr int kMaxPixelChannels = 4;

// The rows or columns of a picture that make those of the result: output i of `visible` is the sum
// of weights[i * taps + k] * input[first[i] + k]; the others lie beyond the picture.
struct PixelTaps {
  int64_t taps = 1;
  std::vector<int32_t> first;  // first[i] + taps <= the input's size
  std::vector<float> weights;
  Range visible = {0, 0};
  // One input each, of weight 1 and side by side: nothing is resampled.
  bool plain = false;
};

// y[n, o, i, j] = shift[o] + sum over c of mix[o][c] * r[n, i, j, c] with r the picture resampled,
// and beyond[o] where that lies beyond the picture.
struct PixelSpec {
  int64_t batch = 1, in_height = 0, in_width = 0, in_channels = 0;  // [N, H, W, C] bytes
  int64_t height = 0, width = 0, channels = 0;
  PixelTaps rows, columns;
  std::array<std::array<float, kMaxPixelChannels>, kMaxPixelChannels> mix = {};
  std::array<float, kMaxPixelChannels> shift = {}, beyond = {};

  int64_t picture_bytes() const { return in_height * in_width * in_channels; }
};

// Where a row of the result goes: element (o, j) to at + o * channel_stride + j * pixel_stride.
struct PixelRow {
  float* at = nullptr;
  int64_t channel_stride = 0, pixel_stride = 1;
};

struct PixelKernels {
  // Row i of one picture. scratch: PixelScratchBytes, 64-byte aligned.
  void (*row)(const PixelSpec& spec, const uint8_t* picture, int64_t i, const PixelRow& to,
              float* scratch);
};
const PixelKernels& PixelsFor(Target target);

// What a thread needs.
size_t PixelScratchBytes(const PixelSpec& spec);

// Where the whole result goes. Strides in floats.
struct PixelArgs {
  const uint8_t* in = nullptr;
  float* out = nullptr;
  int64_t image_stride = 0, channel_stride = 0, row_stride = 0, pixel_stride = 1;
  void* workspace = nullptr;  // PixelScratchBytes for each thread
};
void RunPixels(const PixelSpec& spec, Target target, const PixelArgs& args,
               const Parallel& parallel);

}  // namespace sula::cpu
