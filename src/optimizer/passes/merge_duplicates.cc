// Common subexpressions: of several nodes that compute the same from the same values, and of equal
// constants, the first stays.
#include <algorithm>
#include <string>
#include <unordered_map>

#include "optimizer/passes/passes.h"

namespace sula::passes {
namespace {

void Append(std::string& key, const void* data, size_t bytes) {
  key.append(static_cast<const char*>(data), bytes);
}
template <class T>
void Append(std::string& key, const T& plain) {
  Append(key, &plain, sizeof plain);
}

class Merger {
 public:
  explicit Merger(Graph& graph) : g_(graph), same_as_(graph.value_slots()) {
    for (ValueId v = 0; v < g_.value_slots(); ++v) same_as_[v] = v;
  }

  int Run() {
    MergeConstants();
    std::unordered_map<std::string, NodeId> first;
    for (NodeId id : g_.TopologicalOrder()) {
      for (ValueId& v : g_.node(id).inputs)
        if (v != kNoValue) v = same_as_[v];
      const Node& node = g_.node(id);
      if (node.op->Has(kImpure) || !node.subgraphs.empty()) continue;
      const auto [it, inserted] = first.emplace(KeyOf(node), id);
      // An output has to keep its name, so its node stays.
      if (inserted || std::ranges::any_of(
                          node.outputs, [&](ValueId v) { return v != kNoValue && g_.IsOutput(v); }))
        continue;
      const std::vector<ValueId>& kept = g_.node(it->second).outputs;
      for (size_t i = 0; i < kept.size(); ++i)
        if (node.outputs[i] != kNoValue) same_as_[node.outputs[i]] = kept[i];
      duplicates_.push_back(id);
    }
    for (NodeId id : duplicates_) g_.RemoveNode(id);
    return constants_ + static_cast<int>(duplicates_.size());
  }

 private:
  void MergeConstants() {
    std::unordered_map<size_t, std::vector<ValueId>> by_hash;
    const UseIndex uses(g_);
    for (ValueId v = 0; v < g_.value_slots(); ++v) {
      const Tensor* t = g_.Constant(v);
      if (!t || uses.Count(v) == 0) continue;
      // The beginning tells most apart; comparing the rest stops at the first difference.
      constexpr size_t kHashed = 1024;
      const std::string_view bytes(reinterpret_cast<const char*>(t->raw()),
                                   std::min(t->bytes(), kHashed));
      std::vector<ValueId>& candidates = by_hash[std::hash<std::string_view>()(bytes)];
      const auto same =
          std::ranges::find_if(candidates, [&](ValueId c) { return *g_.Constant(c) == *t; });
      if (same == candidates.end()) {
        candidates.push_back(v);
      } else {
        same_as_[v] = *same;
        ++constants_;
      }
    }
  }

  // Equal for nodes that compute the same.
  std::string KeyOf(const Node& node) const {
    std::string key;
    Append(key, node.op);
    Append(key, node.inputs.size());
    Append(key, node.inputs.data(), node.inputs.size() * sizeof(ValueId));
    for (ValueId v : node.outputs) key += v == kNoValue ? '_' : 'o';
    for (const Field& field : node.op->fields)
      key += ToString(Field::Get(field, node.params)) + ';';
    return key;
  }

  Graph& g_;
  std::vector<ValueId> same_as_;
  std::vector<NodeId> duplicates_;
  int constants_ = 0;
};

Result<int> MergeDuplicates(Graph& graph) { return Merger(graph).Run(); }

}  // namespace

constinit const Pass kMergeDuplicates = {
    "merge-duplicates", "f(x), f(x) -> f(x) once; equal constants once", MergeDuplicates};

}  // namespace sula::passes
