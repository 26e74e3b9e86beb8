// Throughput of several sessions of one model, each in a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "model_options.h"

namespace sula::cli {

struct SessionsRow {
  int sessions = 1, threads = 1;  // threads: of each session
  double runs_per_second = 0;     // all sessions together: the best of the rounds
  double cpus = 0;                // CPUs that were busy meanwhile, of all the process
};

struct SessionsResult {
  std::vector<SessionsRow> rows;  // all numbers of sessions for the first number of threads, ...
  double idle_cpus = 0;           // CPUs that the sessions keep busy while none of them runs
};

// Opens the sessions of every combination and runs them for about `seconds` each, in several rounds
// that take the combinations in turns, so that what else happens on the machine meets all of them.
Result<SessionsResult> MeasureSessions(
    const std::vector<int>& sessions, const std::vector<int>& threads, double seconds,
    const std::function<Result<std::unique_ptr<Session>>(int threads)>& open);

void PrintSessions(const SessionsResult& result);
void PrintSessionsJson(const SessionsResult& result);

}  // namespace sula::cli
