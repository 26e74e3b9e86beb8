#include "optimizer/verify/value_store.h"

#include <utility>

#include "ops/catalogue.h"

namespace sula {

ValueStore::ValueStore(const Graph& graph, std::vector<Tensor> inputs, int64_t max_bytes)
    : max_bytes_(max_bytes) {
  for (size_t i = 0; i < inputs.size() && i < graph.inputs().size(); ++i)
    inputs_.insert_or_assign(graph.inputs()[i], std::move(inputs[i]));
}

const Tensor* ValueStore::Find(const Graph& graph, ValueId v) {
  if (const Tensor* constant = graph.Constant(v)) return constant;
  if (const auto input = inputs_.find(v); input != inputs_.end()) return &input->second;
  const auto it = held_.find(v);
  if (it == held_.end()) return nullptr;
  by_use_.erase(it->second.last_use);
  it->second.last_use = ++clock_;
  by_use_.emplace(clock_, v);
  return &it->second.tensor;
}

void ValueStore::Drop(ValueId v) {
  const auto it = held_.find(v);
  if (it == held_.end()) return;
  bytes_ -= static_cast<int64_t>(it->second.tensor.bytes());
  by_use_.erase(it->second.last_use);
  held_.erase(it);
}

void ValueStore::Put(ValueId v, Tensor tensor) {
  Drop(v);
  bytes_ += static_cast<int64_t>(tensor.bytes());
  by_use_.emplace(++clock_, v);
  held_.insert_or_assign(v, Held{std::move(tensor), clock_});
  while (bytes_ > max_bytes_ && by_use_.size() > 1) {
    const ValueId oldest = by_use_.begin()->second;
    Drop(oldest);
  }
}

std::vector<NodeId> ValueStore::Missing(const Graph& graph, ValueId v,
                                        const std::unordered_map<ValueId, Held>& held,
                                        const std::map<ValueId, Tensor>& inputs) {
  std::vector<NodeId> order;
  std::map<NodeId, bool> done;  // false: waits for its inputs
  std::vector<NodeId> stack = {graph.value(v).producer};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    const auto [it, first] = done.emplace(id, false);
    if (!first) {
      stack.pop_back();
      if (!std::exchange(it->second, true)) order.push_back(id);
      continue;
    }
    for (ValueId input : graph.node(id).inputs) {
      if (input == kNoValue || graph.Constant(input)) continue;
      if (held.contains(input) || inputs.contains(input)) continue;
      const NodeId producer = graph.value(input).producer;
      if (producer != kNoNode && !done.contains(producer)) stack.push_back(producer);
    }
  }
  return order;
}

Result<Tensor> ValueStore::Get(const Graph& graph, ValueId v) {
  if (const Tensor* known = Find(graph, v)) return *known;
  if (graph.value(v).producer == kNoNode)
    return Internal("value '", graph.value(v).name, "' has no producer and no contents");
  const std::vector<NodeId> nodes = Missing(graph, v, held_, inputs_);
  // What is on the way must not be dropped before it is used.
  std::map<ValueId, int> readers;
  std::map<ValueId, Tensor> live;
  for (NodeId id : nodes) {
    for (ValueId input : graph.node(id).inputs) {
      if (input == kNoValue || graph.Constant(input)) continue;
      ++readers[input];
      if (const Tensor* known = Find(graph, input)) live.insert_or_assign(input, *known);
    }
  }
  ++readers[v];
  for (NodeId id : nodes) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> inputs;
    for (ValueId input : node.inputs) {
      const Tensor* constant = graph.Constant(input);
      const auto it = live.find(input);
      inputs.push_back(constant ? constant : it == live.end() ? nullptr : &it->second);
    }
    auto outputs = EvaluateNode(node, inputs);
    if (!outputs) return Status(outputs.error()).AddContext(Describe(graph, id));
    for (ValueId input : node.inputs)
      if (const auto it = readers.find(input); it != readers.end() && --it->second == 0)
        live.erase(input);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.HasOutput(i)) continue;
      if (readers.contains(node.outputs[i])) live.insert_or_assign(node.outputs[i], (*outputs)[i]);
      Put(node.outputs[i], std::move((*outputs)[i]));
    }
  }
  return live.at(v);
}

}  // namespace sula
