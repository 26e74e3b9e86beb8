#include "node_figures.h"

#include <fmt/format.h>

namespace sula::cli {

const CandidateReport* ChosenOf(const NodeReport& node) {
  for (const CandidateReport& c : node.candidates)
    if (c.backend == node.backend && c.kernel == node.kernel) return &c;
  return nullptr;
}

double TunedSeconds(const NodeReport& node) {
  const CandidateReport* chosen = ChosenOf(node);
  return chosen ? chosen->measured_seconds : 0;
}

double BestGuess(const NodeReport& node) {
  const double tuned = TunedSeconds(node);
  return tuned > 0 ? tuned : node.seconds;
}

Loss LossOf(const NodeReport& node) {
  const CandidateReport* const chosen = ChosenOf(node);
  if (!chosen) return {};
  const bool measured = chosen->measured_seconds > 0;
  const auto seconds = [&](const CandidateReport& c) {
    return measured ? c.measured_seconds : c.kernel_seconds;
  };
  Loss loss;
  for (const CandidateReport& c : node.candidates)
    if (c.refused.empty() && c.nodes == chosen->nodes && seconds(c) > 0 &&
        (!loss.best || seconds(c) < seconds(*loss.best)))
      loss.best = &c;
  if (loss.best) loss.share = seconds(*chosen) / seconds(*loss.best) - 1;
  return loss;
}

std::string Roofline::ToString(double took) const {
  if (seconds <= 0 || took <= 0) return "";
  return fmt::format("{:.0f} % {}", 100 * seconds / took, memory ? "memory" : "compute");
}

Roofline RooflineOf(const NodeReport& node, const MachineSpeed& machine) {
  const double compute = machine.flops_per_second > 0 ? node.flops / machine.flops_per_second : 0;
  const double memory = machine.bytes_per_second > 0 ? node.bytes / machine.bytes_per_second : 0;
  return memory > compute ? Roofline{memory, true} : Roofline{compute, false};
}

}  // namespace sula::cli
