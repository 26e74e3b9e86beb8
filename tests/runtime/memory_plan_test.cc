#include "runtime/prepare/memory_plan.h"

#include <gtest/gtest.h>

#include <random>

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
