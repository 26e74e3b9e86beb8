// Runs graphs on a backend and compares with EvaluateGraph.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "ir/graph.h"
#include "runtime/plan.h"

namespace sula {

// A graph from its text form; a failed expectation and an empty graph if it is wrong.
Graph ParseOrFail(std::string_view text);

// Small whole numbers, reproducible: sums of products of them are exact in float, so results can be
// compared bit by bit whatever the order of summation.
Tensor WholeNumbers(DType dtype, const Dims& dims, uint64_t seed);
// WholeNumbers of the types that the graph declares (which must be concrete).
std::vector<Tensor> RandomInputs(const Graph& graph, uint64_t seed);

// A plan with the backends it runs on.
struct PlanOnBackends {
  std::vector<std::unique_ptr<Backend>> backends;
  std::unique_ptr<Plan> plan;

  int CountKernel(std::string_view kernel) const;  // nodes in the report with this kernel
};
struct HarnessOptions {
  bool cpu = false;  // the CPU backend instead of the layout backend
  bool pad_pixels = false;
  std::span<const ChainEntry> chains = {};  // of the layout backend
  bool use_chains = true;
  int threads = 1;
  std::unique_ptr<Backend> (*backend)() = nullptr;  // another one
};
// On one of the three, with the reference backend as fallback.
PlanOnBackends MakePlan(const Graph& graph, const HarnessOptions& options = {});

std::vector<Tensor> RunPlan(Plan& plan, const Graph& graph, const std::vector<Tensor>& inputs);

// Expects the plan's outputs, run twice, to be exactly those of EvaluateGraph: the layout backend
// computes with Evaluate too; for the CPU backend the graph's arithmetic must be exact. Returns the
// plan for more questions.
PlanOnBackends ExpectSameAsEvaluate(const Graph& graph, const HarnessOptions& options = {});

}  // namespace sula
