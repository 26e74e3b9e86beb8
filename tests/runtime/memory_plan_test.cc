#include "runtime/prepare/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "runtime/prepare/pack_search.h"

namespace sula {
namespace {

// The properties every plan has: aligned, within the arena, no overlap of what is live together,
// and an arena between the lower bound and everything side by side.
void CheckPlan(const std::vector<MemoryRequest>& requests, size_t alignment) {
  const MemoryPlan plan = PlanMemory(requests, alignment);
  ASSERT_EQ(plan.offsets.size(), requests.size());
  size_t sum = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const MemoryRequest& a = requests[i];
    sum += (a.bytes + alignment - 1) / alignment * alignment;
    EXPECT_EQ(plan.offsets[i] % alignment, 0u);
    EXPECT_LE(plan.offsets[i] + a.bytes, plan.peak_bytes);
    for (size_t k = 0; k < i; ++k) {
      const MemoryRequest& b = requests[k];
      if (a.bytes == 0 || b.bytes == 0 || a.last < b.first || b.last < a.first) continue;
      EXPECT_TRUE(plan.offsets[i] + a.bytes <= plan.offsets[k] ||
                  plan.offsets[k] + b.bytes <= plan.offsets[i])
          << i << " and " << k << " overlap";
    }
  }
  EXPECT_GE(plan.peak_bytes, plan.lower_bound_bytes);
  EXPECT_LE(plan.peak_bytes, sum);
  size_t bound = 0;
  for (const MemoryRequest& at : requests) {
    size_t live = 0;
    for (const MemoryRequest& r : requests)
      if (r.first <= at.first && at.first <= r.last)
        live += (r.bytes + alignment - 1) / alignment * alignment;
    bound = std::max(bound, live);
  }
  EXPECT_EQ(plan.lower_bound_bytes, bound);
}

TEST(PlanMemory, Empty) {
  const MemoryPlan plan = PlanMemory({}, 64);
  EXPECT_EQ(plan.peak_bytes, 0u);
  EXPECT_EQ(plan.lower_bound_bytes, 0u);
  CheckPlan({{0, 0, 5}}, 64);
}

TEST(PlanMemory, ChainNeedsTheTwoLargestNeighbours) {
  const std::vector<MemoryRequest> chain = {{100, 0, 1}, {300, 1, 2}, {200, 2, 3}, {50, 3, 4}};
  CheckPlan(chain, 1);
  EXPECT_EQ(PlanMemory(chain, 1).peak_bytes, 500u);
}

TEST(PlanMemory, LongLivedBlockDoesNotSplitTheArena) {
  // A small block that lives throughout must lie at an end, not between the large ones.
  std::vector<MemoryRequest> requests = {{10, 0, 100}};
  for (int i = 0; i < 100; ++i) requests.push_back({static_cast<size_t>(100 + i), i, i + 1});
  CheckPlan(requests, 1);
  const MemoryPlan plan = PlanMemory(requests, 1);
  EXPECT_LE(plan.peak_bytes, plan.lower_bound_bytes * 11 / 10);
}

TEST(PlanMemory, RandomLifetimes) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<MemoryRequest> requests(1 + random() % 60);
    for (MemoryRequest& r : requests) {
      r.first = static_cast<int>(random() % 40);
      r.last = r.first + static_cast<int>(random() % (seed % 2 ? 4 : 30));
      r.bytes = random() % 7 == 0 ? 0 : random() % 5000;
    }
    CheckPlan(requests, seed % 3 ? 64 : 1);
    if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "seed " << seed;
  }
}

// The smallest arena there is. Placing the blocks of a best packing by rising offset, each as low
// as possible, gives a best packing; so one of all orders leads there.
size_t SmallestArena(const std::vector<MemoryRequest>& requests) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  size_t smallest = SIZE_MAX;
  do {
    std::vector<size_t> offsets(requests.size());
    size_t peak = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const MemoryRequest& a = requests[order[i]];
      size_t& offset = offsets[order[i]];
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t k = 0; k < i; ++k) {
          const MemoryRequest& b = requests[order[k]];
          const size_t low = offsets[order[k]];
          if (a.last < b.first || b.last < a.first) continue;
          if (offset < low + b.bytes && low < offset + a.bytes)
            offset = low + b.bytes, moved = true;
        }
      }
      peak = std::max(peak, offset + a.bytes);
    }
    smallest = std::min(smallest, peak);
  } while (std::next_permutation(order.begin(), order.end()));
  return smallest;
}

std::vector<MemoryRequest> RandomRequests(uint32_t seed, size_t count, int steps, int longest,
                                          size_t most) {
  std::mt19937 random(seed);
  std::vector<MemoryRequest> requests(count);
  for (MemoryRequest& r : requests) {
    r.first = static_cast<int>(random() % static_cast<uint32_t>(steps));
    r.last = r.first + static_cast<int>(random() % static_cast<uint32_t>(longest));
    r.bytes = 1 + random() % most;
  }
  return requests;
}

TEST(PlanMemory, FewRequestsGetTheSmallestArena) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const auto requests = RandomRequests(seed, 4 + seed % 4, 6, 4, 9);
    const MemoryPlan plan = PlanMemory(requests, 1);
    EXPECT_EQ(plan.peak_bytes, SmallestArena(requests)) << "seed " << seed;
  }
}

TEST(PlanMemory, SomeRequestsCannotReachTheLowerBound) {
  const std::vector<MemoryRequest> requests = {{1, 6, 8}, {4, 6, 7}, {3, 3, 3}, {4, 1, 2},
                                               {2, 4, 6}, {3, 3, 5}, {2, 1, 4}, {3, 5, 5}};
  CheckPlan(requests, 1);
  const MemoryPlan plan = PlanMemory(requests, 1);
  EXPECT_EQ(plan.lower_bound_bytes, 8u);
  EXPECT_EQ(plan.peak_bytes, 9u);
  EXPECT_EQ(SmallestArena(requests), 9u);
}

TEST(PlanMemory, ManyRequestsComeCloseToTheBound) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const auto requests =
        RandomRequests(seed, 10 + seed * 3, 10 + static_cast<int>(seed * 7 % 100),
                       1 + static_cast<int>(seed * 11 % 30), seed % 2 ? 1000 : 100000);
    CheckPlan(requests, 64);
    const MemoryPlan plan = PlanMemory(requests, 64);
    EXPECT_LE(static_cast<double>(plan.peak_bytes),
              1.02 * static_cast<double>(plan.lower_bound_bytes))
        << "seed " << seed;
  }
}

TEST(PackWithin, FindsNothingBelowTheSmallestArena) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const auto requests = RandomRequests(seed, 5 + seed % 3, 6, 4, 9);
    const size_t smallest = SmallestArena(requests);
    EXPECT_TRUE(PackWithin(requests, smallest, 1000)) << "seed " << seed;
    EXPECT_FALSE(PackWithin(requests, smallest - 1, 1000)) << "seed " << seed;
  }
}

TEST(PlanMemory, VeryManyRequestsStayQuick) {
  std::vector<MemoryRequest> requests;
  for (int i = 0; i < 20000; ++i)
    requests.push_back({static_cast<size_t>(64 + i % 1000), i, i + 1 + i % 3});
  const MemoryPlan plan = PlanMemory(requests, 64);
  EXPECT_LE(plan.peak_bytes, 2 * plan.lower_bound_bytes);
}

TEST(PlanMemory, SameRequestsGiveTheSamePlan) {
  const std::vector<MemoryRequest> r = {{7, 0, 3}, {7, 1, 2}, {9, 2, 5}, {7, 4, 6}, {1, 0, 6}};
  EXPECT_EQ(PlanMemory(r, 64).offsets, PlanMemory(r, 64).offsets);
}

}  // namespace
}  // namespace sula
