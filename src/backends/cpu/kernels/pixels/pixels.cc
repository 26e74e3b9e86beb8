#include "backends/cpu/kernels/pixels/pixels.h"

#include <algorithm>

#include "backends/cpu/kernels/pixels/pixels_targets.h"
#include "base/aligned_buffer.h"

namespace sula::cpu {

const PixelKernels& PixelsFor(Target target) {
  static constexpr Variants<PixelKernels> kVariants = {
      &kPixelsScalar, &kPixelsScalar16,
#ifdef SULA_CPU_SIMD
      &kPixelsAvx2,
      &kPixelsAvx2,  // its 8 lanes are all the body uses
#endif
  };
  return Pick(kVariants, target);
}

size_t PixelScratchBytes(const PixelSpec& spec) {
  // A row of the picture, of which the last pixel is read as one of four channels, and a row of the
  // result with four channels, in eights of pixels.
  const int64_t floats = spec.in_width * spec.in_channels + 2 * kMaxPixelChannels +
                         (spec.width + 7) / 8 * 8 * kMaxPixelChannels;
  return AlignUp(static_cast<size_t>(floats) * sizeof(float));
}

void RunPixels(const PixelSpec& spec, Target target, const PixelArgs& args,
               const Parallel& parallel) {
  const PixelKernels& kernels = PixelsFor(target);
  const int64_t rows = spec.batch * spec.height;
  const int64_t tasks =
      std::min<int64_t>(rows, parallel.threads() > 1 ? 4 * parallel.threads() : 1);
  const size_t bytes = PixelScratchBytes(spec);
  parallel.For(tasks, [&](int64_t task, int worker) {
    auto* scratch = reinterpret_cast<float*>(static_cast<std::byte*>(args.workspace) +
                                             static_cast<size_t>(worker) * bytes);
    for (int64_t r = rows * task / tasks; r < rows * (task + 1) / tasks; ++r) {
      const int64_t image = r / spec.height, i = r % spec.height;
      kernels.row(spec, args.in + image * spec.picture_bytes(), i,
                  {args.out + image * args.image_stride + i * args.row_stride, args.channel_stride,
                   args.pixel_stride},
                  scratch);
    }
  });
}

}  // namespace sula::cpu
