// Timing of sessions.
#pragma once

#include <string>
#include <vector>

#include "model_options.h"

namespace sula::cli {

// Times of runs, in seconds.
struct Timing {
  std::vector<double> wall, cpu;  // cpu: of all threads of the process
};

// Runs for about `seconds`, at least twice and at most 400 times, after one untimed run.
Result<Timing> TimeRuns(Session& session, double seconds);

// Reproducible inputs: normal floats, integers 0 and 1. An error names an input whose sizes are not
// known: `shapes` must give them.
Result<std::vector<Array>> MakeInputs(const ModelInfo& info, const InputShapes& shapes);

// The most memory that the process has used so far, in MiB (VmHWM of /proc/self/status).
double PeakMegabytes();

// `sula bench --turns`: answers a driver that measures several engines in turns. Writes one line
// {"load_ms":, "first_ms":, "peak_mb":} when the session is ready and has run once, then, for each
// line with a number of seconds on stdin, one line {"wall": [ms, ...], "cpu": [...], "peak_mb":}.
// Ends with the input.
Status AnswerTurns(Session& session, double load_seconds, double first_seconds);

}  // namespace sula::cli
