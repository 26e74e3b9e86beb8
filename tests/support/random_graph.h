// Small random graphs, made of the patterns that the optimizer's rules look for.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace sula::test {

// The same graph for a seed on every machine. Inputs "x" and "z" are float32[N,4,5,5] with N a
// symbol or 2. It runs with N from 1 to 3, and without errors whatever the numbers.
Graph RandomGraph(uint64_t seed);

// Inputs for it, N bound to `batch`.
std::vector<Tensor> RandomGraphInputs(const Graph& graph, int64_t batch, uint64_t seed);

// Seeds to test: `count` of them from SULA_RANDOM_SEED (else 0) on; SULA_RANDOM_COUNT replaces the
// count for longer runs.
struct SeedRange {
  uint64_t first = 0, end = 0;
};
SeedRange SeedsToTest(uint64_t count);

}  // namespace sula::test
