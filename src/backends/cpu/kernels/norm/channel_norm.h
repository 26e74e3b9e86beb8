// Normalisation of channel-last maps: each channel, or group of neighbouring channels, of each
// image is brought to mean 0 and variance 1, then scaled and shifted by channel.
#pragma once

#include "backends/cpu/kernels/target.h"
#include "base/thread_pool.h"

namespace sula::cpu {

struct ChannelNormCall {
  int64_t batch = 1, pixels = 1, channels = 1;  // pixels: of one image
  int64_t groups = 1;                           // divides channels; as many: instance normalisation
  float epsilon = 0;
  const float* in = nullptr;
  int64_t in_stride = 0;         // floats between pixels
  const float* scale = nullptr;  // [channels]
  const float* shift = nullptr;  // [channels]
  float* out = nullptr;          // may be `in`, with the same stride
  int64_t out_stride = 0;
  float* workspace = nullptr;  // ChannelNormWorkspace floats
};

// Floats of workspace; depends on batch, pixels and channels alone.
int64_t ChannelNormWorkspace(const ChannelNormCall& call);

struct ChannelNormKernels {
  int lanes;
  // Of each channel over some pixels, at least one: the mean, and the sum of the squares of what
  // differs from it.
  void (*moments)(const float* in, int64_t stride, int64_t pixels, int64_t channels, float* mean,
                  float* squares);
  // out = (in - mean) * factor + shift, by channel.
  void (*apply)(const float* in, int64_t in_stride, int64_t pixels, int64_t channels,
                const float* mean, const float* factor, const float* shift, float* out,
                int64_t out_stride);
};
const ChannelNormKernels& ChannelNormFor(Target target);

// Reads the map twice. Moments of blocks of pixels are put together by the formulas of Chan, Golub
// and LeVeque, "Algorithms for computing the sample variance" (1983): nothing cancels. The result
// doesn't depend on the number of threads.
void RunChannelNorm(const ChannelNormCall& call, Target target, const Parallel& parallel);

}  // namespace sula::cpu
