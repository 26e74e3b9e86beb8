// Patch: a change to a graph, computed by a rule from a const Graph and applied by the driver.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace sula {

// New values get ids behind the graph's own, so old and new ids mix freely in one patch.
class Patch {
 public:
  explicit Patch(const Graph& graph) : graph_(&graph), next_value_(graph.value_slots()) {}

  ValueId AddConstant(std::string name, Tensor value);
  // One output; its id. The node's name should be that of the node it replaces.
  ValueId AddNode(const OpDef& op, Params params, std::vector<ValueId> inputs, std::string name);
  std::vector<ValueId> AddNodes(const OpDef& op, Params params, std::vector<ValueId> inputs,
                                int num_outputs, std::string name);
  // Every reader of `from` (nodes and graph outputs) reads `to` instead. A graph output keeps its
  // name: if `to` is a new value, it takes the name of `from`; otherwise (an input, a constant or
  // another output) the driver inserts an Identity so that both keep theirs.
  void Replace(ValueId from, ValueId to);

  bool empty() const { return replaced_.empty(); }

 private:
  friend Status Apply(Patch patch, Graph& graph);
  struct NewNode {
    const OpDef* op;
    Params params;
    std::vector<ValueId> inputs, outputs;
    std::string name;
  };
  struct NewConstant {
    ValueId id;
    std::string name;
    Tensor value;
  };
  const Graph* graph_;
  ValueId next_value_;
  std::vector<NewConstant> constants_;
  std::vector<NewNode> nodes_;
  std::vector<std::pair<ValueId, ValueId>> replaced_;
};

// Applies the patch, removes what became dead, and infers the types of the new values. The graph
// is unchanged on error (for example when a replacement has another type or shape).
Status Apply(Patch patch, Graph& graph);

}  // namespace sula
