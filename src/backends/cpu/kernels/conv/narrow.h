// Convolution to a handful of channels, as at the exit of a net that makes pictures. Where output
// channels fill less than half a vector, its lanes are output pixels of a row instead: the input is
// turned into planar strips, a few rows at a time, and weights are what is broadcast.
#pragma once

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

inline constexpr int64_t kMaxNarrowOutputs = 4;

// One output row. Strip (channel, tap row) begins at
// strips + channel * channel_step + tap row * row_step, with the first pixel's first column; as
// many floats are readable as whole tiles need.
struct NarrowCall {
  const float* strips = nullptr;
  int64_t channel_step = 0, row_step = 0, column_step = 0;
  int64_t channels = 0, rows = 0, columns = 0;  // of the window; rows: those of `weights`' rows
  const float* weights = nullptr;               // [channels][tap rows][columns][outputs]
  int64_t weight_step = 0;                      // floats from channel to channel
  const float* bias = nullptr;                  // [outputs]
  int64_t outputs = 0, pixels = 0;
  float* row = nullptr;  // scratch: [outputs][row_floats]
  int64_t row_floats = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  Epilogue epilogue;
};

// A row of the map in a strip: zeros, pixels, zeros.
struct NarrowStrip {
  int64_t left = 0, pixels = 0, right = 0;
};

struct NarrowKernels {
  int lanes;
  int tile_pixels[kMaxNarrowOutputs + 1];  // by number of outputs (entry 0 unused)
  void (*run)(const NarrowCall& call);
  // Turns pixels from[pixel * stride + channel] into one strip per channel, channel_step apart.
  void (*copy)(const float* from, int64_t stride, int64_t channels, const NarrowStrip& strip,
               float* to, int64_t channel_step);
};
const NarrowKernels& NarrowFor(Target target);

// Channel-last input and output, one group, one or two spatial axes, horizontal stride 1, at most
// kMaxNarrowOutputs output channels.
class ConvNarrow {
 public:
  // weights: [out_channels][in_channels][taps]; bias: [out_channels] or null. Both are copied.
  // Error: out of memory.
  static Result<ConvNarrow> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                 const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return weights_.bytes() + bias_.bytes(); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  size_t worker_bytes() const;

  ConvSpec spec_;
  Machine machine_;
  AlignedBuffer weights_, bias_;
  int64_t band_rows_ = 0;     // output rows of a task
  int64_t strip_rows_ = 0;    // input rows that a band needs
  int64_t strip_floats_ = 0;  // of one row of one channel
  int64_t row_floats_ = 0;    // of one output row, whole tiles
};

}  // namespace sula::cpu
