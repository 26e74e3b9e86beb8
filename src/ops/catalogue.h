// The operators of sula, and the interpreter that gives graphs their reference meaning.
#pragma once

#include "base/function_ref.h"
#include "ir/graph.h"

namespace sula {

// All operators, sorted by name.
Catalogue AllOps();

// Runs one node with Evaluate. inputs[i]: null where absent.
Result<std::vector<Tensor>> EvaluateNode(const Node& node, std::span<const Tensor* const> inputs);

// Runs the whole graph with Evaluate, in topological order; inputs in graph order. `on_node`, if
// given, sees the outputs of each node.
using NodeObserver = FunctionRef<void(NodeId, std::span<const Tensor>)>;
Result<std::vector<Tensor>> EvaluateGraph(const Graph& graph, std::span<const Tensor> inputs);
Result<std::vector<Tensor>> EvaluateGraph(const Graph& graph, std::span<const Tensor> inputs,
                                          NodeObserver on_node);

}  // namespace sula
