#include "backends/cpu/kernels/depthwise/depthwise.h"

#include <algorithm>
#include <cstring>

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

Result<Depthwise> Depthwise::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                  const Machine& machine) {
  const int64_t lanes = DepthwiseFor(machine.target).lanes;
  const Window& w = spec.window;
  const int64_t channels = spec.out_channels, taps = w.taps();
  const int64_t vectors = (channels + lanes - 1) / lanes;
  Depthwise r;
  r.spec_ = spec, r.machine_ = machine;
  r.weights_ = AlignedBuffer(static_cast<size_t>(vectors * taps * lanes) * sizeof(float));
  r.bias_ = AlignedBuffer(static_cast<size_t>(vectors * lanes) * sizeof(float));
  if (!r.weights_.data() || !r.bias_.data())
    return ResourceExhausted("no memory for the packed weights of a depthwise convolution");
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t t = 0; t < taps; ++t)
      r.weights_.as<float>()[(c / lanes * taps + t) * lanes + c % lanes] = weights[c * taps + t];
  if (bias) std::memcpy(r.bias_.data(), bias, static_cast<size_t>(channels) * sizeof(float));

  // A task covers groups of four vectors, so that whole neighbouring cache lines are used, and so
  // many rows that the input of a task, read again by each row of taps, stays within half of L2.
  const int64_t rows = spec.batch * w.out[0] * w.out[1];
  r.vectors_ = std::min<int64_t>(vectors, std::max<int64_t>(4, 64 / lanes));
  const int64_t row_bytes = (w.in[2] * w.stride[1] + w.out[2]) * r.vectors_ * lanes * 4;
  r.rows_ = std::clamp<int64_t>(static_cast<int64_t>(machine.l2_bytes) / 2 / row_bytes, 1, rows);
  if (machine.threads > 1) {
    const int64_t groups = (vectors + r.vectors_ - 1) / r.vectors_;
    const int64_t blocks = (4 * machine.threads + groups - 1) / groups;
    r.rows_ = std::min(r.rows_, std::max<int64_t>(1, (rows + blocks - 1) / blocks));
  }
  return r;
}

void Depthwise::Run(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = spec_.window;
  const DepthwiseKernels& kernels = DepthwiseFor(machine_.target);
  DepthwiseCall call;
  call.window = &w;
  call.channels = spec_.out_channels;
  call.in = args.in, call.in_stride = args.in_stride;
  call.weights = weights_.as<float>(), call.bias = bias_.as<float>();
  call.out = args.out, call.out_stride = args.out_stride;
  call.residual = args.residual, call.residual_stride = args.residual_stride;
  call.epilogue = spec_.epilogue;
  const int64_t rows = spec_.batch * w.out[0] * w.out[1];
  const int64_t vectors = (spec_.out_channels + kernels.lanes - 1) / kernels.lanes;
  const int64_t groups = (vectors + vectors_ - 1) / vectors_;
  const int64_t blocks = (rows + rows_ - 1) / rows_;
  parallel.For(blocks * groups, [&](int64_t task, int) {
    const int64_t r0 = task / groups * rows_, v0 = task % groups * vectors_;
    kernels.run(call, r0, std::min(r0 + rows_, rows), v0, std::min(v0 + vectors_, vectors));
  });
}

}  // namespace sula::cpu
