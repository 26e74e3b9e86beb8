// Depthwise convolution of channel-last maps: every channel with a window of its own.
#pragma once

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

// One block of work: output rows [row_begin, row_end), counted over batch, depth and height, of
// channel vectors [vector_begin, vector_end). Memory outside the channels is not touched.
struct DepthwiseCall {
  const Window* window = nullptr;
  int64_t channels = 0;
  const float* in = nullptr;
  int64_t in_stride = 0;
  const float* weights = nullptr;  // [vector][taps][lanes], zeros behind the last channel
  const float* bias = nullptr;     // padded to whole vectors
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  Epilogue epilogue;
};

struct DepthwiseKernels {
  int lanes;
  void (*run)(const DepthwiseCall& call, int64_t row_begin, int64_t row_end, int64_t vector_begin,
              int64_t vector_end);
};
const DepthwiseKernels& DepthwiseFor(Target target);

// Precondition of spec: in_channels == out_channels == groups.
class Depthwise {
 public:
  // weights: [channels][taps]; bias: [channels] or null. Both are copied.
  static Result<Depthwise> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                const Machine& machine);
  size_t constant_bytes() const { return weights_.bytes() + bias_.bytes(); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  ConvSpec spec_;
  Machine machine_;
  AlignedBuffer weights_, bias_;
  int64_t rows_ = 0, vectors_ = 0;  // of a task
};

}  // namespace sula::cpu
