// Profiled runs of a session, and the tables that show them.
#pragma once

#include <vector>

#include "sula/machine.h"
#include "sula/session.h"

namespace sula::cli {

// Seconds of one command over the runs; zeros for what needed no work.
struct CommandStatistics {
  double min = 0, median = 0, total = 0;
};

struct Profile {
  PlanReport report;
  std::vector<double> runs;                    // seconds of each run
  std::vector<CommandStatistics> commands;     // by report.nodes
  std::vector<std::vector<CommandTime>> kept;  // the times of the last few runs, oldest first

  // Sum of the commands' medians; 0 for none.
  double TotalMedian() const;
};

// Runs for about `seconds`, at least twice and at most `most` times, after an untimed run; turns
// the session's profiling on. Keeps the times of the last `keep` runs.
Result<Profile> ProfileRuns(Session& session, double seconds, int most, int keep);

// "cpu/gemm", "alias"
std::string KernelName(const NodeReport& node);

// "conv1", or "conv1 + conv2" where one kernel computes several nodes.
std::string NodeNames(const NodeReport& node);

// One table of operators and one of the slowest nodes, with rates and the share of what the machine
// can do.
void PrintProfile(const Profile& profile, const MachineSpeed& machine);

}  // namespace sula::cli
