#include "backends/cpu/kernels/conv/patches.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/conv/plan.h"

namespace sula::cpu {

// Blocks whose patches and results take 3/8 of L2; the last task of each thread is a quarter of its
// work at most.
int64_t PatchesBlockRows(const ConvSpec& spec, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const int64_t depth = spec.in_channels * spec.window.taps();
  const std::vector<Panel> panels =
      SplitColumns({spec.out_channels, 1, depth, 1}, kernels.lanes, kernels.registers);
  const int64_t tile = kernels.tile_rows[panels.front().vectors];
  const int64_t rows = spec.batch * spec.window.out_pixels();
  const int64_t bytes = (depth + spec.out_channels) * static_cast<int64_t>(sizeof(float));
  const int64_t cached = static_cast<int64_t>(machine.l2_bytes) * 3 / 8 / bytes;
  const int64_t most = machine.threads == 1 ? rows : (rows - 1) / (4 * machine.threads) + 1;
  const int64_t height = std::clamp<int64_t>(std::min(cached, most), 1, rows);
  return std::min(rows, (height + tile - 1) / tile * tile);
}

Result<ConvPatches> ConvPatches::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                      const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  ConvPatches r;
  r.spec_ = spec, r.machine_ = machine;
  r.depth_ = spec.in_channels * spec.window.taps();
  r.weights_ = PackWeights({weights, r.depth_, 0, 1}, bias, {spec.out_channels, 1, r.depth_, 1},
                           {kernels.lanes, kernels.registers}, machine);
  if (!r.weights_.data.data() || !r.weights_.bias.data())
    return ResourceExhausted("no memory for the packed weights of a convolution");
  r.block_rows_ = PatchesBlockRows(spec, machine);
  return r;
}

size_t ConvPatches::workspace_bytes() const {
  return static_cast<size_t>(block_rows_ * PackedRowStride(depth_)) * sizeof(float) *
         static_cast<size_t>(machine_.threads);
}

void ConvPatches::CopyPatches(const float* in, int64_t begin, int64_t end, float* patches) const {
  const Window& w = spec_.window;
  const int64_t stride = PackedRowStride(depth_);
  for (int64_t p = begin; p < end;) {
    // Windows side by side: rows of the map are read from end to end.
    const int64_t x = p % w.out[2], n = std::min(w.out[2] - x, end - p);
    const int64_t y = p / w.out[2] % w.out[1] * w.kernel[1],
                  z = p / (w.out[2] * w.out[1]) % w.out[0] * w.kernel[0],
                  image = p / w.out_pixels();
    float* to = patches + (p - begin) * stride;
    for (int64_t c = 0; c < spec_.in_channels; ++c) {
      const float* map = in + (image * spec_.in_channels + c) * w.in_pixels();
      for (int64_t kz = 0; kz < w.kernel[0]; ++kz) {
        for (int64_t ky = 0; ky < w.kernel[1]; ++ky, to += w.kernel[2]) {
          const float* row = map + ((z + kz) * w.in[1] + y + ky) * w.in[2] + x * w.kernel[2];
          for (int64_t i = 0; i < n; ++i)
            std::memcpy(to + i * stride, row + i * w.kernel[2],
                        static_cast<size_t>(w.kernel[2]) * sizeof(float));
        }
      }
    }
    p += n;
  }
}

void ConvPatches::Run(const ConvArgs& args, const Parallel& parallel) const {
  const GemmKernels& kernels = GemmFor(machine_.target);
  const int64_t rows = spec_.batch * spec_.window.out_pixels(), stride = PackedRowStride(depth_);
  parallel.For((rows + block_rows_ - 1) / block_rows_, [&](int64_t task, int worker) {
    const int64_t begin = task * block_rows_, count = std::min(block_rows_, rows - begin);
    float* patches = static_cast<float*>(args.workspace) + worker * block_rows_ * stride;
    CopyPatches(args.in, begin, begin + count, patches);
    GemmCall call;
    call.a = patches, call.a_stride = stride;
    call.panels = weights_.panels.data();
    call.b = weights_.data.as<float>(), call.bias = weights_.bias.as<float>();
    call.k = depth_;
    call.prefetch = PrefetchPays(weights_.data.bytes(), count, machine_);
    call.c = args.out + begin * args.out_stride, call.c_stride = args.out_stride;
    call.residual = args.residual ? args.residual + begin * args.residual_stride : nullptr;
    call.residual_stride = args.residual_stride;
    call.epilogue = spec_.epilogue;
    kernels.run(call, 0, count, 0, static_cast<int>(weights_.panels.size()));
  });
}

}  // namespace sula::cpu
