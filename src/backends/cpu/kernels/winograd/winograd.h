// Convolution by Winograd's minimal filtering: tiles of the input are transformed, multiplied with
// transformed filters by one small matrix product per transformed position, and transformed back.
// Dilation 1, one group, one or two spatial axes.
#pragma once

#include "backends/cpu/kernels/winograd/plan.h"
#include "backends/cpu/kernels/winograd/transforms.h"

namespace sula::cpu {

class Winograd {
 public:
  // `form`: its taps and strides must be those of spec's window. weights, bias as in ConvGemm or,
  // if the form is transposed, ConvTransposed, of whose spec and restrictions the same holds; its
  // paddings modulo the stride must be the form's shifts. depth: channels that are summed up at a
  // time, see ExpectedError.
  static Result<Winograd> Make(const ConvSpec& spec, const WinogradForm& form, int64_t depth,
                               const float* weights, const float* bias, const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return filters_.bytes() + bias_.bytes() + zeros_.bytes(); }
  int64_t block_tiles() const { return plan_.block_tiles; }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  void PackFilters(const float* weights, float* to) const;
  void Multiply(const WinogradCall& call, int64_t tiles, int position) const;
  size_t scratch_floats() const;

  ConvSpec spec_;
  WinogradForm form_;
  Machine machine_;
  int64_t depth_ = 0;
  WinogradPlan plan_;
  int64_t filter_floats_ = 0;  // of one position
  Pack filters_;               // all positions
  Pack bias_;
  AlignedBuffer zeros_;
};

}  // namespace sula::cpu
