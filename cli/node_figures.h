// Figures derived from the report of one command.
#pragma once

#include <string>

#include "sula/machine.h"
#include "sula/session.h"

namespace sula::cli {

// The candidate that was chosen; null if there was nothing to choose from.
const CandidateReport* ChosenOf(const NodeReport& node);

// Seconds of the chosen kernel as tuning measured them; 0: it did not.
double TunedSeconds(const NodeReport& node);

// TunedSeconds, or what was predicted.
double BestGuess(const NodeReport& node);

// What the chosen kernel takes more than the best candidate by itself: the price of fewer layout
// copies, of a memory limit, of a scheme lock. Among candidates for as many nodes; by measured
// times where the chosen one has one.
struct Loss {
  const CandidateReport* best = nullptr;  // null: there was nothing to choose from
  double share = 0;                       // 0.25: a quarter more
};
Loss LossOf(const NodeReport& node);

// The least time that the machine's arithmetic and memory allow a command.
struct Roofline {
  double seconds = 0;                       // 0: it counts nothing
  bool memory = false;                      // bytes set the bound, not operations
  std::string ToString(double took) const;  // "71 % compute", "38 % memory"
};
Roofline RooflineOf(const NodeReport& node, const MachineSpeed& machine);

}  // namespace sula::cli
