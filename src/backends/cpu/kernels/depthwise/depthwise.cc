#include "backends/cpu/kernels/depthwise/depthwise.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/conv/plan.h"
#include "backends/cpu/kernels/depthwise/depthwise_targets.h"

namespace sula::cpu {
namespace {

constexpr int64_t kRingChannels = 512;
// Of tensors, blocks have more channels than a group: their pixels are read in longer pieces, which
// the processor fetches ahead.
constexpr int64_t kWideGroups = 4;

// Pixels whose stride is a multiple of 2 KiB lie in so few sets of L1 that the rows of a window
// push each other out: copied, they are read from L2 once, not three times. columns: of a strip.
bool Copies(const ConvSpec& spec, int64_t columns) {
  return DepthwiseIsFast(spec.window) && spec.in_channels % kRingChannels == 0 &&
         columns == spec.window.out[2];
}

}  // namespace

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
  DepthwiseBlocks r;
  // Output rows share input rows, of which a group's should take no more than half of 512 KiB of L2
  // between them: the widest maps are cut into strips of columns.
  constexpr int64_t kRowsBytes = 256 << 10;
  const int64_t pixels =
      kRowsBytes / (DepthwiseRingRows(w) * kDepthwiseGroup * int64_t{sizeof(float)});
  const int64_t widest = std::max<int64_t>(8, pixels / w.stride[2]);
  const int64_t strips = (w.out[2] + widest - 1) / widest;
  r.columns = (w.out[2] + strips - 1) / strips;
  // Several threads: four blocks each, by rows if groups of channels and strips are too few.
  const int64_t all_groups = (spec.out_channels + kDepthwiseGroup - 1) / kDepthwiseGroup;
  int64_t wide = Copies(spec, r.columns) ? 1 : kWideGroups;
  if (threads > 1) wide = std::clamp<int64_t>(all_groups * strips / (4 * threads), 1, wide);
  r.channels = wide * kDepthwiseGroup;
  const int64_t groups = (spec.out_channels + r.channels - 1) / r.channels;
  const int64_t rows = spec.batch * w.out[0] * w.out[1];
  r.rows = rows;
  if (threads > 1) {
    const int64_t pieces = (4 * threads + groups * strips - 1) / (groups * strips);
    r.rows = std::max<int64_t>(1, (r.rows + pieces - 1) / pieces);
    r.rows += r.rows % 2;  // the kernels take two at a time
  }
  r.count = groups * strips * ((rows + r.rows - 1) / r.rows);
  return r;
}

size_t DepthwiseRingFloats(const ConvSpec& spec) {
  const Window& w = spec.window;
  return Copies(spec, CutDepthwise(spec, 1).columns)
             ? static_cast<size_t>(DepthwiseRingRows(w) * w.in[2] * kDepthwiseRowStride)
             : 0;
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
  r.rows_ = blocks.rows, r.columns_ = blocks.columns, r.channels_ = blocks.channels;
  return r;
}

DepthwiseCall Depthwise::call() const {
  DepthwiseCall call;
  call.window = &spec_.window;
  call.weights = weights_.as<float>(), call.bias = bias_.as<float>();
  call.epilogue = spec_.epilogue;
  return call;
}

void Depthwise::RunRows(const DepthwiseCall& call, Range rows, int64_t channel,
                        int64_t channels) const {
  const int64_t width = spec_.window.out[2], end = channel + channels;
  for (int64_t c = channel; c < end; c += channels_)
    for (int64_t x = 0; x < width; x += columns_)
      DepthwiseFor(machine_.target)
          .run(call, {rows.begin, rows.end, x, std::min(x + columns_, width), c,
                      std::min(channels_, end - c)});
}

void Depthwise::Run(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = spec_.window;
  const DepthwiseKernels& kernels = DepthwiseFor(machine_.target);
  DepthwiseCall call = this->call();
  call.in = args.in, call.in_stride = args.in_stride;
  call.out = args.out, call.out_stride = args.out_stride;
  call.residual = args.residual, call.residual_stride = args.residual_stride;
  const int64_t rows = spec_.batch * w.out[0] * w.out[1];
  const int64_t groups = (spec_.out_channels + channels_ - 1) / channels_;
  const int64_t strips = (w.out[2] + columns_ - 1) / columns_;
  const int64_t pieces = (rows + rows_ - 1) / rows_;
  const size_t ring = args.in_stride % kRingChannels == 0 ? ring_floats() : 0;
  parallel.For(pieces * strips * groups, [&](int64_t task, int worker) {
    const int64_t strip = task / groups % strips, piece = task / (groups * strips);
    DepthwiseBlock block;
    block.row_begin = piece * rows_, block.row_end = std::min(block.row_begin + rows_, rows);
    block.column_begin = strip * columns_;
    block.column_end = std::min(block.column_begin + columns_, w.out[2]);
    block.channel = task % groups * channels_;
    block.channels = std::min(channels_, spec_.out_channels - block.channel);
    DepthwiseCall mine = call;
    if (ring) mine.ring = static_cast<float*>(args.workspace) + static_cast<size_t>(worker) * ring;
    kernels.run(mine, block);
  });
}

}  // namespace sula::cpu
