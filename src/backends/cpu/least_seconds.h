// Timing of short pieces of work on one thread or several at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "base/thread_pool.h"

namespace sula::cpu {

// The seconds that calls of fn(i) in each of `threads` threads take together, shortest first. Tries
// for `seconds`, or until one takes no more than `enough`.
template <class F>
std::vector<double> SecondsTogether(int threads, double seconds, double enough, F fn) {
  using Clock = std::chrono::steady_clock;
  const Parallel parallel(threads);
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(seconds));
  std::vector<std::pair<Clock::time_point, Clock::time_point>> spans(static_cast<size_t>(threads));
  std::vector<double> times;
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
    times.push_back(together.count());
  } while (times.back() > enough && Clock::now() < end);
  std::sort(times.begin(), times.end());
  return times;
}

// The least of them: other work on the machine only ever slows one down.
template <class F>
double LeastSeconds(int threads, double seconds, double enough, F fn) {
  return SecondsTogether(threads, seconds, enough, fn).front();
}

}  // namespace sula::cpu
