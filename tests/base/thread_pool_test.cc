#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

#include "base/denormals.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

// Counting, for the whole test program.
void* operator new(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(bytes)) return p;
  std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace sula {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(ThreadPool, EachTaskRunsOnceOnAValidWorker) {
  for (int threads : {1, 2, 3, 8}) {
    for (int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      std::vector<std::atomic<int>> busy(threads);
      ThreadPool::Shared().Run(threads, tasks, [&](int64_t task, int worker) {
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, threads);
        EXPECT_EQ(busy[worker]++, 0) << "two threads are the same worker";
        ++runs[task];
        --busy[worker];
      });
      for (auto& n : runs) EXPECT_EQ(n, 1);
    }
  }
}

TEST(ThreadPool, WritesOfTasksAreVisibleToTheCaller) {
  // Plain integers on purpose: under the thread sanitizer this proves the ordering too.
  std::vector<int64_t> squares(257);
  for (int repeat = 0; repeat < 500; ++repeat) {
    ThreadPool::Shared().Run(4, 257, [&](int64_t i, int) { squares[i] = i * i + repeat; });
    for (int64_t i = 0; i < 257; ++i) ASSERT_EQ(squares[i], i * i + repeat);
  }
}

TEST(ThreadPool, WorkersTakePart) {
  // Every task waits until two have begun, which only another thread can bring about.
  std::atomic<int> begun{0};
  ThreadPool::Shared().Run(2, 2, [&](int64_t, int) {
    ++begun;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (begun < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  });
  EXPECT_EQ(begun, 2);
}

TEST(ThreadPool, SeveralCallersAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> total{0};
  for (int c = 0; c < 6; ++c) {
    callers.emplace_back([&, c] {
      for (int repeat = 0; repeat < 300; ++repeat) {
        std::vector<int64_t> out(31);
        ThreadPool::Shared().Run(1 + c % 4, 31, [&](int64_t i, int) { out[i] = i; });
        total += std::accumulate(out.begin(), out.end(), int64_t{0});
      }
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(total, 6 * 300 * (30 * 31 / 2));
}

TEST(ThreadPool, CompletesWhileAllWorkersAreBusy) {
  constexpr int kAll = 16;  // more than any other test starts
  std::atomic<bool> stop{false}, started{false};
  std::thread holder([&] {
    ThreadPool::Shared().Run(kAll, kAll, [&](int64_t, int) {
      started = true;
      while (!stop) std::this_thread::sleep_for(milliseconds(1));
    });
  });
  while (!started) std::this_thread::yield();
  std::atomic<int> done{0};
  ThreadPool::Shared().Run(4, 100, [&](int64_t, int) { ++done; });
  EXPECT_EQ(done, 100);
  stop = true;
  holder.join();
}

TEST(ThreadPool, NestedCallsRunInline) {
  std::atomic<int> inner{0};
  ThreadPool::Shared().Run(4, 20, [&](int64_t, int) {
    const auto self = std::this_thread::get_id();
    Parallel(4).For(5, [&](int64_t, int worker) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      EXPECT_EQ(worker, 0);
      ++inner;
    });
  });
  EXPECT_EQ(inner, 100);
}

TEST(ThreadPool, RunAllocatesNothing) {
  ThreadPool& pool = ThreadPool::Shared();
  pool.Reserve(4);
  std::atomic<int> sum{0};
  pool.Run(4, 100, [&](int64_t, int) { ++sum; });
  const int64_t before = allocations;
  for (int i = 0; i < 100; ++i) {
    pool.Run(4, 100, [&](int64_t, int) { ++sum; });
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(sum, 101 * 100);
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

TEST(ThreadPool, AnIdlePoolUsesNoCpu) {
  std::atomic<int> sum{0};
  ThreadPool::Shared().Run(4, 100, [&](int64_t, int) { ++sum; });
  std::this_thread::sleep_for(milliseconds(20));  // the bounded spin is over
  const double before = CpuSeconds();
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_LT(CpuSeconds() - before, 0.01 * 0.5);
}

TEST(ThreadPool, SleepingWorkersWakeForTheNextJob) {
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::this_thread::sleep_for(milliseconds(2));
    std::atomic<int> sum{0};
    ThreadPool::Shared().Run(3, 30, [&](int64_t, int) {
      ++sum;
      std::this_thread::sleep_for(microseconds(20));
    });
    ASSERT_EQ(sum, 30);
  }
}

TEST(ThreadPool, TheCallerWaitsForALongTaskOfAWorker) {
  std::atomic<int> done{0};
  ThreadPool::Shared().Run(2, 2, [&](int64_t task, int) {
    std::this_thread::sleep_for(milliseconds(task == 0 ? 1 : 30));
    ++done;
  });
  EXPECT_EQ(done, 2);
}

TEST(ThreadPool, AForkedChildStillComputes) {
  ThreadPool::Shared().Reserve(3);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int sum = 0;  // the workers stayed with the parent
    ThreadPool::Shared().Run(3, 10, [&](int64_t i, int) { sum += static_cast<int>(i); });
    _exit(sum == 45 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

bool DenormalsAreZero() {
  volatile float tiny = std::numeric_limits<float>::min();
  volatile float half = 0.5f;
  volatile float product = tiny * half;
  return product == 0.0f;
}

TEST(ThreadPool, FlushesDenormalsInTasksAndRestoresTheCallers) {
  ASSERT_FALSE(DenormalsAreZero());
  std::atomic<int> kept{0};
  std::atomic<int> begun{0};
  ThreadPool::Shared().Run(2, 2, [&](int64_t, int) {
    ++begun;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (begun < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    kept += !DenormalsAreZero();
  });
  EXPECT_EQ(kept, 0);
  EXPECT_FALSE(DenormalsAreZero());
  {
    const ScopedFlushDenormals outer;
    ThreadPool::Shared().Run(2, 2, [](int64_t, int) {});
    EXPECT_TRUE(DenormalsAreZero());
  }
  EXPECT_FALSE(DenormalsAreZero());
}

TEST(Parallel, RunsInlineForOneThreadOrTask) {
  std::vector<int> order;
  Parallel(0).For(3, [&](int64_t i, int worker) {
    EXPECT_EQ(worker, 0);
    order.push_back(static_cast<int>(i));
  });
  Parallel(4).For(1, [&](int64_t i, int) { order.push_back(static_cast<int>(i)); });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 0}));
  EXPECT_EQ(Parallel(-3).threads(), 1);
}

}  // namespace
}  // namespace sula
