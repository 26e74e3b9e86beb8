// Runs graphs on the layout backend and compares with EvaluateGraph.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "ir/graph.h"
#include "runtime/plan.h"

namespace sula {

// A graph from its text form; a failed expectation and an empty graph if it is wrong.
Graph ParseOrFail(std::string_view text);

// Reproducible inputs of the types that the graph declares (which must be concrete).
std::vector<Tensor> RandomInputs(const Graph& graph, uint64_t seed);

// A plan with the backends it runs on.
struct PlanOnBackends {
  std::vector<std::unique_ptr<Backend>> backends;
  std::unique_ptr<Plan> plan;

  int CountKernel(std::string_view kernel) const;  // nodes in the report with this kernel
};
// On the layout backend and the reference backend.
PlanOnBackends MakePlan(const Graph& graph, bool pad_pixels = false);

std::vector<Tensor> RunPlan(Plan& plan, const Graph& graph, const std::vector<Tensor>& inputs);

// Expects the plan's outputs, run twice, to be exactly those of EvaluateGraph: both compute with
// Evaluate. Returns the plan for more questions.
PlanOnBackends ExpectSameAsEvaluate(const Graph& graph, bool pad_pixels = false);

}  // namespace sula
