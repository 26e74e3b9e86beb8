// The graph optimizer: an ordered list of rules and passes, applied by one driver.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/patch.h"
#include "optimizer/verify/verify.h"

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
  // What a user should know of a change it is going to make to this graph; empty if nothing.
  std::string (*warning)(const Graph& graph) = nullptr;
};
// One line of the pipeline: a pass, or rules repeated together until none applies.
struct Stage {
  std::optional<Pass> pass;
  std::vector<const Rule*> rules;
};
std::span<const Stage> DefaultPipeline();  // pipeline.cc: the one ordered list

struct OptimizeOptions {
  std::set<std::string, std::less<>> disabled;  // names of rules and passes
  // Applications of rules (a pass that changes something counts as one); -1: no limit.
  int stop_after = -1;
  // Called after each application with its line of the log and the graph as it is then.
  std::function<void(const std::string& step, const Graph& graph)> on_step;
  // Runs the graph on the reference interpreter before and after every application, with inputs
  // from the seed, and fails with kInternal at the first that changes numbers (verify/verify.h).
  bool verify = false;
  uint64_t verify_seed = 1;
  // With verify: called before the whole graph is run, which may take long, with what is done.
  std::function<void(std::string_view what)> on_verify;
};
struct OptimizeReport {
  std::vector<std::string> log;                     // "rule@node" or "pass", in order
  std::vector<std::pair<std::string, int>> counts;  // by rule, in pipeline order, 0 left out
  std::optional<VerifyReport> verified;             // if asked for
  std::vector<std::string> warnings;                // of passes that were applied
};

// Infers shapes, runs the default pipeline, and drops what is dead. An unknown name in `disabled`
// is an error that lists the known ones. Every application is verified by Apply (ir/patch.h), the
// whole graph after each pass and each stage; a failure names the rule (and is a bug). So is a
// stage that never comes to rest, which is an error too.
Result<OptimizeReport> Optimize(Graph& graph, const OptimizeOptions& options = {});
// The same with other stages.
Result<OptimizeReport> RunStages(Graph& graph, std::span<const Stage> stages,
                                 const OptimizeOptions& options = {});

}  // namespace sula
