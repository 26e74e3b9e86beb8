#include "backends/cpu/kernels/depthwise/depthwise.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/conv/plan.h"
#include "backends/cpu/kernels/depthwise/depthwise_targets.h"

namespace sula::cpu {

const DepthwiseKernels& DepthwiseFor(Target target) {
  static constexpr Variants<DepthwiseKernels> kVariants = {
      &kDepthwiseScalar,
      &kDepthwiseScalar16,
#ifdef SULA_CPU_SIMD
      &kDepthwiseAvx2,
      &kDepthwiseAvx512,
#endif
  };
  return Pick(kVariants, target);
}

DepthwiseBlocks CutDepthwise(const ConvSpec& spec, int threads) {
  const Window& w = spec.window;
  const int64_t groups = (spec.out_channels + kDepthwiseGroup - 1) / kDepthwiseGroup;
  DepthwiseBlocks r;
  // The ring takes at most 3/4 of an L1 of 32 KiB; wider maps are cut into strips of columns.
  constexpr int64_t kRingBytes = 24 << 10;
  const int64_t pixels = kRingBytes / (4 * kDepthwiseGroup * DepthwiseRingRows(w));
  const int64_t widest = std::max<int64_t>(8, (pixels - w.kernel[2]) / w.stride[2] + 1);
  const int64_t strips = (w.out[2] + widest - 1) / widest;
  r.columns = (w.out[2] + strips - 1) / strips;
  // One thread fills each row once. Several threads: four blocks each, by rows if groups and
  // strips are too few; every cut reads the rows that windows share twice.
  const int64_t rows = spec.batch * w.out[0] * w.out[1];
  r.rows = rows;
  if (threads > 1) {
    const int64_t pieces = (4 * threads + groups * strips - 1) / (groups * strips);
    r.rows = std::max<int64_t>(1, (r.rows + pieces - 1) / pieces);
  }
  r.count = groups * ((w.out[2] + r.columns - 1) / r.columns) * ((rows + r.rows - 1) / r.rows);
  return r;
}

Result<Depthwise> Depthwise::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                  const Machine& machine) {
  const int64_t lanes = DepthwiseFor(machine.target).lanes;
  const Window& w = spec.window;
  const int64_t channels = spec.out_channels, taps = w.taps();
  const int64_t groups = (channels + kDepthwiseGroup - 1) / kDepthwiseGroup;
  Depthwise r;
  r.spec_ = spec, r.machine_ = machine;
  r.weights_ = MakePack<float>(machine.packs, StrCat("depthwise ", channels, " ", taps, " ", lanes),
                               groups * kDepthwiseGroup * taps, [&](float* to) {
                                 for (int64_t c = 0; c < channels; ++c)
                                   for (int64_t t = 0; t < taps; ++t)
                                     to[(c / lanes * taps + t) * lanes + c % lanes] =
                                         weights[c * taps + t];
                               });
  r.bias_ = PackBias(bias, channels, groups * kDepthwiseGroup, machine);
  if (!r.weights_.data() || !r.bias_.data())
    return ResourceExhausted("no memory for the packed weights of a depthwise convolution");

  const DepthwiseBlocks blocks = CutDepthwise(spec, machine.threads);
  r.rows_ = blocks.rows, r.columns_ = blocks.columns;
  return r;
}

size_t Depthwise::ring_floats() const {
  const Window& w = spec_.window;
  if (!DepthwiseUsesRing(w)) return 0;
  const int64_t columns = (columns_ - 1) * w.stride[2] + w.kernel[2];
  return static_cast<size_t>(DepthwiseRingRows(w) * columns * kDepthwiseGroup);
}

size_t Depthwise::workspace_bytes() const {
  return ring_floats() * sizeof(float) * static_cast<size_t>(machine_.threads);
}

DepthwiseCall Depthwise::call() const {
  DepthwiseCall call;
  call.window = &spec_.window;
  call.channels = spec_.out_channels;
  call.weights = weights_.as<float>(), call.bias = bias_.as<float>();
  call.epilogue = spec_.epilogue;
  return call;
}

void Depthwise::RunRows(const DepthwiseCall& call, Range rows, int64_t channel, float* ring) const {
  const int64_t width = spec_.window.out[2];
  for (int64_t x = 0; x < width; x += columns_)
    DepthwiseFor(machine_.target)
        .run(call, {rows.begin, rows.end, x, std::min(x + columns_, width), channel}, ring);
}

void Depthwise::Run(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = spec_.window;
  const DepthwiseKernels& kernels = DepthwiseFor(machine_.target);
  DepthwiseCall call = this->call();
  call.in = args.in, call.in_stride = args.in_stride;
  call.out = args.out, call.out_stride = args.out_stride;
  call.residual = args.residual, call.residual_stride = args.residual_stride;
  const int64_t rows = spec_.batch * w.out[0] * w.out[1];
  const int64_t groups = (spec_.out_channels + kDepthwiseGroup - 1) / kDepthwiseGroup;
  const int64_t strips = (w.out[2] + columns_ - 1) / columns_;
  const int64_t pieces = (rows + rows_ - 1) / rows_;
  parallel.For(pieces * strips * groups, [&](int64_t task, int worker) {
    const int64_t strip = task / groups % strips, piece = task / (groups * strips);
    DepthwiseBlock block;
    block.row_begin = piece * rows_, block.row_end = std::min(block.row_begin + rows_, rows);
    block.column_begin = strip * columns_;
    block.column_end = std::min(block.column_begin + columns_, w.out[2]);
    block.channel = task % groups * kDepthwiseGroup;
    kernels.run(call, block,
                static_cast<float*>(args.workspace) + static_cast<size_t>(worker) * ring_floats());
  });
}

}  // namespace sula::cpu
