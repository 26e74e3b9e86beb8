// Pooling of channel-last maps: largest value or mean of a window, or of a whole map.
#pragma once

#include "backends/cpu/kernels/target.h"
#include "backends/cpu/kernels/window.h"
#include "base/thread_pool.h"

namespace sula::cpu {

enum class PoolKind : uint8_t {
  kMax,          // positions outside are left out; an empty window gives the negative infinity
  kMean,         // sum / number of positions inside
  kMeanPadding,  // sum / number of positions inside the padded map
};

struct PoolCall {
  PoolKind kind = PoolKind::kMax;
  Window window;
  Axes pad_end = {0, 0, 0};  // kMeanPadding: the padded map is [-pad, in + pad_end)
  int64_t batch = 1, channels = 0;
  const float* in = nullptr;
  int64_t in_stride = 0;
  int64_t first_row = 0;  // the input row that `in` begins with
  float* out = nullptr;
  int64_t out_stride = 0;
};

struct PoolKernels {
  int lanes;
  // Output rows [row_begin, row_end), counted over batch, depth and height, of channels
  // [channel_begin, channel_end).
  void (*run)(const PoolCall& call, int64_t row_begin, int64_t row_end, int64_t channel_begin,
              int64_t channel_end);
};
const PoolKernels& PoolFor(Target target);

// A maximum over positions of which one is NaN is that NaN or the maximum of those after it.
void RunPool(const PoolCall& call, Target target, const Parallel& parallel);

}  // namespace sula::cpu
