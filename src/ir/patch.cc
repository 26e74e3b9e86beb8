#include "ir/patch.h"

#include <algorithm>
#include <set>

namespace sula {

ValueId Patch::AddConstant(std::string name, Tensor value) {
  constants_.push_back({next_value_, std::move(name), std::move(value)});
  return next_value_++;
}

std::vector<ValueId> Patch::AddNodes(const OpDef& op, Params params, std::vector<ValueId> inputs,
                                     int num_outputs, std::string name) {
  std::vector<ValueId> outputs;
  for (int i = 0; i < num_outputs; ++i) outputs.push_back(next_value_++);
  nodes_.push_back({&op, std::move(params), std::move(inputs), outputs, std::move(name)});
  return outputs;
}

ValueId Patch::AddNode(const OpDef& op, Params params, std::vector<ValueId> inputs,
                       std::string name) {
  return AddNodes(op, std::move(params), std::move(inputs), 1, std::move(name)).front();
}

void Patch::Replace(ValueId from, ValueId to) { replaced_.emplace_back(from, to); }

std::vector<ValueId> Patch::Reads() const {
  std::vector<ValueId> reads;
  const auto add = [&](ValueId v) {
    if (v != kNoValue && v < first_value_ && std::ranges::count(reads, v) == 0) reads.push_back(v);
  };
  for (const NewNode& node : nodes_) std::ranges::for_each(node.inputs, add);
  for (const auto& [from, to] : replaced_) add(to);
  return reads;
}

namespace {

// True if a graph output of this value can hand its name to `v`.
bool CanTakeName(const Graph& graph, ValueId v) {
  return graph.value(v).producer != kNoNode && !graph.IsOutput(v);
}

// The more precise of two descriptions of one value; symbols are taken from `old_type`, which the
// rest of the graph uses. Nothing if they contradict each other.
std::optional<TensorType> Merge(const TensorType& old_type, const TensorType& new_type) {
  if (old_type.dtype != new_type.dtype) return std::nullopt;
  if (!new_type.shape) return old_type;
  if (!old_type.shape) return new_type;
  TensorType merged = old_type;
  if (old_type.shape->rank() != new_type.shape->rank()) return std::nullopt;
  for (int i = 0; i < new_type.shape->rank(); ++i) {
    const Dim &a = (*old_type.shape)[i], &b = (*new_type.shape)[i];
    if (a.is_const() && b.is_const() && a != b) return std::nullopt;
    if (b.is_const()) (*merged.shape)[i] = b;
  }
  return merged;
}

}  // namespace

void Patch::ProtectOutputs(const Graph& graph, const OpDef& identity) {
  std::set<ValueId> named;  // new outputs
  for (auto& [from, to] : replaced_) {
    if (!graph.IsOutput(from)) continue;
    const bool constant = std::ranges::count(constants_, to, &NewConstant::id) > 0;
    const bool free = to >= first_value_ ? !constant : CanTakeName(graph, to);
    if (!free || named.contains(to)) {
      to = AddNode(identity, identity.default_params(), {to},
                   graph.value(from).producer == kNoNode
                       ? graph.value(from).name
                       : graph.node(graph.value(from).producer).name);
    }
    named.insert(to);
  }
}

// Applies one patch: everything that can fail comes first, on staged values; then the graph and
// its uses are changed.
class PatchApplier {
 public:
  PatchApplier(Patch patch, Graph& graph, UseIndex& uses)
      : patch_(std::move(patch)), g_(graph), uses_(uses) {}

  Status Run() {
    RETURN_IF_ERROR(StageValues());
    RETURN_IF_ERROR(StageNodes());
    RETURN_IF_ERROR(StageReplacements());
    if (!SurelyAcyclic()) RETURN_IF_ERROR(CheckAcyclic());
    AddValues();
    Redirect();
    RemoveDead();
    TakeNodeNames();
    return {};
  }

 private:
  bool IsNew(ValueId v) const { return v >= patch_.first_value_; }
  bool IsKnown(ValueId v) const {
    return v >= 0 && v < patch_.next_value_ && (IsNew(v) || !g_.value(v).name.empty());
  }
  const TensorType& TypeOf(ValueId v) const {
    return IsNew(v) ? new_types_[v - patch_.first_value_] : g_.value(v).type;
  }

  Status StageValues() {
    if (patch_.first_value_ != g_.value_slots())
      return Internal("the patch was made for another state of the graph");
    new_types_.resize(patch_.next_value_ - patch_.first_value_);
    new_constants_.resize(new_types_.size());
    new_producer_.resize(new_types_.size(), -1);
    for (Patch::NewConstant& c : patch_.constants_) {
      const size_t i = c.id - patch_.first_value_;
      new_types_[i] = {c.value.dtype(), Shape::Of(c.value.dims())};
      new_constants_[i] = std::make_shared<const Tensor>(std::move(c.value));
    }
    return {};
  }

  Status StageNodes() {
    for (size_t n = 0; n < patch_.nodes_.size(); ++n) {
      const Patch::NewNode& p = patch_.nodes_[n];
      Node node;
      node.op = p.op;
      node.name = p.name;
      node.inputs = p.inputs;
      node.outputs = p.outputs;
      node.params = p.params;
      std::vector<TensorType> types;
      std::vector<const TensorType*> present;
      std::vector<const Tensor*> constants;
      for (ValueId v : p.inputs) {
        if (v == kNoValue) {
          types.emplace_back();
          constants.push_back(nullptr);
          continue;
        }
        if (!IsKnown(v)) return Internal("the patch's node '", p.name, "' reads no value");
        types.push_back(TypeOf(v));
        constants.push_back(IsNew(v) ? new_constants_[v - patch_.first_value_].get()
                                     : g_.Constant(v));
      }
      for (size_t i = 0; i < types.size(); ++i)
        present.push_back(p.inputs[i] == kNoValue ? nullptr : &types[i]);
      const auto frame = [&] { return StrCat("new node '", p.name, "' (", p.op->name, ")"); };
      if (Status s = VerifyNode(node, present, {}); !s.ok())
        return std::move(s).AddContext(frame());
      Result<std::vector<TensorType>> inferred = InferNode(node, types, constants);
      if (!inferred.has_value()) return Status(inferred.status()).AddContext(frame());
      for (size_t i = 0; i < p.outputs.size(); ++i) {
        new_types_[p.outputs[i] - patch_.first_value_] = std::move((*inferred)[i]);
        new_producer_[p.outputs[i] - patch_.first_value_] = static_cast<int>(n);
      }
    }
    return {};
  }

  Status StageReplacements() {
    for (const auto& [from, to] : patch_.replaced_) {
      if (!IsKnown(from) || IsNew(from) || !IsKnown(to) || from == to)
        return Internal("the patch replaces or is to use a value that does not exist");
      if (!replaced_.emplace(from, to).second)
        return Internal("the patch replaces '", g_.value(from).name, "' twice");
    }
    std::set<ValueId> named;
    for (const auto& [from, to] : patch_.replaced_) {
      if (replaced_.contains(to)) return Internal("the patch replaces a replacement");
      const std::optional<TensorType> merged = Merge(g_.value(from).type, TypeOf(to));
      if (!merged) {
        return Internal("'", g_.value(from).name, "' is ", g_.value(from).type.ToString(),
                        ", its replacement ", TypeOf(to).ToString());
      }
      if (IsNew(to)) new_types_[to - patch_.first_value_] = *merged;
      if (uses_.output_[from] == 0) continue;
      const bool free =
          IsNew(to) ? new_producer_[to - patch_.first_value_] >= 0 : CanTakeName(g_, to);
      if (!free || !named.insert(to).second) {
        return Internal("graph output '", g_.value(from).name,
                        "' would lose its name to another value");
      }
    }
    return {};
  }

  // What the patch reads of the graph lies close before everything it replaces: then nothing that
  // reads a replaced value can be needed to compute its replacement.
  bool SurelyAcyclic() const {
    constexpr size_t kMaxVisited = 64;
    std::set<ValueId> external;
    const auto read = [&](ValueId v) {
      if (v != kNoValue && !IsNew(v) && g_.value(v).producer != kNoNode) external.insert(v);
    };
    for (const Patch::NewNode& node : patch_.nodes_) std::ranges::for_each(node.inputs, read);
    for (const auto& [from, to] : patch_.replaced_) read(to);
    for (const auto& [from, to] : patch_.replaced_) {
      std::vector<ValueId> seen = {from};
      for (size_t next = 0; next < seen.size() && seen.size() < kMaxVisited; ++next) {
        const NodeId producer = g_.value(seen[next]).producer;
        if (producer == kNoNode) continue;
        for (ValueId v : g_.node(producer).inputs)
          if (v != kNoValue && std::ranges::count(seen, v) == 0) seen.push_back(v);
      }
      for (ValueId v : external)
        if (std::ranges::count(seen, v) == 0) return false;
    }
    return true;
  }

  // Searches the graph as it would be, from the replacements backwards, for a way round.
  Status CheckAcyclic() const {
    const int old_nodes = g_.node_slots();
    std::vector<char> state(old_nodes + patch_.nodes_.size(), 0);  // 1: on the path, 2: done
    const auto producer = [&](ValueId v) {
      if (v == kNoValue) return -1;
      if (!IsNew(v)) return g_.value(v).producer;
      const int n = new_producer_[v - patch_.first_value_];
      return n < 0 ? -1 : old_nodes + n;
    };
    const auto input = [&](int node, size_t i) -> std::optional<ValueId> {
      const std::vector<ValueId>& inputs =
          node < old_nodes ? g_.node(node).inputs : patch_.nodes_[node - old_nodes].inputs;
      if (i >= inputs.size()) return std::nullopt;
      if (node >= old_nodes) return inputs[i];
      const auto it = replaced_.find(inputs[i]);
      return it == replaced_.end() ? inputs[i] : it->second;
    };
    std::vector<std::pair<int, size_t>> path;  // node, next input
    for (const auto& [from, to] : patch_.replaced_) {
      if (const int start = producer(to); start >= 0 && state[start] == 0) {
        path.emplace_back(start, 0);
        state[start] = 1;
      }
      while (!path.empty()) {
        const auto [node, i] = path.back();
        const std::optional<ValueId> v = input(node, i);
        if (!v) {
          state[node] = 2;
          path.pop_back();
          continue;
        }
        ++path.back().second;
        const int next = producer(*v);
        if (next < 0 || state[next] == 2) continue;
        if (state[next] == 1)
          return Internal("replacing '", g_.value(from).name, "' would make a cycle");
        state[next] = 1;
        path.emplace_back(next, 0);
      }
    }
    return {};
  }

  // From here on nothing fails.
  void AddValues() {
    for (ValueId v = patch_.first_value_; v < patch_.next_value_; ++v) {
      const size_t i = v - patch_.first_value_;
      Value& value = g_.values_.emplace_back();
      value.type = std::move(new_types_[i]);
      value.constant = std::move(new_constants_[i]);
      uses_.uses_.emplace_back();
      uses_.output_.push_back(0);
    }
    const auto claim = [&](ValueId v, std::string name) {
      g_.values_[v].name = g_.value_names_.Claim(std::move(name), v);
    };
    for (Patch::NewConstant& c : patch_.constants_)
      claim(c.id, c.name.empty() ? "constant" : std::move(c.name));
    for (Patch::NewNode& p : patch_.nodes_) {
      const NodeId id = g_.node_slots();
      Node& node = g_.nodes_.emplace_back();
      node.op = p.op;
      node.params = std::move(p.params);
      node.inputs = std::move(p.inputs);
      node.outputs = std::move(p.outputs);
      if (p.name.empty()) p.name = p.op->name;
      node.name = g_.node_names_.Claim(p.name, id);
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        const ValueId v = node.outputs[i];
        g_.values_[v].producer = id;
        g_.values_[v].output_index = static_cast<int>(i);
        claim(v, i == 0 ? p.name : p.name + "." + std::to_string(i));
      }
      for (ValueId v : node.inputs)
        if (v != kNoValue) AddReader(v, id);
      new_nodes_.push_back(id);
    }
  }

  void AddReader(ValueId v, NodeId id) {
    std::vector<NodeId>& readers = uses_.uses_[v];
    const auto at = std::ranges::lower_bound(readers, id);
    if (at == readers.end() || *at != id) readers.insert(at, id);
  }

  void Redirect() {
    const NodeId first_new = g_.node_slots() - static_cast<NodeId>(new_nodes_.size());
    for (const auto& [from, to] : patch_.replaced_) {
      std::vector<NodeId> kept;  // new nodes go on reading the old value
      for (NodeId reader : uses_.uses_[from]) {
        if (reader >= first_new) {
          kept.push_back(reader);
          continue;
        }
        std::ranges::replace(g_.nodes_[reader].inputs, from, to);
        AddReader(to, reader);
      }
      uses_.uses_[from] = std::move(kept);
      const bool output = uses_.output_[from] > 0;
      if (output) {
        std::ranges::replace(g_.outputs_, from, to);
        uses_.output_[to] += std::exchange(uses_.output_[from], 0);
      }
      if (output || IsNew(to)) g_.SwapNames(from, to);
    }
  }

  void RemoveDead() {
    std::vector<NodeId> work = new_nodes_;
    for (const auto& [from, to] : patch_.replaced_)
      if (g_.value(from).producer != kNoNode) work.push_back(g_.value(from).producer);
    while (!work.empty()) {
      const NodeId id = work.back();
      work.pop_back();
      const Node& node = g_.node(id);
      if (!node.op || node.op->Has(kImpure) || std::ranges::any_of(node.outputs, [&](ValueId v) {
            return v != kNoValue && uses_.Count(v) > 0;
          }))
        continue;
      const std::vector<ValueId> inputs = node.inputs;
      g_.RemoveNode(id);
      for (ValueId v : inputs) {
        if (v == kNoValue) continue;
        std::erase(uses_.uses_[v], id);
        if (const NodeId producer = g_.value(v).producer; producer != kNoNode)
          work.push_back(producer);
      }
    }
  }

  void TakeNodeNames() {
    for (size_t n = 0; n < new_nodes_.size(); ++n) {
      const NodeId id = new_nodes_[n];
      if (!g_.IsLive(id) || g_.node(id).name == patch_.nodes_[n].name) continue;
      if (!g_.FindNode(patch_.nodes_[n].name)) g_.RenameNode(id, patch_.nodes_[n].name);
    }
  }

  Patch patch_;
  Graph& g_;
  UseIndex& uses_;
  std::vector<TensorType> new_types_;                         // by id - first_value_
  std::vector<std::shared_ptr<const Tensor>> new_constants_;  // null: a node's output
  std::vector<int> new_producer_;                             // index into patch_.nodes_, or -1
  std::map<ValueId, ValueId> replaced_;
  std::vector<NodeId> new_nodes_;
};

Status Apply(Patch patch, Graph& graph, UseIndex& uses) {
  return PatchApplier(std::move(patch), graph, uses).Run();
}

Status Apply(Patch patch, Graph& graph) {
  UseIndex uses(graph);
  return Apply(std::move(patch), graph, uses);
}

}  // namespace sula
