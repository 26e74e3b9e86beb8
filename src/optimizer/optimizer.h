// The graph optimizer: an ordered list of rules and passes, applied by one driver.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/patch.h"

namespace sula {

// Rewrites around one node: looks at the graph, returns the change or nothing.
struct Rule {
  std::string_view name;     // "fold-batch-norm"
  std::string_view summary;  // the pattern as a formula: "BN(Conv(x, w, b)) -> Conv(x, w', b')"
  std::span<const OpDef* const> roots;  // operators of nodes it is tried on; empty: all
  std::optional<Patch> (*apply)(const Graph& graph, const UseIndex& uses, NodeId node);
};
// Works on the whole graph; returns how many changes it made.
struct Pass {
  std::string_view name;
  std::string_view summary;
  Result<int> (*run)(Graph& graph);
};
// One line of the pipeline: a pass, or rules repeated together until none applies.
struct Stage {
  std::optional<Pass> pass;
  std::vector<const Rule*> rules;
};
std::span<const Stage> DefaultPipeline();  // pipeline.cc: the one ordered list

struct OptimizeOptions {
  std::set<std::string, std::less<>> disabled;  // names of rules and passes
  int stop_after = -1;                          // applications; -1: no limit
  // Called after each application with "rule@node" and the graph as it is then.
  std::function<void(const std::string& step, const Graph& graph)> on_step;
};
struct OptimizeReport {
  std::vector<std::string> log;                     // "rule@node", in order
  std::vector<std::pair<std::string, int>> counts;  // by rule, in pipeline order, 0 left out
};

// Runs the default pipeline. An unknown name in `disabled` is an error that lists the known ones.
// After every application the graph is verified; a failure names the rule (and is a bug).
Result<OptimizeReport> Optimize(Graph& graph, const OptimizeOptions& options = {});

}  // namespace sula
