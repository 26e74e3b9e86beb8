// Building the nodes that one node or layer of a source model becomes: what all frontends share.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace sula {

// Gives the outputs of a node the types that follow from its inputs' types and constants, so that
// translations of later nodes can ask for them. What one node cannot know alone (sizes computed by
// other nodes) comes from InferShapes in the end.
Status InferOutputs(Graph& graph, NodeId id);

// Errors are sticky: the first one is kept, so that translations read as if nothing could fail.
// After an error every call stays valid and returns a default.
class NodeBuilder {
 public:
  // `name`: of the source node; names of helper nodes and values begin with it.
  NodeBuilder(Graph& graph, std::string name) : graph_(graph), name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // ---- what is known of values so far
  DType TypeOf(ValueId v) const { return graph_.value(v).type.dtype; }
  // Nothing if the rank is not known. Sizes may be symbolic.
  const std::optional<Shape>& ShapeOf(ValueId v) const { return graph_.value(v).type.shape; }
  // The value if it is a constant, else null.
  const Tensor* ConstantOf(ValueId v) const { return graph_.Constant(v); }

  // ---- building. `suffix` distinguishes helper nodes and values: "conv1/pads".
  ValueId Constant(Tensor value, std::string_view suffix);
  ValueId Constant(const std::vector<int64_t>& values, std::string_view suffix) {
    return Constant(Tensor::FromInts(values), suffix);
  }
  // A scalar of this type; a number outside the range of an integer type becomes its end.
  ValueId Scalar(double value, DType dtype, std::string_view suffix);
  // A helper node with one output.
  template <class P>
  ValueId Add(const OpDef& op, P params, std::vector<ValueId> inputs, std::string_view suffix) {
    return AddNode(op, Params::Of(std::move(params)), std::move(inputs), {HelperName(suffix)},
                   HelperName(suffix))[0];
  }

  // ---- outcome
  void Fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }

 protected:
  std::string HelperName(std::string_view suffix) const { return StrCat(name_, "/", suffix); }
  // Adds the node, trailing absent inputs dropped, and infers its outputs; returns them. An element
  // type that the operator does not take is kUnsupported: a limit of sula, not a fault of the
  // model.
  std::vector<ValueId> AddNode(const OpDef& op, Params params, std::vector<ValueId> inputs,
                               std::vector<std::string> output_names, std::string name);

  Graph& graph_;

 private:
  std::string name_;
  Status status_;
};

// What a source model holds that has no translation, so that one error can name all of it.
class Refusals {
 public:
  // Notes `what` ("operator Foo"), met at `where` ("node 'a'").
  void Add(const std::string& what, const std::string& where) { where_[what].push_back(where); }
  // OK if nothing was noted; else kUnsupported with everything.
  Status ToStatus() const;

 private:
  std::map<std::string, std::vector<std::string>> where_;
};

}  // namespace sula
