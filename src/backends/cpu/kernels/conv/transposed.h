// Transposed convolution of channel-last maps by sub-pixel phases: output positions that are equal
// modulo the stride see the same taps, so each phase is an ordinary convolution of stride 1 whose
// results lie `stride` pixels apart. No value is computed in vain and none is added up in memory.
#pragma once

#include <vector>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

class ConvTransposed {
 public:
  // The window is read backwards: tap k of input position i goes to output position
  // i * stride + k * dilation - pad. weights: [in_channels][out_channels / groups][taps]; bias:
  // [out_channels] or null. Both are copied. Error: out of memory.
  static Result<ConvTransposed> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                     const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const;
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  // Along one axis: outputs first + q * stride for q < count meet input q + offset with its tap.
  struct AxisPhase {
    int64_t first = 0, count = 0;
    std::vector<int64_t> taps, offsets;
  };
  struct Phase {
    std::array<AxisPhase, 3> axes;
    PackedWeights weights;
    GemmBlocks blocks;
    bool prefetch = false;
    int64_t taps() const { return weights.shape.taps; }
    int64_t pixels() const { return axes[0].count * axes[1].count * axes[2].count; }
  };

  static AxisPhase PhaseOf(const Window& w, int axis, int64_t residue);
  size_t worker_bytes() const;
  void FillRows(const Phase& phase, const ConvArgs& args, int64_t begin, int64_t end,
                const float** pointers, float** rows) const;

  ConvSpec spec_;
  Machine machine_;
  std::vector<Phase> phases_;
  AlignedBuffer zeros_;  // one pixel
};

}  // namespace sula::cpu
