// Convolution of channel-last maps by implicit GEMM: the rows of the product are output pixels, its
// columns output channels. Nothing is copied: the kernel reads the input through one pointer per
// tap and pixel, which point at a row of zeros outside the map.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "backends/cpu/kernels/gemm/gemm.h"
#include "backends/cpu/kernels/machine.h"
#include "backends/cpu/kernels/window.h"
#include "base/aligned_buffer.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace sula::cpu {

struct ConvSpec {
  int64_t batch = 1, in_channels = 0, out_channels = 0, groups = 1;
  Window window;
  Epilogue epilogue;
};

// Where a run reads and writes. Strides are in floats between pixels, at least the channels.
struct ConvArgs {
  const float* in = nullptr;
  int64_t in_stride = 0;  // unused for planar input
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* residual = nullptr;  // may be null, may be out
  int64_t residual_stride = 0;
  void* workspace = nullptr;  // workspace_bytes(), 64-byte aligned
};

// Packs [out_channels][in_channels / groups][taps] and the bias ([out_channels] or null). Narrow
// groups are merged, with zeros between, as far as that costs no FMAs; shape.groups tells.
// `weights` is called, once, unless the packs are at hand; `part` as in PackWeights.
PackedWeights PackConvWeights(int64_t in_channels, int64_t out_channels, int64_t groups,
                              int64_t taps, FunctionRef<const float*()> weights, const float* bias,
                              const Machine& machine, std::string_view part = {});

class ConvGemm {
 public:
  // weights: [out_channels][in_channels / groups][taps]; bias: [out_channels] or null. Both are
  // copied. Error: out of memory.
  static Result<ConvGemm> Make(const ConvSpec& spec, const float* weights, const float* bias,
                               const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return weights_.bytes() + zeros_.bytes(); }
  const GemmBlocks& blocks() const { return blocks_; }
  const PackedWeights& weights() const { return weights_; }
  const GemmKernels& kernels() const { return GemmFor(machine_.target); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

  // For callers that divide the work themselves: the product but for a, c and residual, ...
  GemmCall call() const;
  // ... or output rows `rows` of one image (of one or two spatial axes), whose input begins at
  // `image`, by one thread. scratch: workspace_bytes() / threads. No residual.
  void RunRows(const float* image, int64_t in_stride, Range rows, const MapRows& out,
               void* scratch) const;
  size_t scratch_bytes() const { return workspace_bytes() / static_cast<size_t>(machine_.threads); }

 private:
  // Output pixels [begin, end), counted over the batch, of panels [p0, p1); `out` and `residual`
  // are those of the first pixel.
  void RunBlock(const ConvArgs& args, int64_t begin, int64_t end, int p0, int p1, float* out,
                const float* residual, void* scratch) const;

  ConvSpec spec_;
  Machine machine_;
  PackedWeights weights_;
  AlignedBuffer zeros_;  // one pixel
  GemmBlocks blocks_;
  bool prefetch_ = false;
};

// Convolution that reads planar (row-major NCHW) maps of few channels, as at the entry of a net,
// and writes channel-last ones. Input rows are copied into padded strips, split by the phases of
// the stride, so that neighbouring output pixels read neighbouring floats. One group; one or two
// spatial axes.
class ConvPlanar {
 public:
  static Result<ConvPlanar> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                 const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return weights_.bytes(); }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

  int64_t image_floats() const { return spec_.in_channels * spec_.window.in_pixels(); }
  // Output rows `rows` of one image, by one thread; residual: of the image's first pixel, or null.
  void RunRows(const float* image, Range rows, const MapRows& out, const float* residual,
               int64_t residual_stride, void* scratch) const;
  size_t scratch_bytes() const { return workspace_bytes() / static_cast<size_t>(machine_.threads); }

 private:
  void RunBand(const float* image, Range rows, const MapRows& out, const float* residual,
               int64_t residual_stride, void* scratch) const;
  void CopyStrips(const float* image, int64_t row_begin, int64_t rows, float* strips) const;

  // Of one phase of a row's strip: elements [begin, end) are image columns `column`, `column` +
  // stride, ..., the others padding.
  struct Phase {
    int64_t begin = 0, end = 0, column = 0;
  };

  ConvSpec spec_;
  Machine machine_;
  PackedWeights weights_;
  std::vector<Phase> phases_;
  std::vector<int64_t> tap_offsets_;  // from a band's first strip, for its first output pixel
  int64_t band_rows_ = 0;             // output rows of a task
  int64_t strip_rows_ = 0;            // input rows that a band needs
  int64_t phase_floats_ = 0;          // of one phase of one row
};

// Transposed convolution as one implicit GEMM per phase of the stride: output pixels of one phase,
// o = q * stride + phase, all see the same taps k, those with (phase + pad - k * dilation)
// divisible by the stride; tap k reads input q + (phase + pad - k * dilation) / stride. In
// spec.window `in` is the operator's input (the small side) and `out` its output.
class ConvTransposed {
 public:
  // weights: [in_channels][out_channels / groups][taps]; bias: [out_channels] or null.
  static Result<ConvTransposed> Make(const ConvSpec& spec, const float* weights, const float* bias,
                                     const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const;
  void Run(const ConvArgs& args, const Parallel& parallel) const;  // residual: null

 private:
  struct Phase {
    Axes first = {0, 0, 0};                      // the phase: its first output position
    Axes count = {0, 0, 0};                      // output positions per axis
    std::array<std::vector<int64_t>, 3> offset;  // per axis and tap: input position - q
    PackedWeights weights;
    GemmBlocks blocks;
    int64_t first_task = 0;
    int64_t taps() const { return weights.shape.taps; }
  };
  void FillRows(const Phase& phase, const ConvArgs& args, int64_t begin, int64_t end,
                const float** pointers, float** rows) const;

  ConvSpec spec_;
  Machine machine_;
  std::vector<Phase> phases_;
  AlignedBuffer zeros_;  // one pixel
  int64_t tasks_ = 0;
  bool same_blocks_ = false;  // in all phases
  size_t worker_bytes_ = 0;   // scratch of one thread
};

}  // namespace sula::cpu
