// Convolution by windows that lie side by side.
#pragma once

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

// Windows of a task of ConvPatches.
int64_t PatchesBlockRows(const ConvSpec& spec, const Machine& machine);

// Convolution of planar (row-major NCHW) maps into channel-last ones by windows that meet without
// overlap or gap, as the patch embedding of a vision transformer: a block of windows is copied into
// rows, which are multiplied with the weights. Stride = kernel, no dilation, padding or groups.
class ConvPatches {
 public:
  static Result<ConvPatches> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                  const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return weights_.bytes(); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  // The windows of output pixels [begin, end), counted over the batch, each as a row.
  void CopyPatches(const float* in, int64_t begin, int64_t end, float* patches) const;

  ConvSpec spec_;
  Machine machine_;
  PackedWeights weights_;
  int64_t depth_ = 0;       // values of a window
  int64_t block_rows_ = 0;  // windows of a task
};

}  // namespace sula::cpu
