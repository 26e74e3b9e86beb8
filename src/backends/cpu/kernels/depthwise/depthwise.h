// Depthwise convolution of channel-last maps: every channel with a window of its own.
#pragma once

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

inline constexpr int kDepthwiseGroup = 64;  // channels of a group: a multiple of all vectors
inline constexpr int kMaxTapRows = 9;       // rows of taps per window of the fast kernels
// Floats from pixel to pixel of rows that hold one group's channels: an odd number of cache lines,
// so that pixels use all sets of L1.
inline constexpr int64_t kDepthwiseRowStride = kDepthwiseGroup + 16;

struct DepthwiseCall {
  const Window* window = nullptr;
  const float* in = nullptr;
  int64_t in_stride = 0;
  // If given, the rows of the input's one plane in place of `in`; channel `first_channel` is the
  // first of a pixel there.
  const MapRows* rows = nullptr;
  int64_t first_channel = 0;
  // If given, and for blocks of one group, room for DepthwiseRingRows rows of in[2] pixels of
  // kDepthwiseRowStride floats, for a thread: rows of `in` are copied there first.
  float* ring = nullptr;
  const float* weights = nullptr;  // [vector][taps][lanes], zeros behind the last channel
  const float* bias = nullptr;     // padded to whole vectors
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  int64_t first_row = 0;  // the output row that `out` and `residual` begin with
  Epilogue epilogue;
};

// Output rows [row_begin, row_end), counted over batch, depth and height; output columns
// [column_begin, column_end); channels [channel, channel + channels), the first a multiple of all
// vectors.
struct DepthwiseBlock {
  int64_t row_begin = 0, row_end = 0, column_begin = 0, column_end = 0;
  int64_t channel = 0, channels = 0;
};

// Windows of one depth tap and 3 or 5 columns, at stride 1 or 2 without horizontal dilation, each
// with some column in the map, have kernels of their own.
[[gnu::always_inline]] constexpr bool DepthwiseIsFast(const Window& w) {
  return (w.kernel[2] == 3 || w.kernel[2] == 5) && w.stride[2] <= 2 && w.dilation[2] == 1 &&
         w.kernel[0] == 1 && w.kernel[1] <= kMaxTapRows && w.pad[2] < w.kernel[2] &&
         (w.out[2] - 1) * w.stride[2] - w.pad[2] < w.in[2];
}

// The input rows of two output rows.
[[gnu::always_inline]] constexpr int64_t DepthwiseRingRows(const Window& w) {
  return (w.kernel[1] - 1) * w.dilation[1] + 1 + w.stride[1];
}

struct DepthwiseKernels {
  int lanes;
  void (*run)(const DepthwiseCall& call, const DepthwiseBlock& block);
};
const DepthwiseKernels& DepthwiseFor(Target target);

// Floats of the ring of a thread through which a tensor of in_channels floats a pixel should be
// read; 0: it is better read where it lies.
size_t DepthwiseRingFloats(const ConvSpec& spec);

// Precondition of spec: in_channels == out_channels == groups.
class Depthwise {
 public:
  // weights: [channels][taps]; bias: [channels] or null. Both are copied.
  static Result<Depthwise> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                const Machine& machine);
  size_t workspace_bytes() const {
    return ring_floats() * sizeof(float) * static_cast<size_t>(machine_.threads);
  }
  size_t constant_bytes() const { return weights_.bytes() + bias_.bytes(); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

  // For callers that divide the work themselves: the call but for in, out and residual, and
  // channels [channel, channel + channels) of output rows `rows` by one thread.
  DepthwiseCall call() const;
  void RunRows(const DepthwiseCall& call, Range rows, int64_t channel, int64_t channels) const;
  // Of call.ring, where the input is a tensor; 0: it is better read where it lies.
  size_t ring_floats() const { return DepthwiseRingFloats(spec_); }

 private:
  ConvSpec spec_;
  Machine machine_;
  Pack weights_, bias_;
  int64_t rows_ = 0, columns_ = 0, channels_ = 0;  // of a block
};

}  // namespace sula::cpu
