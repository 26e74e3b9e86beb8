// The reference meaning of graphs: every node by its OpDef::evaluate.
#include <optional>

#include "ops/catalogue.h"
#include "ops/sizes.h"

namespace sula {
namespace {

class NodeEvaluation : public EvalContext {
 public:
  NodeEvaluation(const Node& node, std::span<const Tensor* const> inputs)
      : node_(node), inputs_(inputs), outputs_(node.outputs.size()) {}

  const Params& RawParams() const override { return node_.params; }
  const Node& node() const override { return node_; }
  int num_inputs() const override { return static_cast<int>(inputs_.size()); }
  int num_outputs() const override { return static_cast<int>(outputs_.size()); }
  bool HasInput(int i) const override { return i < num_inputs() && inputs_[i] != nullptr; }
  bool HasOutput(int i) const override { return node_.HasOutput(i); }
  const Tensor& input(int i) const override { return *inputs_[i]; }

  Result<Tensor*> Output(int i, DType dtype, const Dims& dims) override {
    ASSIGN_OR_RETURN(outputs_[i], MakeTensor(dtype, dims));
    return &*outputs_[i];
  }

  Result<Tensor*> InferredOutput(int i) override {
    if (inferred_.empty()) {
      std::vector<TensorType> types(inputs_.size());
      for (size_t k = 0; k < inputs_.size(); ++k)
        if (inputs_[k]) types[k] = {inputs_[k]->dtype(), Shape::Of(inputs_[k]->dims())};
      ASSIGN_OR_RETURN(inferred_, InferNode(node_, types, inputs_));
    }
    const TensorType& type = inferred_[i];
    if (!type.shape) {
      // All inputs are known, so one that determines the shape is not what it should be.
      return InvalidModel("operator ", node_.op->name, " cannot tell the shape of output ", i,
                          ": an input such as axes is not a short list of integers");
    }
    ASSIGN_OR_RETURN(const Dims dims, ConcreteDims(*type.shape));
    return Output(i, type.dtype, dims);
  }

  Result<std::vector<Tensor>> RunSubgraph(int index, std::vector<Tensor> inputs) override {
    if (index < 0 || index >= static_cast<int>(node_.subgraphs.size()))
      return InvalidModel("operator ", node_.op->name, " needs a body number ", index);
    return EvaluateGraph(node_.subgraphs[index], inputs);
  }

  Result<std::vector<Tensor>> Take() && {
    std::vector<Tensor> result(outputs_.size());
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!outputs_[i] && node_.HasOutput(i))
        return Internal("operator ", node_.op->name, " did not compute its output ", i);
      if (outputs_[i]) result[i] = std::move(*outputs_[i]);
    }
    return result;
  }

 private:
  const Node& node_;
  std::span<const Tensor* const> inputs_;
  std::vector<std::optional<Tensor>> outputs_;
  std::vector<TensorType> inferred_;
};

// An error unless `tensor` can be what `type` declares.
Status CheckInput(const Value& declared, const Tensor& tensor) {
  const TensorType& type = declared.type;
  bool fits = tensor.dtype() == type.dtype;
  if (type.shape) {
    fits &= type.shape->rank() == tensor.rank();
    for (int i = 0; fits && i < tensor.rank(); ++i)
      fits = (*type.shape)[i].TryValue().value_or(tensor.dim(i)) == tensor.dim(i);
  }
  if (fits) return {};
  return InvalidArgument("input '", declared.name, "' is declared ", type.ToString(), ", given ",
                         Name(tensor.dtype()), ToString(tensor.dims()));
}

// The tensors of a running graph; each is dropped after its last reader.
class LiveTensors {
 public:
  explicit LiveTensors(const Graph& graph)
      : graph_(graph), tensors_(graph.value_slots()), readers_(graph.value_slots(), 0) {
    for (NodeId id = 0; id < graph.node_slots(); ++id)
      for (ValueId v : graph.node(id).inputs)
        if (v != kNoValue && graph.IsLive(id)) ++readers_[v];
    for (ValueId v : graph.outputs()) ++readers_[v];
  }

  void Set(ValueId v, Tensor tensor) {
    if (readers_[v] > 0) tensors_[v] = std::move(tensor);
  }
  // Null for an absent input.
  const Tensor* Get(ValueId v) const {
    if (const Tensor* constant = graph_.Constant(v)) return constant;
    return v == kNoValue ? nullptr : &tensors_[v];
  }
  void Release(ValueId v) {
    if (v != kNoValue && --readers_[v] == 0) tensors_[v] = Tensor();
  }

 private:
  const Graph& graph_;
  std::vector<Tensor> tensors_;
  std::vector<int> readers_;
};

}  // namespace

Result<std::vector<Tensor>> EvaluateNode(const Node& node, std::span<const Tensor* const> inputs) {
  NodeEvaluation evaluation(node, inputs);
  RETURN_IF_ERROR(node.op->evaluate(evaluation));
  return std::move(evaluation).Take();
}

Result<std::vector<Tensor>> EvaluateGraph(const Graph& graph, std::span<const Tensor> inputs,
                                          NodeObserver on_node) {
  if (inputs.size() != graph.inputs().size()) {
    return InvalidArgument("graph '", graph.name, "' has ", graph.inputs().size(),
                           " inputs, given ", inputs.size());
  }
  LiveTensors live(graph);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId v = graph.inputs()[i];
    RETURN_IF_ERROR(CheckInput(graph.value(v), inputs[i]));
    live.Set(v, inputs[i]);
  }
  for (NodeId id : graph.TopologicalOrder()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> node_inputs;
    for (ValueId v : node.inputs) node_inputs.push_back(live.Get(v));
    auto outputs = EvaluateNode(node, node_inputs);
    if (!outputs) return Status(outputs.error()).AddContext(Describe(graph, id));
    on_node(id, *outputs);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.HasOutput(i)) live.Set(node.outputs[i], std::move((*outputs)[i]));
    for (ValueId v : node.inputs) live.Release(v);
  }
  std::vector<Tensor> results;
  for (ValueId v : graph.outputs()) results.push_back(*live.Get(v));
  return results;
}

Result<std::vector<Tensor>> EvaluateGraph(const Graph& graph, std::span<const Tensor> inputs) {
  return EvaluateGraph(graph, inputs, [](NodeId, std::span<const Tensor>) {});
}

}  // namespace sula
