// What a sweep over layers shows: how much slower the model's choices are than the best kernels.
#pragma once

#include <string>
#include <vector>

#include "candidates.h"

namespace sula {

struct CaseResult {
  Layer layer;
  int threads = 1;
  std::vector<Timed> candidates;

  std::string Key() const;  // layer and threads
  double loss() const;      // measured time of the choice against the best, less 1
};

void PrintSweep(const std::vector<CaseResult>& results);
// All candidates of one layer.
void PrintCandidates(const CaseResult& result);

// One JSON object: the machine and every result.
Status WriteResults(const std::string& path, const std::vector<CaseResult>& results);
// Gives results the measured times of the same layers, threads and kernels in a file of
// WriteResults; what it does not have is left out.
Status ReadTimes(const std::string& path, std::vector<CaseResult>& results);

}  // namespace sula
