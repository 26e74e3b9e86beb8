#include "backends/cpu/kernels/pool/pool.h"

#include <algorithm>

#include "backends/cpu/kernels/pool/pool_targets.h"

namespace sula::cpu {

const PoolKernels& PoolFor(Target target) {
  static constexpr Variants<PoolKernels> kVariants = {
      &kPoolScalar,
      &kPoolScalar16,
#ifdef SULA_CPU_SIMD
      &kPoolAvx2,
      &kPoolAvx512,
#endif
  };
  return Pick(kVariants, target);
}

void RunPool(const PoolCall& call, Target target, const Parallel& parallel) {
  const PoolKernels& kernels = PoolFor(target);
  const Window& w = call.window;
  const int64_t rows = call.batch * w.out[0] * w.out[1];
  // Four tasks per thread: by rows; where there are too few of them, by channels as well, in
  // groups that are whole cache lines.
  int64_t row_tasks = 1, channel_tasks = 1;
  if (parallel.threads() > 1) {
    const int64_t wanted = 4 * parallel.threads();
    row_tasks = std::min(rows, wanted);
    channel_tasks = std::clamp<int64_t>(call.channels / 64, 1, (wanted + rows - 1) / rows);
  }
  const int64_t step = (call.channels + channel_tasks - 1) / channel_tasks;
  const int64_t channels = (step + 15) / 16 * 16;
  channel_tasks = (call.channels + channels - 1) / channels;
  parallel.For(row_tasks * channel_tasks, [&](int64_t task, int) {
    const int64_t r = task / channel_tasks, c = task % channel_tasks * channels;
    kernels.run(call, rows * r / row_tasks, rows * (r + 1) / row_tasks, c,
                std::min(c + channels, call.channels));
  });
}

}  // namespace sula::cpu
