// Graph: values and nodes in single-assignment form. Values are named tensors with one producer
// (a graph input, a constant, or a node's output); nodes apply an operator.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/op_def.h"
#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace sula {

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr ValueId kNoValue = -1;  // an absent optional input or output
inline constexpr NodeId kNoNode = -1;

struct Value {
  std::string name;  // unique in its graph; empty only in the slot of a removed value
  TensorType type;
  NodeId producer = kNoNode;  // with kNoNode: a constant if `constant` is set, else a graph input
  int output_index = 0;       // which output of the producer
  std::shared_ptr<const Tensor> constant;
};

struct Node {
  const OpDef* op = nullptr;
  std::string name;             // as in the source model; unique, never empty
  std::vector<ValueId> inputs;  // kNoValue where absent
  std::vector<ValueId> outputs;
  Params params;
  std::vector<Graph> subgraphs;  // bodies of If, Loop, Scan; see Graph::captures

  template <class P>
  const P& As() const {
    return params.As<P>();
  }
  bool Is(const OpDef& o) const { return op == &o; }
  bool HasInput(size_t i) const { return i < inputs.size() && inputs[i] != kNoValue; }
  bool HasOutput(size_t i) const { return i < outputs.size() && outputs[i] != kNoValue; }
};

class Graph {
 public:
  std::string name;
  // Free-form facts of the source model that travel with it ("format", "producer", "licence").
  std::map<std::string, std::string> metadata;

  // ---- building. Names are made unique by a suffix if taken; an empty name gets one.
  ValueId AddInput(std::string name, TensorType type);
  ValueId AddConstant(std::string name, Tensor value);
  ValueId AddConstant(std::string name, std::shared_ptr<const Tensor> value);
  // Adds a node with `num_outputs` new values of yet unknown type; returns the node.
  // output_names may be shorter than num_outputs (the rest is named after the node); an empty
  // name in it makes that output absent (kNoValue).
  NodeId AddNode(const OpDef& op, Params params, std::vector<ValueId> inputs, int num_outputs = 1,
                 std::string node_name = "", std::vector<std::string> output_names = {});
  void SetOutputs(std::vector<ValueId> outputs) { outputs_ = std::move(outputs); }
  void AddOutput(ValueId v) { outputs_.push_back(v); }
  // In a subgraph: values of the enclosing graph that it reads. Captured values are inputs of the
  // subgraph too (after the operator's own), in this order, and the enclosing node lists them
  // after the operator's own inputs, those of its first subgraph first. So a subgraph never
  // refers outside itself, and a value that two subgraphs read is listed twice.
  std::vector<std::string> captures;
  // In a subgraph that is one of several: why it can never run, if InferShapes found that its
  // shapes contradict each other; the types inside are void then. Not stored in files.
  std::string contradiction;

  // ---- reading
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  const Value& value(ValueId id) const { return values_[id]; }
  Value& value(ValueId id) { return values_[id]; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  Node& node(NodeId id) { return nodes_[id]; }
  // Removed nodes keep their slot; op == nullptr tells them apart.
  bool IsLive(NodeId id) const { return nodes_[id].op != nullptr; }
  int node_slots() const { return static_cast<int>(nodes_.size()); }
  int value_slots() const { return static_cast<int>(values_.size()); }
  int num_nodes() const;  // live ones
  // Live nodes, producers before consumers; ties in the order of their ids. The graph must be
  // acyclic (Verify tells).
  std::vector<NodeId> TopologicalOrder() const;
  // Nodes that read v, each once, in id order. (Linear in the graph; UseIndex is for many.)
  std::vector<NodeId> Consumers(ValueId v) const;
  bool IsOutput(ValueId v) const;
  bool IsInput(ValueId v) const;
  const Tensor* Constant(ValueId v) const {
    return v == kNoValue ? nullptr : values_[v].constant.get();
  }
  std::optional<ValueId> FindValue(std::string_view name) const;
  std::optional<NodeId> FindNode(std::string_view name) const;

  // ---- editing (passes go through ir/patch.h instead)
  void RemoveNode(NodeId id);                  // its outputs must be unused; they are removed too
  void ReplaceUses(ValueId from, ValueId to);  // in node inputs and graph outputs
  // Gives another name, made unique if taken. (Assigning Value::name would lose the name index.)
  void RenameValue(ValueId id, std::string new_name);
  void RenameNode(NodeId id, std::string new_name);
  void SwapNames(ValueId a, ValueId b);
  // Removes nodes whose outputs nobody reads (unless impure); returns how many.
  int RemoveDead();
  // Drops removed slots and unused values and renumbers; ids held elsewhere become void.
  void Compact();

 private:
  friend class PatchApplier;
  // Names in use with their owners, and the next suffix to try for a name that was taken.
  struct NameTable {
    std::map<std::string, int32_t, std::less<>> ids;
    std::map<std::string, int, std::less<>> next_suffix;
    std::string Claim(std::string name, int32_t id);
    void Release(const std::string& name) { ids.erase(name); }
  };
  ValueId NewValue(std::string name);

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_, outputs_;
  NameTable value_names_, node_names_;
};

// Consumers of every value, computed once; ir/patch.h keeps it in step with its changes.
class UseIndex {
 public:
  explicit UseIndex(const Graph& g);
  const std::vector<NodeId>& Of(ValueId v) const { return uses_[v]; }
  // Readers in the sense of "who would notice": nodes plus being a graph output.
  int Count(ValueId v) const { return static_cast<int>(uses_[v].size()) + output_[v]; }

 private:
  friend class PatchApplier;
  std::vector<std::vector<NodeId>> uses_;  // each sorted
  std::vector<int> output_;                // how often it is a graph output
};

// Structure and types: ids in range, sizes sane, single assignment, no cycle, arity and element
// types as the OpDef says, params of the right type, unique names, subgraph inputs as captured.
// Names the offending node in the error.
Status Verify(const Graph& graph);
// The part of it that concerns one node by itself: arity, element types, params, subgraphs.
// inputs[i] and outputs[i]: null where absent; outputs may be empty if not known yet.
Status VerifyNode(const Node& node, std::span<const TensorType* const> inputs,
                  std::span<const TensorType* const> outputs);

// Known sizes must not be negative, and their bytes must be countable (below 2^56, empty tensors
// included), so that products of sizes cannot overflow.
Status CheckSizes(const TensorType& type);

// Computes the types of all values from the inputs' (and constants). With `overrides`, graph
// inputs get these shapes first (an error if there is no such input or it has another rank). An
// error names node, operator and input shapes. Values whose rank cannot be known keep no shape.
// Sizes that only the run can tell are symbols "_0", "_1", ... that the graph does not use yet.
// Subgraphs get the types of what they capture and are inferred before their node.
// `contents`, if given, gets by value id what is known of the elements of small integer tensors
// (InferContext::SetOutputContents), constants excepted.
using ContentsByValue = std::vector<std::optional<std::vector<Dim>>>;
Status InferShapes(Graph& graph, const std::map<std::string, Shape>* overrides = nullptr,
                   ContentsByValue* contents = nullptr);

// Infers one node's outputs from its inputs' types: constants[i] null where only the type is
// known; inputs[i] is ignored where the node has none. Used by runtimes that walk a graph with
// actual values. Absent outputs get a type too. The node's subgraphs must have been inferred.
Result<std::vector<TensorType>> InferNode(const Node& node, std::span<const TensorType> inputs,
                                          std::span<const Tensor* const> constants);

// "node 'conv1' (Conv: float32[1,3,8,8], float32[4,3,3,3])" for error contexts.
std::string Describe(const Graph& graph, NodeId node);

}  // namespace sula
