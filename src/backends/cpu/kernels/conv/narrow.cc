#include "backends/cpu/kernels/conv/narrow.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/conv/narrow_targets.h"
#include "backends/cpu/kernels/conv/plan.h"

namespace sula::cpu {

const NarrowKernels& NarrowFor(Target target) {
  static constexpr Variants<NarrowKernels> kVariants = {
      &kNarrowScalar,
      &kNarrowScalar16,
#ifdef SULA_CPU_SIMD
      &kNarrowAvx2,
      &kNarrowAvx512,
#endif
  };
  return Pick(kVariants, target);
}

Result<ConvNarrow> ConvNarrow::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                    const Machine& machine) {
  const Window& w = spec.window;
  const int64_t n = spec.out_channels, taps = w.taps();
  ConvNarrow r;
  r.spec_ = spec, r.machine_ = machine;
  r.weights_ = AlignedBuffer(static_cast<size_t>(spec.in_channels * taps * n) * sizeof(float));
  r.bias_ = AlignedBuffer(static_cast<size_t>(n) * sizeof(float));
  if (!r.weights_.data() || !r.bias_.data())
    return ResourceExhausted("no memory for the packed weights of a convolution");
  for (int64_t m = 0; m < n; ++m)
    for (int64_t i = 0; i < spec.in_channels * taps; ++i)
      r.weights_.as<float>()[i * n + m] = weights[m * spec.in_channels * taps + i];
  if (bias) std::memcpy(r.bias_.data(), bias, static_cast<size_t>(n) * sizeof(float));
  r.band_rows_ = PlanarBandRows(spec, machine.threads);
  r.strip_rows_ = (r.band_rows_ - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1] + 1;
  const int64_t tile = NarrowFor(machine.target).tile_pixels[n];
  r.row_floats_ = (w.out[2] + tile - 1) / tile * tile;
  // Whole cache lines, an odd number of them: strips then don't meet in the same sets.
  r.strip_floats_ = PackedRowStride(r.row_floats_ + (w.kernel[2] - 1) * w.dilation[2]);
  return r;
}

size_t ConvNarrow::worker_bytes() const {
  return AlignUp(static_cast<size_t>(spec_.in_channels * strip_rows_ * strip_floats_ +
                                     spec_.out_channels * row_floats_) *
                 sizeof(float));
}

size_t ConvNarrow::workspace_bytes() const {
  return worker_bytes() * static_cast<size_t>(machine_.threads);
}

void ConvNarrow::Run(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = spec_.window;
  const NarrowKernels& kernels = NarrowFor(machine_.target);
  const int64_t bands = (w.out[1] + band_rows_ - 1) / band_rows_;
  const int64_t channels = spec_.in_channels;
  parallel.For(bands * spec_.batch, [&](int64_t task, int worker) {
    const int64_t image = task / bands, y0 = task % bands * band_rows_;
    const int64_t y1 = std::min(y0 + band_rows_, w.out[1]);
    auto* strips = reinterpret_cast<float*>(static_cast<std::byte*>(args.workspace) +
                                            static_cast<size_t>(worker) * worker_bytes());
    // Rows inside the map, from column -pad on, with zeros on both sides.
    const int64_t top = y0 * w.stride[1] - w.pad[1];
    const int64_t bottom = (y1 - 1) * w.stride[1] - w.pad[1] + (w.kernel[1] - 1) * w.dilation[1];
    const int64_t channel_step = strip_rows_ * strip_floats_;
    NarrowStrip strip;
    strip.left = std::min(w.pad[2], strip_floats_);
    strip.pixels = std::min(w.in[2], strip_floats_ - strip.left);
    strip.right = strip_floats_ - strip.left - strip.pixels;
    for (int64_t y = std::max<int64_t>(top, 0); y < std::min(bottom + 1, w.in[1]); ++y) {
      kernels.copy(args.in + (image * w.in[1] + y) * w.in[2] * args.in_stride, args.in_stride,
                   channels, strip, strips + (y - top) * strip_floats_, channel_step);
    }
    NarrowCall call;
    call.channel_step = channel_step;
    call.row_step = w.dilation[1] * strip_floats_, call.column_step = w.dilation[2];
    call.channels = channels, call.columns = w.kernel[2];
    call.weight_step = w.taps() * spec_.out_channels;
    call.bias = bias_.as<float>();
    call.outputs = spec_.out_channels, call.pixels = w.out[2];
    call.row = strips + channels * channel_step, call.row_floats = row_floats_;
    call.out_stride = args.out_stride, call.residual_stride = args.residual_stride;
    call.epilogue = spec_.epilogue;
    for (int64_t y = y0; y < y1; ++y) {
      const Range taps = ValidTaps(w, 1, y);
      const int64_t row = (y - y0) * w.stride[1] + taps.begin * w.dilation[1];
      call.strips = strips + row * strip_floats_;
      call.rows = taps.end - taps.begin;
      call.weights = weights_.as<float>() + taps.begin * w.kernel[2] * spec_.out_channels;
      const int64_t pixel = (image * w.out[1] + y) * w.out[2];
      call.out = args.out + pixel * args.out_stride;
      call.residual = args.residual ? args.residual + pixel * args.residual_stride : nullptr;
      kernels.run(call);
    }
  });
}

}  // namespace sula::cpu
