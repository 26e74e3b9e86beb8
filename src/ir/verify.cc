#include <algorithm>
#include <set>

#include "ir/graph.h"

namespace sula {
namespace {

constexpr int kMaxSubgraphDepth = 64;

std::string TypeNames(TypeSet types) {
  std::string names;
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType t = static_cast<DType>(i);
    if (types & Bit(t)) names += (names.empty() ? "" : ", ") + std::string(Name(t));
  }
  return names;
}

// Checks one side of a node against its ports. types[i]: null where absent; without types only
// the number is checked.
Status CheckPorts(std::string_view what, std::span<const Port> ports, size_t count,
                  std::span<const TensorType* const> types) {
  const bool variadic = !ports.empty() && ports.back().arity == Arity::kVariadic;
  if (count > ports.size() && !variadic) {
    return InvalidModel(count, " ", what, "s given, the operator has ", ports.size());
  }
  for (size_t i = count; i < ports.size(); ++i) {
    if (ports[i].arity != Arity::kOptional)
      return InvalidModel(what, " ", i, " ('", ports[i].name, "') is missing");
  }
  for (size_t i = 0; i < types.size(); ++i) {
    const Port& port = ports[std::min(i, ports.size() - 1)];
    if (types[i] == nullptr) {
      if (port.arity == Arity::kRequired)
        return InvalidModel(what, " ", i, " ('", port.name, "') is missing");
    } else if (!(port.types & Bit(types[i]->dtype))) {
      return InvalidModel(what, " ", i, " ('", port.name, "') has type ", Name(types[i]->dtype),
                          "; allowed are ", TypeNames(port.types));
    }
  }
  return {};
}

class Verifier {
 public:
  Verifier(const Graph& graph, int depth) : g_(graph), depth_(depth) {}

  Status Run() {
    if (depth_ > kMaxSubgraphDepth) {
      return InvalidModel("subgraphs are nested deeper than ", kMaxSubgraphDepth);
    }
    RETURN_IF_ERROR(CheckValues());
    for (ValueId v : g_.inputs()) RETURN_IF_ERROR(CheckInput(v));
    for (ValueId v : g_.outputs()) {
      if (!IsValue(v)) return InvalidModel("a graph output refers to no value (id ", v, ")");
    }
    std::set<std::string_view> names;
    for (NodeId id = 0; id < g_.node_slots(); ++id) {
      if (!g_.IsLive(id)) continue;
      const Node& node = g_.node(id);
      if (node.name.empty()) return InvalidModel("node ", id, " has no name");
      if (!names.insert(node.name).second)
        return InvalidModel("two nodes are named '", node.name, "'");
      if (Status s = CheckNode(id); !s.ok())
        return std::move(s).AddContext(StrCat("node '", node.name, "' (", node.op->name, ")"));
    }
    return CheckAcyclic();
  }

 private:
  bool IsValue(ValueId v) const {
    return v >= 0 && v < g_.value_slots() && !g_.value(v).name.empty();
  }

  Status CheckValues() {
    std::set<std::string_view> names;
    for (ValueId v = 0; v < g_.value_slots(); ++v) {
      const Value& value = g_.value(v);
      if (value.name.empty()) continue;
      if (!names.insert(value.name).second)
        return InvalidModel("two values are named '", value.name, "'");
      if (Status s = CheckSizes(value.type); !s.ok())
        return std::move(s).AddContext(StrCat("value '", value.name, "'"));
      if (value.producer != kNoNode) {
        const bool known = value.producer >= 0 && value.producer < g_.node_slots() &&
                           g_.IsLive(value.producer) && value.output_index >= 0;
        const std::vector<ValueId>* outputs = known ? &g_.node(value.producer).outputs : nullptr;
        if (!known || static_cast<size_t>(value.output_index) >= outputs->size() ||
            (*outputs)[value.output_index] != v) {
          return InvalidModel("value '", value.name, "' is not an output of its producer");
        }
        if (value.constant)
          return InvalidModel("value '", value.name, "' is both computed and constant");
      }
      if (value.constant) {
        const TensorType actual = {value.constant->dtype(), Shape::Of(value.constant->dims())};
        if (actual != value.type) {
          return InvalidModel("constant '", value.name, "' is declared ", value.type.ToString(),
                              " but holds ", actual.ToString());
        }
      }
    }
    return {};
  }

  Status CheckInput(ValueId v) {
    if (!IsValue(v)) return InvalidModel("a graph input refers to no value (id ", v, ")");
    if (g_.value(v).producer != kNoNode || g_.value(v).constant)
      return InvalidModel("graph input '", g_.value(v).name, "' is also computed or constant");
    if (!inputs_.insert(v).second)
      return InvalidModel("graph input '", g_.value(v).name, "' is listed twice");
    return {};
  }

  Status CheckNode(NodeId id) {
    const Node& node = g_.node(id);
    std::vector<const TensorType*> inputs, outputs;
    for (ValueId v : node.inputs) {
      if (v == kNoValue) {
        inputs.push_back(nullptr);
        continue;
      }
      if (!IsValue(v)) return InvalidModel("input ", inputs.size(), " refers to no value");
      const Value& value = g_.value(v);
      if (value.producer == kNoNode && !value.constant && !inputs_.contains(v)) {
        return InvalidModel("input ", inputs.size(), " ('", value.name,
                            "') is neither computed nor constant nor a graph input");
      }
      inputs.push_back(&value.type);
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNoValue) {
        outputs.push_back(nullptr);
        continue;
      }
      if (!IsValue(v)) return InvalidModel("output ", i, " refers to no value");
      const Value& value = g_.value(v);
      if (value.producer != id || value.output_index != static_cast<int>(i))
        return InvalidModel("output ", i, " ('", value.name, "') is produced elsewhere too");
      outputs.push_back(&value.type);
    }
    RETURN_IF_ERROR(VerifyNode(node, inputs, outputs));
    for (const Graph& subgraph : node.subgraphs) {
      if (Status s = Verifier(subgraph, depth_ + 1).Run(); !s.ok())
        return std::move(s).AddContext(StrCat("subgraph '", subgraph.name, "'"));
    }
    return {};
  }

  Status CheckAcyclic() {
    const std::vector<NodeId> order = g_.TopologicalOrder();
    if (static_cast<int>(order.size()) == g_.num_nodes()) return {};
    std::vector<char> ordered(g_.node_slots(), 0);
    for (NodeId id : order) ordered[id] = 1;
    NodeId id = 0;
    while (ordered[id] || !g_.IsLive(id)) ++id;
    // Every node left has an unordered producer: walking up them must come round.
    std::vector<char> seen(g_.node_slots(), 0);
    while (!seen[id]) {
      seen[id] = 1;
      for (ValueId v : g_.node(id).inputs) {
        const NodeId producer = v == kNoValue ? kNoNode : g_.value(v).producer;
        if (producer == kNoNode || ordered[producer]) continue;
        id = producer;
        break;
      }
    }
    return InvalidModel("the graph has a cycle through node '", g_.node(id).name, "'");
  }

  const Graph& g_;
  int depth_;
  std::set<ValueId> inputs_;
};

}  // namespace

Status CheckSizes(const TensorType& type) {
  if (!type.shape) return {};
  constexpr int64_t kMaxBytes = int64_t{1} << 56;
  int64_t bytes = static_cast<int64_t>(SizeOf(type.dtype));
  for (const Dim& dim : *type.shape) {
    if (!dim.is_const() || dim.value() == 0) continue;
    if (dim.value() < 0) return InvalidModel("a size of ", type.ToString(), " is negative");
    if (dim.value() > kMaxBytes / bytes)
      return InvalidModel(type.ToString(), " is larger than any memory");
    bytes *= dim.value();
  }
  return {};
}

Status VerifyNode(const Node& node, std::span<const TensorType* const> inputs,
                  std::span<const TensorType* const> outputs) {
  const OpDef& op = *node.op;
  if (!node.params.has_value() || !node.params.SameType(op.default_params()))
    return InvalidModel("the parameters are not those of operator ", op.name);
  if (node.subgraphs.size() != static_cast<size_t>(op.num_subgraphs)) {
    return InvalidModel(node.subgraphs.size(), " subgraphs given, the operator has ",
                        op.num_subgraphs);
  }
  size_t captured = 0;
  for (const Graph& subgraph : node.subgraphs) captured += subgraph.captures.size();
  if (captured > inputs.size()) {
    return InvalidModel("the subgraphs capture ", captured, " values, the node has ", inputs.size(),
                        " inputs");
  }
  const size_t own = inputs.size() - captured;
  RETURN_IF_ERROR(CheckPorts("input", op.inputs, own, inputs.first(own)));
  RETURN_IF_ERROR(CheckPorts("output", op.outputs, node.outputs.size(), outputs));
  size_t next = own;
  for (const Graph& subgraph : node.subgraphs) {
    const size_t count = subgraph.captures.size(), all = subgraph.inputs().size();
    if (count > all) {
      return InvalidModel("subgraph '", subgraph.name, "' has ", all, " inputs but captures ",
                          count, " values");
    }
    for (size_t i = 0; i < count; ++i, ++next) {
      const ValueId inner = subgraph.inputs()[all - count + i];
      if (inner < 0 || inner >= subgraph.value_slots())
        return InvalidModel("subgraph '", subgraph.name, "' has an input that is no value");
      if (inputs[next] == nullptr)
        return InvalidModel("captured value '", subgraph.captures[i], "' is absent");
      if (const DType want = subgraph.value(inner).type.dtype; want != inputs[next]->dtype) {
        return InvalidModel("captured value '", subgraph.captures[i], "' has type ",
                            Name(inputs[next]->dtype), ", the subgraph expects ", Name(want));
      }
    }
  }
  return {};
}

Status Verify(const Graph& graph) { return Verifier(graph, 0).Run(); }

}  // namespace sula
