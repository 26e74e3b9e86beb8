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
  explicit Patch(const Graph& graph)
      : first_value_(graph.value_slots()), next_value_(graph.value_slots()) {}

  ValueId AddConstant(std::string name, Tensor value);
  // One output; its id. The node's name should be that of the node it replaces.
  ValueId AddNode(const OpDef& op, Params params, std::vector<ValueId> inputs, std::string name);
  std::vector<ValueId> AddNodes(const OpDef& op, Params params, std::vector<ValueId> inputs,
                                int num_outputs, std::string name);
  // Every reader of `from` (nodes and graph outputs) reads `to` instead, but for the new nodes of
  // this patch: they read what they name. `to` must not be replaced itself. A graph output keeps
  // its name: `to` takes it, if it is a node's output and no graph output yet; otherwise (an input,
  // a constant, another output) ProtectOutputs has to put a node between them.
  void Replace(ValueId from, ValueId to);
  // Puts a node of `identity` (a copy of one input) wherever a graph output would be replaced by
  // a value that cannot take its name. The driver calls it; Apply refuses what it would change.
  void ProtectOutputs(const Graph& graph, const OpDef& identity);

  bool empty() const { return replaced_.empty(); }
  // What Replace was told, in order.
  const std::vector<std::pair<ValueId, ValueId>>& replaced() const { return replaced_; }
  // The graph's own values that new nodes read, or that others are replaced by; each once.
  std::vector<ValueId> Reads() const;

 private:
  friend class PatchApplier;
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
  ValueId first_value_, next_value_;
  std::vector<NewConstant> constants_;
  std::vector<NewNode> nodes_;
  std::vector<std::pair<ValueId, ValueId>> replaced_;
};

// Applies the patch, removes what became dead, and infers the types of the new values. The graph
// is unchanged on error: a new node that VerifyNode or Infer refuses, a replacement of another type
// or shape, a cycle. Of a graph that was valid before nothing else needs to be verified again.
// A new value takes the name of what it replaces, a new node the name it asked for if the node of
// that name is gone by then.
Status Apply(Patch patch, Graph& graph);
// The same with the graph's up-to-date uses, which it keeps so: the cost is that of the patch, not
// that of the graph. (Only a patch whose inputs are far from what it replaces has to search.)
Status Apply(Patch patch, Graph& graph, UseIndex& uses);

}  // namespace sula
