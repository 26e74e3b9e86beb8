#include "runtime/prepare/memory_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "base/aligned_buffer.h"
#include "runtime/prepare/pack_search.h"

namespace sula {
namespace {

size_t LowerBound(std::span<const MemoryRequest> requests, size_t alignment) {
  std::map<int, std::pair<size_t, size_t>> changes;  // step -> bytes that begin, that have ended
  for (const MemoryRequest& r : requests) {
    const size_t bytes = AlignUp(r.bytes, alignment);
    changes[r.first].first += bytes;
    changes[r.last + 1].second += bytes;
  }
  size_t live = 0, peak = 0;
  for (const auto& [step, change] : changes) {
    live = live - change.second + change.first;
    peak = std::max(peak, live);
  }
  return peak;
}

// A placed request, in the order of offsets.
struct Placed {
  size_t begin, end;
  int first, last;
};

// Places requests one after the other in `order`, each into a gap between those placed before that
// are live at the same time: the tightest one (best fit) or the lowest (first fit).
MemoryPlan Pack(std::span<const MemoryRequest> requests, std::span<const int> order,
                size_t alignment, bool tightest) {
  MemoryPlan plan;
  plan.offsets.assign(requests.size(), 0);
  std::vector<Placed> placed;
  placed.reserve(requests.size());
  for (int i : order) {
    const MemoryRequest& r = requests[i];
    const size_t bytes = AlignUp(r.bytes, alignment);
    if (bytes == 0) continue;
    size_t top = 0, best = 0, best_gap = std::numeric_limits<size_t>::max();
    for (const Placed& p : placed) {
      if (p.last < r.first || r.last < p.first) continue;
      if (p.begin >= top + bytes && p.begin - top < best_gap) {
        best = top;
        best_gap = p.begin - top;
        if (!tightest) break;
      }
      top = std::max(top, p.end);
    }
    if (best_gap == std::numeric_limits<size_t>::max()) best = top;
    plan.offsets[i] = best;
    plan.peak_bytes = std::max(plan.peak_bytes, best + bytes);
    const Placed entry{best, best + bytes, r.first, r.last};
    const auto at =
        std::upper_bound(placed.begin(), placed.end(), entry,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; });
    placed.insert(at, entry);
  }
  return plan;
}

// Looks for a packing smaller than `best`: at the lower bound, else by halving the distance to it.
void Improve(std::span<const MemoryRequest> requests, size_t alignment, size_t lower_bound,
             MemoryPlan& best) {
  constexpr size_t kMostRequests = 2000;  // beyond, the search would take too long to find anything
  constexpr int kSteps = 6;
  constexpr size_t kVisits = 2'000'000;  // of requests, in one attempt: some milliseconds
  std::vector<MemoryRequest> rounded;
  std::vector<size_t> owners;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].bytes == 0) continue;
    rounded.push_back({AlignUp(requests[i].bytes, alignment), requests[i].first, requests[i].last});
    owners.push_back(i);
  }
  if (rounded.size() > kMostRequests) return;
  const int nodes = static_cast<int>(std::max(rounded.size(), kVisits / rounded.size()));
  size_t failed = 0;  // the largest capacity without success
  size_t capacity = lower_bound;
  for (int step = 0; step < kSteps && failed + alignment < best.peak_bytes; ++step) {
    if (const auto offsets = PackWithin(rounded, capacity, nodes)) {
      best.peak_bytes = 0;
      for (size_t i = 0; i < owners.size(); ++i) {
        best.offsets[owners[i]] = (*offsets)[i];
        best.peak_bytes = std::max(best.peak_bytes, (*offsets)[i] + rounded[i].bytes);
      }
      if (step == 0) return;
    } else {
      failed = capacity;
    }
    capacity = AlignUp(failed + (best.peak_bytes - failed) / 2, alignment);
  }
}

}  // namespace

MemoryPlan PlanMemory(std::span<const MemoryRequest> requests, size_t alignment) {
  const size_t lower_bound = LowerBound(requests, alignment);
  MemoryPlan best;
  best.peak_bytes = std::numeric_limits<size_t>::max();

  auto length = [&](int i) {
    return static_cast<double>(requests[i].last - requests[i].first + 1);
  };
  auto bytes = [&](int i) { return static_cast<double>(requests[i].bytes); };
  // Requests in rising order of a key, each followed by a second key for ties.
  using Key = std::pair<double, double>;
  // Each packing is quadratic; very large graphs get fewer.
  constexpr double kComparisons = 4e8;
  const double n = static_cast<double>(requests.size());
  double packings_left = std::max(1.0, kComparisons / (n * n + 1));
  auto attempt = [&](auto key) {
    std::vector<int> order(requests.size());
    std::iota(order.begin(), order.end(), 0);
    std::vector<Key> keys(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) keys[i] = key(static_cast<int>(i));
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return keys[a] < keys[b]; });
    for (bool tightest : {true, false}) {
      if (best.peak_bytes == lower_bound || packings_left < 1) return;
      packings_left -= 1;
      MemoryPlan plan = Pack(requests, order, alignment, tightest);
      if (plan.peak_bytes < best.peak_bytes) best = std::move(plan);
    }
  };
  attempt([&](int i) { return Key{-bytes(i), -length(i)}; });
  attempt([&](int i) { return Key{-bytes(i) * length(i), -bytes(i)}; });
  attempt([&](int i) { return Key{-length(i), -bytes(i)}; });
  attempt([&](int i) { return Key{requests[i].first, -bytes(i)}; });
  if (best.peak_bytes > lower_bound) Improve(requests, alignment, lower_bound, best);
  best.lower_bound_bytes = lower_bound;
  return best;
}

}  // namespace sula
