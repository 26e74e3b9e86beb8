#include "backends/cpu/machine_speed.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/speed/speed.h"
#include "backends/cpu/least_seconds.h"
#include "base/aligned_buffer.h"

namespace sula::cpu {
double MeasureFlops(int threads) {
  const SpeedKernels& kernels = SpeedFor(BestTarget());
  constexpr int kRounds = 5000;  // some 10 microseconds
  const auto run = [&](int64_t) { kernels.multiply_add(kRounds); };
  // Where threads have to wait for a processor it takes long to see all of them run at once.
  const double one = LeastSeconds(1, 4e-3, 0, run);
  const double all = threads == 1 ? one : LeastSeconds(threads, 30e-3, 1.02 * one, run);
  return static_cast<double>(threads) * kRounds * kernels.flops_per_round / all;
}

double MeasureReadBandwidth(int threads) {
  const SpeedKernels& kernels = SpeedFor(BestTarget());
  constexpr size_t kMost = size_t{256} << 20;
  const size_t share =
      std::min(2 * CpuInfo::Get().l3_bytes, kMost) / static_cast<size_t>(threads) / 4096 * 4096;
  const AlignedBuffer block(share * static_cast<size_t>(threads));
  if (share == 0 || !block.data()) return 0;
  std::memset(block.data(), 1, block.bytes());
  const double seconds = LeastSeconds(threads, 20e-3, 0, [&](int64_t i) {
    kernels.read(block.as<float>() + static_cast<size_t>(i) * share / sizeof(float),
                 static_cast<int64_t>(share / sizeof(float)));
  });
  return static_cast<double>(block.bytes()) / seconds;
}

}  // namespace sula::cpu
