#include "api/graph_facts.h"

#include <algorithm>
#include <map>
#include <set>

namespace sula {
namespace {

class Counter {
 public:
  explicit Counter(GraphCount& total) : total_(total) {}

  void Add(const Graph& graph, bool top) {
    for (NodeId id : graph.TopologicalOrder()) {
      const Node& node = graph.node(id);
      ++total_.nodes;
      ++operators_[std::string(node.op->name)];
      AddCost(graph, node, top);
      for (ValueId v : node.inputs)
        if (const Tensor* t = graph.Constant(v)) AddConstant(*t);
      for (const Graph& g : node.subgraphs) Add(g, false);
    }
    for (ValueId v : graph.outputs())
      if (const Tensor* t = graph.Constant(v)) AddConstant(*t);
  }

  void Finish() {
    total_.operators.assign(operators_.begin(), operators_.end());
    std::stable_sort(total_.operators.begin(), total_.operators.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
  }

 private:
  // How often a subgraph runs is not known, so its nodes are not counted.
  void AddCost(const Graph& graph, const Node& node, bool top) {
    if (!node.op->cost) return;
    bool concrete = top;
    auto types = [&](const std::vector<ValueId>& values) {
      std::vector<TensorType> r;
      for (ValueId v : values) {
        r.push_back(v == kNoValue ? TensorType{} : graph.value(v).type);
        concrete &= v == kNoValue || (r.back().shape && r.back().shape->IsConcrete());
      }
      return r;
    };
    std::vector<TensorType> inputs = types(node.inputs), outputs = types(node.outputs);
    if (concrete) {
      total_.multiply_adds += node.op->cost(node, inputs, outputs).flops / 2;
    } else {
      ++total_.uncounted_nodes;
    }
  }

  void AddConstant(const Tensor& t) {
    if (!seen_.insert(t.raw()).second) return;
    total_.parameters += t.num_elements();
    total_.constant_bytes += static_cast<int64_t>(t.bytes());
  }

  GraphCount& total_;
  std::map<std::string, int64_t> operators_;
  std::set<const void*> seen_;
};

}  // namespace

GraphCount Count(const Graph& graph) {
  GraphCount total;
  Counter counter(total);
  counter.Add(graph, true);
  counter.Finish();
  return total;
}

ValueInfo DescribeValue(const Value& value) {
  ValueInfo info{.name = value.name,
                 .dtype = value.type.dtype,
                 .ranked = value.type.shape.has_value(),
                 .dims = {},
                 .type = value.type.ToString()};
  if (value.type.shape)
    for (const Dim& d : *value.type.shape) info.dims.push_back(d.TryValue().value_or(-1));
  return info;
}

Status CheckIsInput(const Graph& graph, std::string_view name) {
  std::optional<ValueId> v = graph.FindValue(name);
  if (v && graph.IsInput(*v)) return {};
  std::string known;
  for (ValueId input : graph.inputs())
    known += StrCat("\n  ", graph.value(input).name, ": ", graph.value(input).type.ToString());
  return InvalidArgument("the model has no input '", name, "'; its inputs are", known);
}

}  // namespace sula
