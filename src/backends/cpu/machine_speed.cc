#include "backends/cpu/machine_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "backends/cpu/kernels/speed/speed.h"
#include "base/aligned_buffer.h"
#include "base/thread_pool.h"

namespace sula::cpu {
namespace {

// The least seconds that one call of fn(i) in each of `threads` threads takes together: other
// work on the machine only ever slows one down. Tries for `seconds`, or until one is `enough`.
template <class F>
double LeastSeconds(int threads, double seconds, double enough, F fn) {
  using Clock = std::chrono::steady_clock;
  const Parallel parallel(threads);
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(seconds));
  std::vector<std::pair<Clock::time_point, Clock::time_point>> spans(static_cast<size_t>(threads));
  double least = 1e9;
  do {
    // A thread that wakes late would seem slow: each waits a while for the others.
    std::atomic<int> missing{threads};
    parallel.For(threads, [&](int64_t task, int) {
      missing.fetch_sub(1);
      const Clock::time_point patience = Clock::now() + std::chrono::microseconds(200);
      while (missing.load() > 0 && Clock::now() < patience) {
      }
      const Clock::time_point begin = Clock::now();
      fn(task);
      spans[static_cast<size_t>(task)] = {begin, Clock::now()};
    });
    const auto first = std::min_element(spans.begin(), spans.end());
    const auto last =
        std::max_element(spans.begin(), spans.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::chrono::duration<double> together = last->second - first->first;
    least = std::min(least, together.count());
  } while (least > enough && Clock::now() < end);
  return least;
}

}  // namespace

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
