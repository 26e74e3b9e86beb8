// One pool of workers per process, shared by all sessions.
#pragma once

#include <cstdint>

#include "base/function_ref.h"

namespace sula {

class ThreadPool {
 public:
  // The process's pool. Workers start on first need, as many as the largest `threads` asked for
  // less one (callers take theirs from AvailableCpus(), base/cpu_info.h), at most kMaxThreads - 1;
  // they flush denormals, spin for a bounded short time (about 50 us) between jobs, then sleep: an
  // idle pool uses no CPU. Never destroyed: a process may exit, or fork, while workers sleep.
  static ThreadPool& Shared();
  static constexpr int kMaxThreads = 256;

  // Calls fn(task, worker) once for each task in [0, tasks), on at most `threads` threads of which
  // the caller is one (worker 0); worker is in [0, threads). Tasks are handed out dynamically in
  // rising order. Returns when all are done; what tasks wrote is then visible to the caller.
  // Allocates nothing once `threads` workers have started (Reserve). Safe to call from several
  // threads at once: when workers are busy with another caller's job, or don't wake in time, the
  // call still completes, on fewer threads. A nested call runs inline, as worker 0. fn must not
  // throw. Denormals are flushed to zero in tasks, and the caller's own setting is restored.
  void Run(int threads, int64_t tasks, FunctionRef<void(int64_t task, int worker)> fn);

  // Starts workers so that Run(threads, ...) needs to start none.
  void Reserve(int threads);

 private:
  ThreadPool();
  struct Impl;
  Impl* impl_;
};

// What a kernel gets: how many threads it may use and how.
class Parallel {
 public:
  explicit Parallel(int threads = 1) : threads_(threads < 1 ? 1 : threads) {}
  int threads() const { return threads_; }
  // fn(task, worker) for each task in [0, tasks); inline if one thread or one task is all there is.
  template <class F>
  void For(int64_t tasks, F&& fn) const {
    if (threads_ == 1 || tasks <= 1) {
      for (int64_t i = 0; i < tasks; ++i) fn(i, 0);
    } else {
      ThreadPool::Shared().Run(threads_, tasks, fn);
    }
  }

 private:
  int threads_;
};

}  // namespace sula
