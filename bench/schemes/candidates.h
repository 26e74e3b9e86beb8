// The kernels that could run a convolution: what the model says of them, and how long they take.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "layers.h"

namespace sula {

struct Timed {
  std::string kernel;
  double predicted = 0, measured = 0;  // seconds, with the change of layout that it needs
};

struct TimingOptions {
  int threads = 1;
  double seconds = 0.3;  // for one layer, all candidates together
  // Candidates said to take longer than this many times the fastest are left out.
  double hopeless = 6;
};

// Every kernel of the CPU backend that takes the layer, in the backend's order of preference.
// Timed as they run in nets: weights come from L3, since other layers have run in between, and the
// input as its producer has just written it. The kernels take turns; the least time counts.
Result<std::vector<Timed>> TimeCandidates(const Layer& layer, const TimingOptions& options);
// The same without measuring.
Result<std::vector<Timed>> PredictCandidates(const Layer& layer, int threads);

// The one that the model chooses: index of the least prediction.
size_t Chosen(const std::vector<Timed>& candidates);
// The fastest that was measured.
size_t Fastest(const std::vector<Timed>& candidates);

}  // namespace sula
