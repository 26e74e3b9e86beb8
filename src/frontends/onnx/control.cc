// If and Loop: attributes that hold graphs become bodies, which capture what they read from
// outside.
#include "ops/control.h"

#include <algorithm>

#include "base/status.h"
#include "frontends/onnx/importer.h"
#include "frontends/onnx/known.h"

namespace sula::onnx {

Result<const GraphProto*> Importer::BodyOf(const AttributeMap& attributes, const char* attribute) {
  auto it = attributes.find(attribute);
  if (it == attributes.end()) return InvalidModel("attribute '", attribute, "' is missing");
  if (!it->second->has_g()) return InvalidModel("attribute '", attribute, "' is not a graph");
  return &it->second->g();
}

Status Importer::ImportBody(const GraphProto& proto, Scope& body, int depth) {
  if (depth >= kMaxDepth) return InvalidModel("bodies are nested deeper than ", kMaxDepth);
  RETURN_IF_ERROR(AddInitializers(proto, body));
  RETURN_IF_ERROR(ImportNodes(proto.node(), body, depth + 1));
  for (const ValueInfoProto& info : proto.output())
    if (Status s = AddOutput(info.name(), body); !s.ok())
      return std::move(s).AddContext(StrCat("output '", info.name(), "'"));
  return {};
}

Status Importer::ImportIf(const NodeProto& node, const std::string& name,
                          const AttributeMap& attributes, const std::vector<ValueId>& inputs,
                          Scope& scope, int depth) {
  if (inputs.size() != 1 || inputs[0] == kNoValue)
    return InvalidModel("the condition must be the only input");
  ASSIGN_OR_RETURN(const GraphProto* yes, BodyOf(attributes, "then_branch"));
  ASSIGN_OR_RETURN(const GraphProto* no, BodyOf(attributes, "else_branch"));
  for (const GraphProto* branch : {yes, no}) {
    if (!branch->input().empty()) return InvalidModel("branches must have no inputs");
    if (branch->output_size() != node.output_size())
      return InvalidModel("a branch has ", branch->output_size(), " outputs, the node ",
                          node.output_size());
  }
  if (std::optional<Tensor> condition = KnownValue(*scope.graph, inputs[0])) {
    if (condition->num_elements() != 1)
      return InvalidModel("the condition has ", condition->num_elements(), " elements");
    return InlineBranch(condition->AsDouble(0) != 0 ? *yes : *no, node, name, scope, depth);
  }

  Graph graphs[2];
  Scope bodies[2];
  for (int i = 0; i < 2; ++i) {
    const GraphProto& branch = i == 0 ? *yes : *no;
    graphs[i].name = branch.name();
    bodies[i].graph = &graphs[i];
    bodies[i].opsets = scope.opsets;
    bodies[i].caller = scope.caller;
    bodies[i].outer = &scope;
    if (Status s = ImportBody(branch, bodies[i], depth); !s.ok())
      return std::move(s).AddContext(i == 0 ? "then_branch" : "else_branch");
  }
  for (const Graph& graph : graphs)
    if (static_cast<int>(graph.outputs().size()) < node.output_size())
      return DefineRefused(node, scope);
  return AddControl(op::kIf, node, name, inputs, {&bodies[0], &bodies[1]}, node.output_size(),
                    scope);
}

Status Importer::InlineBranch(const GraphProto& proto, const NodeProto& node,
                              const std::string& name, Scope& scope, int depth) {
  if (depth >= kMaxDepth) return InvalidModel("bodies are nested deeper than ", kMaxDepth);
  Scope body;
  body.graph = scope.graph;
  body.opsets = scope.opsets;
  body.prefix = name + "/";
  body.caller = scope.caller;
  body.outer = &scope;
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      body.output_names.emplace(proto.output(i).name(), ValueName(scope, node.output(i)));
  RETURN_IF_ERROR(AddInitializers(proto, body));
  RETURN_IF_ERROR(ImportNodes(proto.node(), body, depth + 1));
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    ASSIGN_OR_RETURN(ValueId v, Find(body, proto.output(i).name()));
    RETURN_IF_ERROR(Define(scope, node.output(i), v));
  }
  return {};
}

// Inputs: trips?, condition?, carried...; body: trip, condition, carried... -> condition,
// carried..., collected...
Status Importer::ImportLoop(const NodeProto& node, const std::string& name,
                            const AttributeMap& attributes, std::vector<ValueId> inputs,
                            Scope& scope, int depth) {
  ASSIGN_OR_RETURN(const GraphProto* proto, BodyOf(attributes, "body"));
  if (inputs.size() < 2) inputs.resize(2, kNoValue);
  if (inputs.size() == 2) return Unsupported("operator Loop without carried values");
  int num_outputs = proto->output_size() - 1;
  if (proto->input_size() != static_cast<int>(inputs.size()) || num_outputs < node.output_size())
    return InvalidModel("the body has ", proto->input_size(), " inputs and ", proto->output_size(),
                        " outputs; ", inputs.size(), " inputs and at least ",
                        node.output_size() + 1, " outputs are needed");
  Graph graph;
  graph.name = proto->name();
  Scope body;
  body.graph = &graph;
  body.opsets = scope.opsets;
  body.caller = scope.caller;
  body.outer = &scope;
  for (int i = 0; i < proto->input_size(); ++i) {
    const ValueInfoProto& info = proto->input(i);
    TensorType type{i == 0 ? DType::kInt64 : DType::kBool, Shape{}};
    if (i >= 2) {
      if (inputs[i] == kNoValue) return InvalidModel("carried value ", i - 2, " is missing");
      // The type stays the same from trip to trip, the sizes need not: only the body's declaration
      // says something about them.
      type = {scope.graph->value(inputs[i]).type.dtype, std::nullopt};
      if (info.type().tensor_type().has_shape()) {
        ASSIGN_OR_RETURN(type.shape, ReadShape(info));
      }
    }
    RETURN_IF_ERROR(CheckSizes(type));
    RETURN_IF_ERROR(Define(body, info.name(), graph.AddInput(info.name(), std::move(type))));
  }
  if (Status s = ImportBody(*proto, body, depth); !s.ok()) return std::move(s).AddContext("body");
  if (static_cast<int>(graph.outputs().size()) < proto->output_size())
    return DefineRefused(node, scope);
  return AddControl(op::kLoop, node, name, std::move(inputs), {&body}, num_outputs, scope);
}

Status Importer::AddControl(const OpDef& op, const NodeProto& node, const std::string& name,
                            std::vector<ValueId> inputs, std::vector<Scope*> bodies,
                            int num_outputs, Scope& scope) {
  std::vector<std::string> output_names(num_outputs);  // those that the node leaves out: absent
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty()) output_names[i] = ValueName(scope, node.output(i));
  for (Scope* body : bodies)
    inputs.insert(inputs.end(), body->captured.begin(), body->captured.end());
  NodeId id = scope.graph->AddNode(op, Params::Of(NoParams{}), std::move(inputs), num_outputs, name,
                                   std::move(output_names));
  for (Scope* body : bodies) scope.graph->node(id).subgraphs.push_back(std::move(*body->graph));
  RETURN_IF_ERROR(InferOutputs(*scope.graph, id));
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      RETURN_IF_ERROR(Define(scope, node.output(i), scope.graph->node(id).outputs[i]));
  return {};
}

}  // namespace sula::onnx
