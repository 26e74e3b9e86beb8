// The public functions of sula/model.h.
#include "sula/model.h"

#include "api/graph_facts.h"
#include "base/mapped_file.h"
#include "format/model_file.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "runtime/prepare/peak_formula.h"
#include "runtime/session.h"

namespace sula {
namespace {

std::vector<PortInfo> Describe(std::span<const Port> ports) {
  std::vector<PortInfo> infos;
  for (const Port& p : ports) {
    PortInfo& info = infos.emplace_back();
    info = {.name = std::string(p.name),
            .help = std::string(p.help),
            .types = {},
            .optional = p.arity == Arity::kOptional,
            .variadic = p.arity == Arity::kVariadic};
    for (int t = 0; t < kDTypeCount; ++t)
      if (p.types & Bit(static_cast<DType>(t))) info.types.push_back(static_cast<DType>(t));
  }
  return infos;
}

// The graph with these shapes of its inputs.
Result<Graph> WithShapes(Graph graph, const InputShapes& shapes) {
  if (shapes.empty()) return graph;
  std::map<std::string, Shape> overrides;
  for (const auto& [name, dims] : shapes) {
    RETURN_IF_ERROR(CheckIsInput(graph, name));
    overrides.emplace(name, Shape::Of(dims));
  }
  RETURN_IF_ERROR(InferShapes(graph, &overrides));
  return graph;
}

}  // namespace

Result<std::shared_ptr<const Model>> LoadModel(const std::string& path,
                                               const LoadOptions& options) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  ASSIGN_OR_RETURN(Graph graph, ReadModelFile(file, AllOps(), options.check_hash));
  ASSIGN_OR_RETURN(const uint64_t hash, StoredHash(file->bytes()));
  return Model::FromGraph(std::move(graph), {std::move(file), hash});
}

Result<ModelInfo> Inspect(const Model& model, const InputShapes& shapes) {
  ASSIGN_OR_RETURN(const Graph graph, WithShapes(model.graph(), shapes));
  GraphCount count = Count(graph);
  ModelInfo info{.name = graph.name,
                 .metadata = graph.metadata,
                 .inputs = {},
                 .outputs = {},
                 .operators = std::move(count.operators),
                 .nodes = count.nodes,
                 .parameters = count.parameters,
                 .constant_bytes = count.constant_bytes,
                 .multiply_adds = count.multiply_adds,
                 .uncounted_nodes = count.uncounted_nodes};
  for (ValueId v : graph.inputs()) info.inputs.push_back(DescribeValue(graph.value(v)));
  for (ValueId v : graph.outputs()) info.outputs.push_back(DescribeValue(graph.value(v)));
  return info;
}

Result<std::string> ActivationBytes(const Model& model, const InputShapes& shapes) {
  ASSIGN_OR_RETURN(const Graph graph, WithShapes(model.graph(), shapes));
  ASSIGN_OR_RETURN(const PeakFormula peak, ActivationPeak(graph));
  return peak.ToString();
}

std::vector<NodeInfo> Nodes(const Model& model) {
  const Graph& graph = model.graph();
  std::vector<NodeInfo> infos;
  for (NodeId id : graph.TopologicalOrder()) {
    const Node& node = graph.node(id);
    NodeInfo& info = infos.emplace_back();
    info.name = node.name;
    info.op = node.op->name;
    info.fields = FieldTexts(node);
    for (ValueId v : node.inputs) info.inputs.push_back(v == kNoValue ? "" : graph.value(v).name);
    for (ValueId v : node.outputs)
      info.outputs.push_back(v == kNoValue ? ValueInfo{} : DescribeValue(graph.value(v)));
  }
  return infos;
}

std::vector<OperatorInfo> Operators() {
  std::vector<OperatorInfo> infos;
  for (const OpDef* op : AllOps()) {
    OperatorInfo& info = infos.emplace_back();
    info = {.name = std::string(op->name),
            .summary = std::string(op->summary),
            .inputs = Describe(op->inputs),
            .outputs = Describe(op->outputs),
            .fields = {}};
    Params defaults = op->default_params();
    for (const Field& f : op->fields)
      info.fields.push_back(
          {std::string(f.name), std::string(f.help), ToString(Field::Get(f, defaults))});
  }
  return infos;
}

std::string_view Version() { return SULA_VERSION; }

}  // namespace sula
