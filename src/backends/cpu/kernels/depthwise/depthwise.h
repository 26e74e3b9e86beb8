// Depthwise convolution of channel-last maps: every channel with a window of its own.
#pragma once

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

inline constexpr int kDepthwiseGroup = 64;  // channels of a block: four cache lines of each pixel
inline constexpr int kMaxTapRows = 9;       // rows of taps per window that the ring is made for

struct DepthwiseCall {
  const Window* window = nullptr;
  int64_t channels = 0;
  const float* in = nullptr;
  int64_t in_stride = 0;
  // If given, the input of the block's channels lies ready in these rows, in place of `in`, as in
  // the ring: pixels kDepthwiseGroup floats each, the first one -pad[2], those outside the map
  // zeros, values behind the last channel finite up to a whole vector.
  const MapRows* rows = nullptr;
  const float* weights = nullptr;  // [vector][taps][lanes], zeros behind the last channel
  const float* bias = nullptr;     // padded to whole groups
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  int64_t first_row = 0;  // the output row that `out` and `residual` begin with
  Epilogue epilogue;
};

// Output rows [row_begin, row_end), counted over batch, depth and height; output columns
// [column_begin, column_end); channels [channel, channel + kDepthwiseGroup) as far as there are.
struct DepthwiseBlock {
  int64_t row_begin = 0, row_end = 0, column_begin = 0, column_end = 0, channel = 0;
};

// Windows of one depth tap and 3 or 5 columns, at stride 1 or 2 without horizontal dilation, go
// through a ring of input rows.
[[gnu::always_inline]] constexpr bool DepthwiseUsesRing(const Window& w) {
  return (w.kernel[2] == 3 || w.kernel[2] == 5) && w.stride[2] <= 2 && w.dilation[2] == 1 &&
         w.kernel[0] == 1 && w.kernel[1] <= kMaxTapRows && w.dilation[1] <= 4;
}
[[gnu::always_inline]] constexpr int64_t DepthwiseRingRows(const Window& w) {
  return (w.kernel[1] - 1) * w.dilation[1] + 1;
}

struct DepthwiseKernels {
  int lanes;
  // `ring`: scratch of ring rows * input columns that the block reads * kDepthwiseGroup floats.
  void (*run)(const DepthwiseCall& call, const DepthwiseBlock& block, float* ring);
};
const DepthwiseKernels& DepthwiseFor(Target target);

// Precondition of spec: in_channels == out_channels == groups.
class Depthwise {
 public:
  // weights: [channels][taps]; bias: [channels] or null. Both are copied.
  static Result<Depthwise> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return weights_.bytes() + bias_.bytes(); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

  // For callers that divide the work themselves: the call but for in, out and residual, and one
  // group of channels [channel, channel + kDepthwiseGroup) of output rows `rows` by one thread.
  // ring: ring_floats(); not used where call.rows is given.
  DepthwiseCall call() const;
  void RunRows(const DepthwiseCall& call, Range rows, int64_t channel, float* ring) const;
  size_t ring_floats() const;

 private:
  ConvSpec spec_;
  Machine machine_;
  Pack weights_, bias_;
  int64_t rows_ = 0, columns_ = 0;  // of a block
};

}  // namespace sula::cpu
