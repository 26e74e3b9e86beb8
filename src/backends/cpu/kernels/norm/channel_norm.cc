#include "backends/cpu/kernels/norm/channel_norm.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels/norm/channel_norm_targets.h"

namespace sula::cpu {
namespace {

// Pixels of a block, some 64 KiB: the second look at it finds it in the L2 cache. At least enough
// that what a block tells of its channels is little against the block.
constexpr int64_t kBlockFloats = 16384, kLeastPixels = 16;

int64_t BlockPixels(const ChannelNormCall& call) {
  return std::min(call.pixels, std::max(kLeastPixels, kBlockFloats / call.channels));
}
int64_t Blocks(const ChannelNormCall& call) {
  const int64_t block = BlockPixels(call);
  return (call.pixels + block - 1) / block;
}

// Arrays of the workspace, [channels] each: means and squares of each block of each image, then
// mean and factor of each image.
struct Workspace {
  explicit Workspace(const ChannelNormCall& call)
      : channels(call.channels), blocks(Blocks(call)), images(call.workspace) {}
  float* Block(int64_t image, int64_t block, int which) const {
    return images + ((image * (blocks + 1) + block) * 2 + which) * channels;
  }
  float* Image(int64_t image, int which) const { return Block(image, blocks, which); }

  int64_t channels, blocks;
  float* images;
};

void Combine(const ChannelNormCall& call, const Workspace& workspace, int64_t image) {
  const int64_t block = BlockPixels(call), size = call.channels / call.groups;
  const auto pixels_of = [&](int64_t b) {
    return static_cast<double>(std::min(block, call.pixels - b * block));
  };
  const double count = static_cast<double>(call.pixels) * static_cast<double>(size);
  for (int64_t first = 0; first < call.channels; first += size) {
    double mean = 0, squares = 0;
    for (int64_t b = 0; b < workspace.blocks; ++b)
      for (int64_t c = first; c < first + size; ++c)
        mean += pixels_of(b) * static_cast<double>(workspace.Block(image, b, 0)[c]);
    mean /= count;
    for (int64_t b = 0; b < workspace.blocks; ++b)
      for (int64_t c = first; c < first + size; ++c) {
        const double d = static_cast<double>(workspace.Block(image, b, 0)[c]) - mean;
        squares += static_cast<double>(workspace.Block(image, b, 1)[c]) + pixels_of(b) * d * d;
      }
    const double inverse = 1 / std::sqrt(squares / count + static_cast<double>(call.epsilon));
    for (int64_t c = first; c < first + size; ++c) {
      workspace.Image(image, 0)[c] = static_cast<float>(mean);
      workspace.Image(image, 1)[c] =
          static_cast<float>(inverse * static_cast<double>(call.scale[c]));
    }
  }
}

}  // namespace

const ChannelNormKernels& ChannelNormFor(Target target) {
  static constexpr Variants<ChannelNormKernels> kVariants = {
      &kChannelNormScalar,
      &kChannelNormScalar16,
#ifdef SULA_CPU_SIMD
      &kChannelNormAvx2,
      &kChannelNormAvx512,
#endif
  };
  return Pick(kVariants, target);
}

int64_t ChannelNormWorkspace(const ChannelNormCall& call) {
  return call.batch * (Blocks(call) + 1) * 2 * call.channels;
}

void RunChannelNorm(const ChannelNormCall& call, Target target, const Parallel& parallel) {
  const ChannelNormKernels& kernels = ChannelNormFor(target);
  const Workspace workspace(call);
  const int64_t block = BlockPixels(call), blocks = workspace.blocks;
  parallel.For(call.batch * blocks, [&](int64_t task, int) {
    const int64_t image = task / blocks, b = task % blocks, pixel = b * block;
    kernels.moments(call.in + (image * call.pixels + pixel) * call.in_stride, call.in_stride,
                    std::min(block, call.pixels - pixel), call.channels,
                    workspace.Block(image, b, 0), workspace.Block(image, b, 1));
  });
  for (int64_t image = 0; image < call.batch; ++image) Combine(call, workspace, image);
  parallel.For(call.batch * blocks, [&](int64_t task, int) {
    const int64_t image = task / blocks, b = task % blocks;
    const int64_t pixel = image * call.pixels + b * block;
    kernels.apply(call.in + pixel * call.in_stride, call.in_stride,
                  std::min(block, call.pixels - b * block), call.channels,
                  workspace.Image(image, 0), workspace.Image(image, 1), call.shift,
                  call.out + pixel * call.out_stride, call.out_stride);
  });
}

}  // namespace sula::cpu
