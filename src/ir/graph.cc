#include "ir/graph.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace sula {

std::string Graph::NameTable::Claim(std::string name, int32_t id) {
  if (!ids.contains(name)) {
    ids.emplace(name, id);
    return name;
  }
  int& suffix = next_suffix[name];
  std::string candidate;
  do {
    candidate = name + "_" + std::to_string(++suffix);
  } while (ids.contains(candidate));
  ids.emplace(candidate, id);
  return candidate;
}

ValueId Graph::NewValue(std::string name) {
  const ValueId id = value_slots();
  if (name.empty()) name = "value";
  values_.emplace_back().name = value_names_.Claim(std::move(name), id);
  return id;
}

ValueId Graph::AddInput(std::string name, TensorType type) {
  const ValueId id = NewValue(name.empty() ? "input" : std::move(name));
  values_[id].type = std::move(type);
  inputs_.push_back(id);
  return id;
}

ValueId Graph::AddConstant(std::string name, Tensor value) {
  return AddConstant(std::move(name), std::make_shared<const Tensor>(std::move(value)));
}

ValueId Graph::AddConstant(std::string name, std::shared_ptr<const Tensor> value) {
  const ValueId id = NewValue(name.empty() ? "constant" : std::move(name));
  values_[id].type = {value->dtype(), Shape::Of(value->dims())};
  values_[id].constant = std::move(value);
  return id;
}

NodeId Graph::AddNode(const OpDef& op, Params params, std::vector<ValueId> inputs, int num_outputs,
                      std::string node_name, std::vector<std::string> output_names) {
  const NodeId id = node_slots();
  if (node_name.empty()) node_name = op.name;
  Node& node = nodes_.emplace_back();
  node.op = &op;
  node.name = node_names_.Claim(std::move(node_name), id);
  node.inputs = std::move(inputs);
  node.params = std::move(params);
  for (int i = 0; i < num_outputs; ++i) {
    const bool named = i < static_cast<int>(output_names.size());
    if (named && output_names[i].empty()) {
      node.outputs.push_back(kNoValue);
      continue;
    }
    const ValueId v = NewValue(named    ? std::move(output_names[i])
                               : i == 0 ? node.name
                                        : node.name + "." + std::to_string(i));
    values_[v].producer = id;
    values_[v].output_index = i;
    node.outputs.push_back(v);
  }
  return id;
}

int Graph::num_nodes() const {
  return static_cast<int>(
      std::ranges::count_if(nodes_, [](const Node& n) { return n.op != nullptr; }));
}

std::vector<NodeId> Graph::TopologicalOrder() const {
  std::vector<int> waiting(nodes_.size(), 0);  // inputs not yet computed
  const UseIndex uses(*this);
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  std::vector<ValueId> distinct;
  for (NodeId id = 0; id < node_slots(); ++id) {
    if (!IsLive(id)) continue;
    distinct = nodes_[id].inputs;
    std::ranges::sort(distinct);
    const auto repeated = std::ranges::unique(distinct);
    distinct.erase(repeated.begin(), repeated.end());
    waiting[id] = static_cast<int>(std::ranges::count_if(
        distinct, [&](ValueId v) { return v != kNoValue && values_[v].producer != kNoNode; }));
    if (waiting[id] == 0) ready.push(id);
  }
  std::vector<NodeId> order;
  order.reserve(nodes_.size());
  while (!ready.empty()) {
    const NodeId id = ready.top();
    ready.pop();
    order.push_back(id);
    for (ValueId v : nodes_[id].outputs) {
      if (v == kNoValue) continue;
      for (NodeId reader : uses.Of(v))
        if (--waiting[reader] == 0) ready.push(reader);
    }
  }
  return order;
}

std::vector<NodeId> Graph::Consumers(ValueId v) const {
  std::vector<NodeId> readers;
  for (NodeId id = 0; id < node_slots(); ++id)
    if (IsLive(id) && std::ranges::count(nodes_[id].inputs, v) > 0) readers.push_back(id);
  return readers;
}

bool Graph::IsOutput(ValueId v) const { return std::ranges::count(outputs_, v) > 0; }
bool Graph::IsInput(ValueId v) const { return std::ranges::count(inputs_, v) > 0; }

std::optional<ValueId> Graph::FindValue(std::string_view name) const {
  const auto it = value_names_.ids.find(name);
  if (it == value_names_.ids.end()) return std::nullopt;
  return it->second;
}

std::optional<NodeId> Graph::FindNode(std::string_view name) const {
  const auto it = node_names_.ids.find(name);
  if (it == node_names_.ids.end()) return std::nullopt;
  return it->second;
}

void Graph::RemoveNode(NodeId id) {
  Node& node = nodes_[id];
  for (ValueId v : node.outputs) {
    if (v == kNoValue) continue;
    value_names_.Release(values_[v].name);
    values_[v] = Value{};
  }
  node_names_.Release(node.name);
  node = Node{};
}

void Graph::ReplaceUses(ValueId from, ValueId to) {
  for (Node& node : nodes_) std::ranges::replace(node.inputs, from, to);
  std::ranges::replace(outputs_, from, to);
}

void Graph::RenameValue(ValueId id, std::string new_name) {
  value_names_.Release(values_[id].name);
  values_[id].name = value_names_.Claim(std::move(new_name), id);
}

void Graph::RenameNode(NodeId id, std::string new_name) {
  node_names_.Release(nodes_[id].name);
  nodes_[id].name = node_names_.Claim(std::move(new_name), id);
}

void Graph::SwapNames(ValueId a, ValueId b) {
  std::swap(values_[a].name, values_[b].name);
  value_names_.ids[values_[a].name] = a;
  value_names_.ids[values_[b].name] = b;
}

int Graph::RemoveDead() {
  std::vector<int> readers(values_.size(), 0);
  for (const Node& node : nodes_)
    for (ValueId v : node.inputs)
      if (v != kNoValue) ++readers[v];
  for (ValueId v : outputs_) ++readers[v];
  const auto dead = [&](NodeId id) {
    return IsLive(id) && !nodes_[id].op->Has(kImpure) &&
           std::ranges::all_of(nodes_[id].outputs,
                               [&](ValueId v) { return v == kNoValue || readers[v] == 0; });
  };
  std::vector<NodeId> work;
  for (NodeId id = 0; id < node_slots(); ++id)
    if (dead(id)) work.push_back(id);
  int removed = 0;
  while (!work.empty()) {
    const NodeId id = work.back();
    work.pop_back();
    const std::vector<ValueId> inputs = nodes_[id].inputs;
    RemoveNode(id);
    ++removed;
    for (ValueId v : inputs) {
      if (v == kNoValue || --readers[v] > 0) continue;
      const NodeId producer = values_[v].producer;
      if (producer != kNoNode && dead(producer)) work.push_back(producer);
    }
  }
  return removed;
}

void Graph::Compact() {
  std::vector<char> used(values_.size(), 0);
  for (ValueId v : inputs_) used[v] = 1;
  for (ValueId v : outputs_) used[v] = 1;
  for (const Node& node : nodes_) {
    for (ValueId v : node.inputs)
      if (v != kNoValue) used[v] = 1;
    for (ValueId v : node.outputs)
      if (v != kNoValue) used[v] = 1;
  }
  std::vector<ValueId> new_value(values_.size(), kNoValue);
  std::vector<Value> values;
  for (ValueId v = 0; v < value_slots(); ++v) {
    if (!used[v]) continue;
    new_value[v] = static_cast<ValueId>(values.size());
    values.push_back(std::move(values_[v]));
  }
  values_ = std::move(values);
  const auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& v : ids)
      if (v != kNoValue) v = new_value[v];
  };
  std::erase_if(nodes_, [](const Node& n) { return n.op == nullptr; });
  value_names_ = {};
  node_names_ = {};
  for (NodeId id = 0; id < node_slots(); ++id) {
    renumber(nodes_[id].inputs);
    renumber(nodes_[id].outputs);
    node_names_.ids[nodes_[id].name] = id;
    for (ValueId v : nodes_[id].outputs)
      if (v != kNoValue) values_[v].producer = id;
  }
  renumber(inputs_);
  renumber(outputs_);
  for (ValueId v = 0; v < value_slots(); ++v) value_names_.ids[values_[v].name] = v;
}

UseIndex::UseIndex(const Graph& g) : uses_(g.value_slots()), output_(g.value_slots(), 0) {
  for (NodeId id = 0; id < g.node_slots(); ++id) {
    for (ValueId v : g.node(id).inputs)
      if (v != kNoValue && (uses_[v].empty() || uses_[v].back() != id)) uses_[v].push_back(id);
  }
  for (ValueId v : g.outputs()) ++output_[v];
}

std::string Describe(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  std::string types;
  for (ValueId v : node.inputs) {
    types += types.empty() ? "" : ", ";
    types += v == kNoValue ? "_" : graph.value(v).type.ToString();
  }
  return StrCat("node '", node.name, "' (", node.op ? node.op->name : "removed", ": ", types, ")");
}

}  // namespace sula
