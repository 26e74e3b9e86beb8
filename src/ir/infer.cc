// Shape inference over a whole graph: types and, for small integer tensors, contents travel along
// the nodes in topological order.
#include <algorithm>
#include <charconv>
#include <set>

#include "ir/graph.h"

namespace sula {
namespace {

using Contents = std::optional<std::vector<Dim>>;

// Tensors of more elements never hold sizes.
constexpr int64_t kMaxContents = 1024;

// Hands out symbols that no shape of the graph uses.
class FreshSymbols {
 public:
  void Avoid(const TensorType& type) {
    if (!type.shape) return;
    for (const Dim& dim : *type.shape)
      for (std::string& name : dim.Symbols()) used_.insert(std::move(name));
  }
  Dim Next() {
    std::string name;
    do {
      name = "_" + std::to_string(next_++);
    } while (used_.contains(name));
    return Dim::Symbol(name);
  }

 private:
  std::set<std::string> used_;
  int next_ = 0;
};

Contents ContentsOf(const Tensor& t) {
  if (t.dtype() != DType::kInt64 && t.dtype() != DType::kInt32) return std::nullopt;
  if (t.rank() > 1 || t.num_elements() > kMaxContents) return std::nullopt;
  const std::vector<int64_t> values = t.ToInts();
  return std::vector<Dim>(values.begin(), values.end());
}

// One node's inference; results are taken from types() and contents().
class NodeInference : public InferContext {
 public:
  NodeInference(const Node& node, std::span<const TensorType* const> inputs,
                std::span<const Tensor* const> constants, std::span<const Contents* const> contents,
                FreshSymbols& symbols)
      : node_(node),
        inputs_(inputs),
        constants_(constants),
        input_contents_(contents),
        symbols_(symbols),
        types_(node.outputs.size()),
        contents_(node.outputs.size()) {}

  // Calls the operator's Infer and completes what it left open.
  Status Run() {
    if (node_.op->infer) {
      Status s = node_.op->infer(*this);
      if (!s.ok() && !ErrorIsUnknownRank(s)) return s;
    }
    for (size_t i = 0; i < types_.size(); ++i) {
      const Port& port = node_.op->outputs[std::min(i, node_.op->outputs.size() - 1)];
      if (!types_[i]) types_[i] = TensorType{DefaultType(port.types), std::nullopt};
      if (!(port.types & Bit(types_[i]->dtype))) {
        return InvalidModel("output ", i, " ('", port.name, "') cannot be of type ",
                            Name(types_[i]->dtype));
      }
      if (Status s = CheckSizes(*types_[i]); !s.ok())
        return std::move(s).AddContext(StrCat("output ", i, " ('", port.name, "')"));
    }
    return {};
  }

  const TensorType& type(size_t i) const { return *types_[i]; }
  Contents TakeContents(size_t i) { return std::move(contents_[i]); }

  const Params& RawParams() const override { return node_.params; }
  const Node& node() const override { return node_; }
  int num_inputs() const override { return static_cast<int>(node_.inputs.size()); }
  int num_outputs() const override { return static_cast<int>(node_.outputs.size()); }
  bool HasInput(int i) const override { return node_.HasInput(i); }
  bool HasOutput(int i) const override { return node_.HasOutput(i); }
  const TensorType& input(int i) const override { return *inputs_[i]; }
  const Tensor* InputConstant(int i) const override { return constants_[i]; }
  Contents InputContents(int i) const override {
    if (constants_[i]) return ContentsOf(*constants_[i]);
    return input_contents_.empty() || !input_contents_[i] ? std::nullopt : *input_contents_[i];
  }
  void SetOutput(int i, TensorType type) override {
    if (i < num_outputs()) types_[i] = std::move(type);
  }
  void SetOutputContents(int i, std::vector<Dim> contents) override {
    if (i < num_outputs() && static_cast<int64_t>(contents.size()) <= kMaxContents)
      contents_[i] = std::move(contents);
  }
  Dim FreshSymbol() override { return symbols_.Next(); }

 private:
  DType DefaultType(TypeSet allowed) const {
    for (int i = 0; i < kDTypeCount; ++i)
      if (allowed == Bit(static_cast<DType>(i))) return static_cast<DType>(i);
    for (int i = 0; i < num_inputs(); ++i)
      if (HasInput(i) && (allowed & Bit(input(i).dtype))) return input(i).dtype;
    for (int i = 0; i < kDTypeCount; ++i)
      if (allowed & Bit(static_cast<DType>(i))) return static_cast<DType>(i);
    return DType::kFloat32;
  }

  const Node& node_;
  std::span<const TensorType* const> inputs_;
  std::span<const Tensor* const> constants_;
  std::span<const Contents* const> input_contents_;
  FreshSymbols& symbols_;
  std::vector<std::optional<TensorType>> types_;
  std::vector<Contents> contents_;
};

class GraphInference {
 public:
  GraphInference(Graph& graph, FreshSymbols& symbols)
      : g_(graph), symbols_(symbols), contents_(graph.value_slots()) {}

  Status Run() {
    for (NodeId id : g_.TopologicalOrder()) {
      Status s = InferOne(id);
      if (!s.ok()) return std::move(s).AddContext(Describe(g_, id));
    }
    return {};
  }

  ContentsByValue TakeContents() { return std::move(contents_); }

 private:
  Status InferOne(NodeId id) {
    Node& node = g_.node(id);
    const size_t n = node.inputs.size();
    std::vector<const TensorType*> types(n, nullptr);
    std::vector<const Tensor*> constants(n, nullptr);
    std::vector<const Contents*> contents(n, nullptr);
    for (size_t i = 0; i < n; ++i) {
      const ValueId v = node.inputs[i];
      if (v == kNoValue) continue;
      types[i] = &g_.value(v).type;
      constants[i] = g_.Constant(v);
      contents[i] = &contents_[v];
    }
    RETURN_IF_ERROR(VerifyNode(node, types, {}));
    RETURN_IF_ERROR(InferSubgraphs(node));
    NodeInference inference(node, types, constants, contents, symbols_);
    RETURN_IF_ERROR(inference.Run());
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      g_.value(node.outputs[i]).type = inference.type(i);
      contents_[node.outputs[i]] = inference.TakeContents(i);
    }
    return {};
  }

  // Of several bodies one runs. Where sizes decide which, the others may make no sense for these
  // sizes (a body for 4 axes, say, when there are 5): that is an error only if all of them fail.
  Status InferSubgraphs(Node& node) {
    size_t next = node.inputs.size();
    for (const Graph& subgraph : node.subgraphs) next -= subgraph.captures.size();
    size_t failed = 0;
    Status first_error;
    for (Graph& subgraph : node.subgraphs) {
      const size_t count = subgraph.captures.size();
      const size_t first = subgraph.inputs().size() - count;
      for (size_t i = 0; i < count; ++i, ++next)
        subgraph.value(subgraph.inputs()[first + i]).type = g_.value(node.inputs[next]).type;
      Status s = GraphInference(subgraph, symbols_).Run();
      if (!s.ok()) s.AddContext(StrCat("subgraph '", subgraph.name, "'"));
      subgraph.contradiction = s.ok() ? "" : s.ToString();
      if (!s.ok() && failed++ == 0) first_error = std::move(s);
    }
    return failed == node.subgraphs.size() ? first_error : Status();
  }

  Graph& g_;
  FreshSymbols& symbols_;
  ContentsByValue contents_;
};

void AvoidInputSymbols(const Graph& graph, FreshSymbols& symbols) {
  for (ValueId v : graph.inputs()) symbols.Avoid(graph.value(v).type);
  for (NodeId id = 0; id < graph.node_slots(); ++id)
    for (const Graph& subgraph : graph.node(id).subgraphs) AvoidInputSymbols(subgraph, symbols);
}

Status Override(Graph& graph, const std::map<std::string, Shape>& overrides) {
  for (const auto& [name, shape] : overrides) {
    const std::optional<ValueId> v = graph.FindValue(name);
    if (!v || !graph.IsInput(*v)) {
      std::string known;
      for (ValueId i : graph.inputs()) known += (known.empty() ? "" : ", ") + graph.value(i).name;
      return InvalidArgument("the graph has no input '", name, "'; it has ", known);
    }
    for (const Dim& dim : shape) {
      if (dim.is_const() && dim.value() < 0)
        return InvalidArgument("input '", name, "' cannot have the shape ", shape.ToString());
    }
    std::optional<Shape>& declared = graph.value(*v).type.shape;
    if (declared && declared->rank() != shape.rank()) {
      return InvalidArgument("input '", name, "' has the shape ", declared->ToString(),
                             "; a shape of another rank was given: ", shape.ToString());
    }
    declared = shape;
  }
  return {};
}

}  // namespace

Status InferShapes(Graph& graph, const std::map<std::string, Shape>* overrides,
                   ContentsByValue* contents) {
  if (overrides) RETURN_IF_ERROR(Override(graph, *overrides));
  FreshSymbols symbols;
  AvoidInputSymbols(graph, symbols);
  GraphInference inference(graph, symbols);
  RETURN_IF_ERROR(inference.Run());
  if (contents) *contents = inference.TakeContents();
  return {};
}

Result<std::vector<TensorType>> InferNode(const Node& node, std::span<const TensorType> inputs,
                                          std::span<const Tensor* const> constants) {
  FreshSymbols symbols;
  std::vector<const TensorType*> types;
  for (const TensorType& type : inputs) {
    symbols.Avoid(type);
    types.push_back(&type);
  }
  NodeInference inference(node, types, constants, {}, symbols);
  RETURN_IF_ERROR(inference.Run());
  std::vector<TensorType> results;
  for (size_t i = 0; i < node.outputs.size(); ++i) results.push_back(inference.type(i));
  return results;
}

}  // namespace sula
