// Measured scheme search: the candidates of nodes are timed, and what was measured takes the place
// of the estimates when kernels are chosen.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>

#include "runtime/prepare/schedule.h"

namespace sula {

// Seconds of kernels alone, without layout copies.
class SchemeTimes {
 public:
  // Of a kernel for nodes with that KeyOf; 0: not measured.
  double Of(const std::string& key, const Scheme& scheme) const {
    const auto it = seconds_.find({key, scheme});
    return it == seconds_.end() ? 0 : it->second;
  }
  void Set(const std::string& key, const Scheme& scheme, double seconds) {
    seconds_[{key, scheme}] = seconds;
  }

 private:
  std::map<std::pair<std::string, Scheme>, double> seconds_;
};

struct TuneOptions {
  double seconds = 0;  // of measuring: nodes, and whole plans
  TuneCallback on_progress;
};

// What kernels and plans are timed on: floats in [-1, 1), whose products never come near denormals;
// zeros of other types, which are valid as indices and sizes.
void FillForTiming(DType dtype, int64_t elements, void* data);

// Times the kernels of nodes that have a choice, the fallback's left out, and chains together with
// the kernels of their nodes. Nodes with equal keys are timed once, those that are predicted to
// take longest first, until the time is over but for what a comparison of whole plans may take
// (a quarter of it, more where runs are long). The candidates of a node run in turns, the best
// predicted first, each on inputs that were just written and with other data in the L2 cache, as in
// a run of the whole; the least of several runs counts, and what is clearly beaten leaves early.
// Either all candidates of a node are measured, but for those that are predicted to be out of
// reach, or none; a chain counts as measured only with all its nodes. Kernels and buffers of a node
// are freed before the next. Kernels that fail or find no memory stay unmeasured. Errors: those of
// ChooseSchemes.
Result<SchemeTimes> MeasureSchemes(const ConcreteGraph& graph, std::span<Backend* const> backends,
                                   const SchemeOptions& schemes, const TuneOptions& options,
                                   TuneReport& report);

}  // namespace sula
