#include "base/lockstep.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sula {
namespace {

TEST(Lockstep, EveryPieceOnceAndEveryStepAfterTheOneBefore) {
  for (int threads : {1, 2, 3, 5}) {
    for (int chains : {1, 2}) {
      for (int pieces : {1, 2, 3, kMaxLockstepPieces}) {
        for (int64_t steps : {0, 1, 2, 200}) {
          // Plain integers on purpose: under the thread sanitizer this proves the ordering too.
          // Each piece adds up what all pieces of the step before have left.
          std::vector<std::vector<int64_t>> sums(chains, std::vector<int64_t>(2 * pieces, 1));
          std::vector<std::atomic<int64_t>> runs(chains);
          RunLockstep(Parallel(threads), chains, pieces, steps,
                      [&](int chain, int64_t step, int piece) {
                        ++runs[chain];
                        int64_t* before = sums[chain].data() + (step % 2) * pieces;
                        int64_t* after = sums[chain].data() + ((step + 1) % 2) * pieces;
                        int64_t sum = 0;
                        for (int i = 0; i < pieces; ++i) sum += before[i];
                        after[piece] = (sum + piece) % 1000003;
                      });
          std::vector<int64_t> expected(pieces, 1);
          for (int64_t s = 0; s < steps; ++s) {
            int64_t sum = 0;
            for (int64_t v : expected) sum += v;
            for (int i = 0; i < pieces; ++i) expected[i] = (sum + i) % 1000003;
          }
          for (int c = 0; c < chains; ++c) {
            EXPECT_EQ(runs[c], steps * pieces);
            const auto last = sums[c].begin() + steps % 2 * pieces;
            EXPECT_EQ(std::vector<int64_t>(last, last + pieces), expected)
                << threads << " threads, " << chains << " chains, " << pieces << " pieces";
          }
        }
      }
    }
  }
}

TEST(Lockstep, WithinATaskItRunsOnThatThread) {
  ThreadPool::Shared().Run(2, 2, [&](int64_t, int) {
    const std::thread::id self = std::this_thread::get_id();
    int64_t calls = 0;
    RunLockstep(Parallel(2), 2, 2, 50, [&](int, int64_t, int) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++calls;
    });
    EXPECT_EQ(calls, 200);
  });
}

TEST(Lockstep, SeveralCallersAtOnce) {
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([] {
      for (int repeat = 0; repeat < 20; ++repeat) {
        std::atomic<int64_t> calls{0};
        RunLockstep(Parallel(3), 1, 3, 100, [&](int, int64_t, int) { ++calls; });
        EXPECT_EQ(calls, 300);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace sula
