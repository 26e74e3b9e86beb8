#include "base/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>

#include "base/cpu_info.h"
#include "base/denormals.h"
#include "base/spin.h"

namespace sula {
namespace {

using Clock = std::chrono::steady_clock;

// How long a worker looks for the next job before it sleeps, and a caller for the end of its job.
constexpr std::chrono::microseconds kWorkerSpin{50};
constexpr std::chrono::microseconds kCallerSpin{100};

// One call of Run, on the caller's stack for as long as a worker may touch it.
struct Job {
  FunctionRef<void(int64_t, int)> fn;
  int64_t tasks;
  alignas(64) std::atomic<int64_t> next{0};

  void Work(int worker) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      fn(task, worker);
    }
  }
};

// A worker's life is one word: its phase and, above it, how many jobs it has finished. Callers
// claim idle workers and give them a job; a worker accepts it by moving to kRunning. Until then the
// caller may take the job back, so that it never waits for a worker that has not even woken up.
enum Phase : uint32_t { kIdle, kClaimed, kAssigned, kRunning, kPhaseMask = 3 };
constexpr uint32_t kOneJob = 4;

struct alignas(128) Worker {
  std::atomic<uint32_t> state{kIdle};
  // Written by the claimer before kAssigned, read by the worker after kRunning.
  Job* job = nullptr;
  int index = 0;

  // Waits until the state is no longer `seen`: spinning first, then asleep.
  void Await(uint32_t seen, std::chrono::microseconds spin) {
    if (spin.count() > 0) {
      const auto deadline = Clock::now() + spin;
      do {
        for (int i = 0; i < 32; ++i) {
          if (state.load(std::memory_order_acquire) != seen) return;
          SpinPause();
        }
      } while (Clock::now() < deadline);
    }
    state.wait(seen, std::memory_order_acquire);
  }

  [[noreturn]] void Loop(std::chrono::microseconds spin) {
    const ScopedFlushDenormals flush;
    for (;;) {
      uint32_t seen = state.load(std::memory_order_acquire);
      if ((seen & kPhaseMask) != kAssigned) {
        Await(seen, spin);
        continue;
      }
      if (!state.compare_exchange_strong(seen, seen + (kRunning - kAssigned))) continue;
      job->Work(index);
      // The job may be gone from here on: its caller waits for this word only.
      state.store(seen - kAssigned + kOneJob + kIdle);
      state.notify_all();
    }
  }
};

// Set in workers for good, and in callers while they run tasks: a nested Run stays on its thread.
thread_local bool inside_task = false;

}  // namespace

struct ThreadPool::Impl {
  std::array<Worker, kMaxThreads - 1> workers;
  std::atomic<int> started{0};
  std::atomic<int> startable{kMaxThreads - 1};  // less once the system has refused a thread
  std::mutex starting;
  // On a single CPU spinning would only keep the others from running.
  std::chrono::microseconds worker_spin = kWorkerSpin, caller_spin = kCallerSpin;

  bool Start(Worker* worker);
};

bool ThreadPool::Impl::Start(Worker* worker) {
  struct Argument {
    Worker* worker;
    std::chrono::microseconds spin;
  };
  auto* argument = new Argument{worker, worker_spin};
  // A signal sent to the process is for one of the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(
      &thread, nullptr,
      [](void* pointer) -> void* {
        const Argument argument = *static_cast<Argument*>(pointer);
        delete static_cast<Argument*>(pointer);
        inside_task = true;
        argument.worker->Loop(argument.spin);
      },
      argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    delete argument;
    return false;
  }
  pthread_detach(thread);
  return true;
}

ThreadPool::ThreadPool() : impl_(new Impl) {
  if (AvailableCpus() == 1) impl_->worker_spin = impl_->caller_spin = {};
}

ThreadPool& ThreadPool::Shared() {
  static ThreadPool* const pool = new ThreadPool;
  return *pool;
}

void ThreadPool::Reserve(int threads) {
  Impl& pool = *impl_;
  if (pool.started >= std::min(threads - 1, pool.startable.load())) return;
  const std::lock_guard lock(pool.starting);
  while (pool.started < std::min(threads - 1, pool.startable.load())) {
    if (pool.Start(&pool.workers[pool.started])) {
      ++pool.started;
    } else {
      pool.startable = pool.started.load();  // the work is done by those that there are
    }
  }
}

void ThreadPool::Run(int threads, int64_t tasks, FunctionRef<void(int64_t task, int worker)> fn) {
  Job job{fn, tasks};
  if (inside_task) return job.Work(0);
  const ScopedFlushDenormals flush;
  inside_task = true;
  const int wanted = static_cast<int>(std::min<int64_t>(std::min(threads, kMaxThreads), tasks)) - 1;
  Impl& pool = *impl_;
  struct Claim {
    Worker* worker;
    uint32_t assigned;  // its state while it has this job and has not accepted it
  };
  std::array<Claim, kMaxThreads - 1> claims;
  int claimed = 0;
  if (wanted > 0) {
    Reserve(wanted + 1);
    const int started = pool.started;
    for (int i = 0; i < started && claimed < wanted; ++i) {
      Worker& worker = pool.workers[i];
      uint32_t state = worker.state.load(std::memory_order_relaxed);
      if ((state & kPhaseMask) != kIdle) continue;
      if (!worker.state.compare_exchange_strong(state, state + kClaimed)) continue;
      worker.job = &job;
      worker.index = claimed + 1;
      worker.state.store(state + kAssigned);
      worker.state.notify_all();
      claims[claimed++] = {&worker, state + kAssigned};
    }
  }
  job.Work(0);
  for (int i = 0; i < claimed; ++i) {
    auto [worker, state] = claims[i];
    if (worker->state.compare_exchange_strong(state, state - kAssigned)) continue;  // taken back
    const uint32_t running = claims[i].assigned + (kRunning - kAssigned);
    while (worker->state.load(std::memory_order_acquire) == running) {
      worker->Await(running, pool.caller_spin);
    }
  }
  inside_task = false;
}

}  // namespace sula
