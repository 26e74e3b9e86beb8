// Transposed convolution as one product, pixels times (tap, output channel), and then for each
// output pixel the sum of the columns that fall on it ("GEMM and col2im"). Pays where the windows
// of single phases have too few output channels for a vector, or too few pixels that are not zeros.
#pragma once

#include <array>
#include <vector>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

// Output rows of one image: out[o] = act(bias + sum of columns that meet o).
struct ColumnSums {
  const float* columns = nullptr;  // [input pixels][taps][channels]
  // Along an axis, output position o meets the columns that lie offsets[begin[o]] ...
  // offsets[begin[o + 1] - 1] floats further on.
  struct Axis {
    const int64_t* offsets = nullptr;
    const int64_t* begin = nullptr;
  };
  std::array<Axis, 3> axes;
  Axes out = {1, 1, 1};
  int64_t channels = 0;
  const float* bias = nullptr;  // [channels]
  Epilogue epilogue;
  float* to = nullptr;  // of the image's first pixel
  int64_t to_stride = 0;
};

struct ColumnKernels {
  int lanes;
  // Rows [row_begin, row_end), counted over depth and height.
  void (*run)(const ColumnSums& call, int64_t row_begin, int64_t row_end);
};
const ColumnKernels& ColumnsFor(Target target);

// One group. In spec.window `in` is the operator's input and `out` its output, as for
// ConvTransposed.
class ConvColumns {
 public:
  // weights: [in_channels][out_channels][taps]; bias: [out_channels] or null. Both are copied.
  // Error: out of memory.
  static Result<ConvColumns> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                  const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const;
  void Run(const ConvArgs& args, const Parallel& parallel) const;  // residual: null

 private:
  struct Meetings {
    std::vector<int64_t> offsets, begin;  // as in ColumnSums::Axis
  };
  void Multiply(const ConvArgs& args, int64_t image, const Parallel& parallel) const;

  ConvSpec spec_;
  Machine machine_;
  PackedWeights weights_;
  AlignedBuffer bias_;
  GemmBlocks blocks_;
  std::array<Meetings, 3> axes_;
  size_t columns_bytes_ = 0, worker_bytes_ = 0;
};

// The product that ConvColumns makes of a transposed convolution.
struct ColumnPlan {
  std::vector<Panel> panels;
  GemmBlocks blocks;  // of one image
};
ColumnPlan PlanColumns(const ConvSpec& spec, const Machine& machine);

}  // namespace sula::cpu
