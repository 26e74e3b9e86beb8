#include "frontends/onnx/importer.h"

#include <functional>
#include <queue>
#include <set>

#include "base/status.h"
#include "frontends/onnx/known.h"
#include "ops/elementwise.h"

namespace sula::onnx {
namespace {

// The default domain has two spellings.
std::string NormalDomain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

std::string OperatorName(const NodeProto& node) {
  std::string domain = NormalDomain(node.domain());
  return domain.empty() ? node.op_type() : StrCat(domain, ":", node.op_type());
}

// A name for messages and for the graph: nodes of many exporters have none.
std::string NodeName(const NodeProto& node) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output())
    if (!output.empty()) return output;
  return node.op_type();
}

std::string NodeFrame(const NodeProto& node) {
  return StrCat("node '", NodeName(node), "' (", OperatorName(node), ")");
}

// Adds the names that a node reads from where it stands, its bodies included.
void AddReads(const NodeProto& node, std::set<std::string_view>& reads) {
  reads.insert(node.input().begin(), node.input().end());
  for (const AttributeProto& a : node.attribute()) {
    if (!a.has_g()) continue;
    std::set<std::string_view> inner;
    for (const NodeProto& n : a.g().node()) AddReads(n, inner);
    for (const ValueInfoProto& output : a.g().output()) inner.insert(output.name());
    for (const NodeProto& n : a.g().node())
      for (const std::string& output : n.output()) inner.erase(output);
    for (const ValueInfoProto& input : a.g().input()) inner.erase(input.name());
    for (const TensorProto& t : a.g().initializer()) inner.erase(t.name());
    reads.merge(inner);
  }
}

std::string_view KindName(const TypeProto& type) {
  switch (type.value_case()) {
    case TypeProto::kTensorType: return "tensor";
    case TypeProto::kSequenceType: return "sequence";
    case TypeProto::kMapType: return "map";
    case TypeProto::kOpaqueType: return "opaque value";
    case TypeProto::kSparseTensorType: return "sparse tensor";
    case TypeProto::kOptionalType: return "optional";
    case TypeProto::VALUE_NOT_SET: break;
  }
  return "value without a type";
}

}  // namespace

Result<Graph> Importer::Run() {
  if (!model_->has_graph()) return InvalidModel("the file holds no graph");
  const GraphProto& proto = model_->graph();
  ASSIGN_OR_RETURN(opsets_, ReadOpsets(model_->opset_import()));
  // Operator sets came with IR version 3; what is older has the first one.
  if (opsets_.empty() && model_->ir_version() < 3) opsets_[""] = 1;
  if (opsets_.empty()) return InvalidModel("the model does not say which operator set it uses");
  RETURN_IF_ERROR(ReadFunctions());

  Graph graph;
  graph.name = proto.name();
  for (const StringPair& entry : model_->metadata_props())
    graph.metadata[entry.key()] = entry.value();
  graph.metadata["format"] = "onnx";
  if (!model_->producer_name().empty())
    graph.metadata["producer"] = StrCat(model_->producer_name(), " ", model_->producer_version());

  Scope scope;
  scope.graph = &graph;
  scope.opsets = &opsets_;
  RETURN_IF_ERROR(AddInitializers(proto, scope));
  RETURN_IF_ERROR(AddInputs(proto, scope));
  RETURN_IF_ERROR(ImportNodes(proto.node(), scope, 0));
  RETURN_IF_ERROR(AddOutputs(proto, scope));
  RETURN_IF_ERROR(refusals_.ToStatus());
  RETURN_IF_ERROR(Verify(graph));
  RETURN_IF_ERROR(InferShapes(graph));
  RETURN_IF_ERROR(CheckDeclared(proto, scope));
  return graph;
}

Result<Importer::Opsets> Importer::ReadOpsets(
    const google::protobuf::RepeatedPtrField<Opset>& imports) {
  Opsets opsets;
  for (const Opset& import : imports) {
    std::string domain = NormalDomain(import.domain());
    auto [it, is_new] = opsets.emplace(domain, import.version());
    if (!is_new && it->second != import.version())
      return InvalidModel("operator set '", domain, "' is imported in versions ", it->second,
                          " and ", import.version());
    if (!domain.empty()) continue;
    if (import.version() < 1)
      return InvalidModel("operator set version ", import.version(), " does not exist");
    if (import.version() > kNewestOpset)
      return Unsupported("operator set ", import.version(), ": the newest that is understood is ",
                         kNewestOpset, "; convert the model to it with onnx.version_converter");
  }
  return opsets;
}

Status Importer::ReadFunctions() {
  for (const FunctionProto& f : model_->functions()) {
    FunctionKey key(NormalDomain(f.domain()), f.name(), f.overload());
    if (!functions_.emplace(key, &f).second)
      return InvalidModel("function '", f.name(), "' of domain '", f.domain(),
                          "' is defined twice");
    Result<Opsets> opsets = ReadOpsets(f.opset_import());
    if (!opsets) return Status(opsets.error()).AddContext(StrCat("function '", f.name(), "'"));
    // What a function does not import itself it has from the model.
    opsets->insert(opsets_.begin(), opsets_.end());
    function_opsets_.emplace(&f, *std::move(opsets));
  }
  return {};
}

Status Importer::AddInitializers(const GraphProto& proto, Scope& scope) {
  for (const TensorProto& t : proto.initializer()) {
    if (t.name().empty()) return InvalidModel("an initializer has no name");
    if (!scope.initializers.emplace(t.name(), &t).second)
      return InvalidModel("initializer '", t.name(), "' is defined twice");
  }
  for (const SparseTensorProto& t : proto.sparse_initializer()) {
    refusals_.Add("sparse initializers", StrCat("'", t.values().name(), "'"));
    RETURN_IF_ERROR(Define(scope, t.values().name(), kRefused));
  }
  return {};
}

Status Importer::AddInputs(const GraphProto& proto, Scope& scope) {
  std::set<std::string_view> known;
  for (const ValueInfoProto& info : proto.input()) {
    // Up to IR version 3 every initializer was listed as an input, too: a default that nobody
    // overrides, so a constant.
    if (scope.initializers.contains(info.name())) continue;
    known.insert(info.name());
    if (Status s = AddInput(info, scope); !s.ok())
      return std::move(s).AddContext(StrCat("input '", info.name(), "'"));
  }
  for (const auto& [name, shape] : options_.input_shapes)
    if (!known.contains(name))
      return InvalidArgument("a shape was given for input '", name, "', which the model lacks");
  return {};
}

Status Importer::AddInput(const ValueInfoProto& info, Scope& scope) {
  if (info.name().empty()) return InvalidModel("a graph input has no name");
  std::string where = StrCat("input '", info.name(), "'");
  if (info.type().value_case() != TypeProto::kTensorType) {
    if (info.type().value_case() == TypeProto::VALUE_NOT_SET)
      return InvalidModel("the type is missing");
    refusals_.Add(StrCat(KindName(info.type()), " inputs"), where);
    return Define(scope, info.name(), kRefused);
  }
  Result<DType> dtype = ToDType(info.type().tensor_type().elem_type());
  if (!dtype) {
    if (dtype.error().code() != Code::kUnsupported) return dtype.error();
    refusals_.Add(dtype.error().message(), where);
    return Define(scope, info.name(), kRefused);
  }
  TensorType type{*dtype, std::nullopt};
  if (info.type().tensor_type().has_shape()) {
    ASSIGN_OR_RETURN(type.shape, ReadShape(info));
  }
  auto given = options_.input_shapes.find(info.name());
  if (given != options_.input_shapes.end()) {
    if (type.shape && type.shape->rank() != given->second.rank())
      return InvalidArgument("shape ", given->second.ToString(),
                             " was given, but the model declares ", type.shape->ToString());
    type.shape = given->second;
  }
  RETURN_IF_ERROR(CheckSizes(type));
  return Define(scope, info.name(), scope.graph->AddInput(info.name(), std::move(type)));
}

Result<Shape> Importer::ReadShape(const ValueInfoProto& info) {
  std::vector<Dim> dims;
  for (const auto& dim : info.type().tensor_type().shape().dim()) {
    int axis = static_cast<int>(dims.size());
    if (dim.has_dim_value() && dim.dim_value() > 0) {
      dims.push_back(dim.dim_value());
    } else if (dim.has_dim_param() && !dim.dim_param().empty() && dim.dim_param() != "?") {
      dims.push_back(symbols_.Named(dim.dim_param()));
    } else {  // exporters write -1, 0, "?" or nothing for a size that they don't know
      dims.push_back(symbols_.Fresh(info.name(), axis));
    }
  }
  return Shape(std::move(dims));
}

Status Importer::AddOutputs(const GraphProto& proto, Scope& scope) {
  if (proto.output().empty()) return InvalidModel("the graph has no output");
  std::set<std::string_view> names;
  for (const ValueInfoProto& info : proto.output()) {
    if (!names.insert(info.name()).second)
      return InvalidModel("output '", info.name(), "' is listed twice");
    if (Status s = AddOutput(info.name(), scope); !s.ok())
      return std::move(s).AddContext(StrCat("output '", info.name(), "'"));
  }
  return {};
}

Status Importer::AddOutput(const std::string& name, Scope& scope) {
  Graph& graph = *scope.graph;
  ASSIGN_OR_RETURN(ValueId v, Find(scope, name));
  if (v == kRefused) return {};
  if (v == kNoValue) return InvalidModel("it has no value");
  // Inputs and constants stay what they are, and every output gets a value of its own name.
  if (graph.value(v).producer == kNoNode || graph.IsOutput(v) || graph.value(v).name != name) {
    NodeId id = graph.AddNode(op::kIdentity, Params::Of(NoParams{}), {v}, 1, name, {name});
    RETURN_IF_ERROR(InferOutputs(graph, id));
    v = graph.node(id).outputs[0];
  }
  graph.AddOutput(v);
  return {};
}

Status Importer::CheckDeclared(const GraphProto& proto, const Scope& scope) {
  auto check = [&](const ValueInfoProto& info) -> Status {
    auto it = scope.values.find(info.name());
    if (it == scope.values.end() || it->second < 0) return {};
    const TensorType& inferred = scope.graph->value(it->second).type;
    const TypeProto::Tensor& declared = info.type().tensor_type();
    if (declared.elem_type() == TensorProto::UNDEFINED) return {};
    Result<DType> dtype = ToDType(declared.elem_type());
    bool differs = !dtype || *dtype != inferred.dtype;
    // With other input shapes than the model's own, its other shapes say nothing.
    if (declared.has_shape() && inferred.shape && options_.input_shapes.empty()) {
      const auto& dims = declared.shape().dim();
      differs |= dims.size() != inferred.shape->rank();
      for (int i = 0; i < dims.size() && !differs; ++i) {
        const Dim& dim = (*inferred.shape)[i];
        differs = dims[i].dim_value() > 0 && dim.is_const() && dim.value() != dims[i].dim_value();
      }
    }
    if (!differs) return {};
    std::string shape;
    for (const auto& dim : declared.shape().dim())
      shape += StrCat(shape.empty() ? "" : ",",
                      dim.has_dim_value() ? std::to_string(dim.dim_value()) : dim.dim_param());
    return InvalidModel("value '", info.name(), "' is declared as ", TypeName(declared.elem_type()),
                        declared.has_shape() ? "[" + shape + "]" : "", ", but computed as ",
                        inferred.ToString());
  };
  for (const ValueInfoProto& info : proto.value_info()) RETURN_IF_ERROR(check(info));
  for (const ValueInfoProto& info : proto.output()) RETURN_IF_ERROR(check(info));
  return {};
}

Result<std::vector<int>> Importer::Order(const Nodes& nodes, const Scope& scope) {
  std::map<std::string_view, int> producers;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].output()) {
      if (output.empty()) continue;
      if (scope.values.contains(output) || scope.initializers.contains(output))
        return InvalidModel("value '", output, "' is an input or initializer, and an output of ",
                            NodeFrame(nodes[i]));
      auto [it, is_new] = producers.emplace(output, i);
      if (!is_new)
        return InvalidModel("value '", output, "' is an output of ", NodeFrame(nodes[it->second]),
                            " and of ", NodeFrame(nodes[i]));
    }
  }
  std::vector<std::vector<int>> consumers(nodes.size());
  std::vector<int> missing(nodes.size(), 0);
  for (int i = 0; i < nodes.size(); ++i) {
    std::set<std::string_view> reads;
    AddReads(nodes[i], reads);
    for (std::string_view name : reads) {
      auto it = producers.find(name);
      if (it == producers.end()) continue;
      consumers[it->second].push_back(i);
      ++missing[i];
    }
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i)
    if (missing[i] == 0) ready.push(i);
  std::vector<int> order;
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int c : consumers[i])
      if (--missing[c] == 0) ready.push(c);
  }
  for (int i = 0; i < nodes.size(); ++i)
    if (missing[i] > 0) return InvalidModel("the graph has a cycle, met at ", NodeFrame(nodes[i]));
  return order;
}

Status Importer::ImportNodes(const Nodes& nodes, Scope& scope, int depth) {
  ASSIGN_OR_RETURN(std::vector<int> order, Order(nodes, scope));
  for (int i : order) {
    const NodeProto& node = nodes[i];
    Status s = ImportNode(node, scope.prefix + NodeName(node), scope, depth);
    if (!s.ok()) return std::move(s).AddContext(NodeFrame(node));
  }
  return {};
}

Status Importer::ImportNode(const NodeProto& node, const std::string& name, Scope& scope,
                            int depth) {
  if (++nodes_ > kMaxNodes)
    return ResourceExhausted("the model has more than ", kMaxNodes, " nodes, functions inlined");
  ASSIGN_OR_RETURN(AttributeMap attributes, ResolveAttributes(node, scope));
  std::vector<ValueId> inputs;
  bool refused = false;
  for (const std::string& input : node.input()) {
    ValueId v = kNoValue;
    if (!input.empty()) {
      ASSIGN_OR_RETURN(v, Find(scope, input));
    }
    refused |= v == kRefused;
    inputs.push_back(v);
  }

  std::string domain = NormalDomain(node.domain());
  auto function = functions_.find(FunctionKey(domain, node.op_type(), node.overload()));
  if (function != functions_.end() && !refused)
    return ImportCall(*function->second, node, name, std::move(attributes), inputs, scope, depth);
  bool is_if = domain.empty() && node.op_type() == "If";
  bool is_loop = domain.empty() && node.op_type() == "Loop";
  if (function == functions_.end()) {
    if (!domain.empty() || !(is_if || is_loop || FindHandler(node.op_type()))) {
      refusals_.Add(StrCat("operator ", OperatorName(node)), StrCat("node '", name, "'"));
      refused = true;
    } else if (!scope.opsets->contains("")) {
      return InvalidModel("the model does not say which version of ONNX's operators it uses");
    }
  }
  if (refused) return DefineRefused(node, scope);
  Status s = is_if ? ImportIf(node, name, attributes, inputs, scope, depth)
             : is_loop
                 ? ImportLoop(node, name, attributes, std::move(inputs), scope, depth)
                 : ImportOperator(node, name, std::move(attributes), std::move(inputs), scope);
  if (s.ok() || s.code() != Code::kUnsupported) return s;
  std::string what = s.message();
  for (const std::string& frame : s.context()) what += " in " + frame;
  refusals_.Add(what, StrCat("node '", name, "'"));
  return DefineRefused(node, scope);
}

Status Importer::ImportOperator(const NodeProto& node, const std::string& name,
                                AttributeMap attributes, std::vector<ValueId> inputs,
                                Scope& scope) {
  const OpHandler& row = *FindHandler(node.op_type());
  int present = static_cast<int>(inputs.size());
  while (present > 0 && inputs[present - 1] == kNoValue) --present;
  if (present < row.min_inputs || present > row.max_inputs)
    return InvalidModel(present, " inputs given, the operator has ",
                        row.min_inputs == row.max_inputs ? "" : StrCat(row.min_inputs, " to "),
                        row.max_inputs == kAny ? "any number" : StrCat(row.max_inputs));
  for (int i = 0; i < row.min_inputs; ++i)
    if (inputs[i] == kNoValue) return InvalidModel("input ", i, " is missing");
  if (node.output_size() < 1 || node.output_size() > row.max_outputs)
    return InvalidModel(node.output_size(), " outputs given, the operator has 1 to ",
                        row.max_outputs);

  std::vector<std::string> output_names;
  for (const std::string& output : node.output())
    output_names.push_back(output.empty() ? "" : ValueName(scope, output));
  NodeImport import(*scope.graph, tensors_, node, name, static_cast<int>(scope.opsets->at("")),
                    std::move(attributes), std::move(inputs), std::move(output_names));
  RETURN_IF_ERROR(import.Translate(row.handler));
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      RETURN_IF_ERROR(Define(scope, node.output(i), import.results()[i]));
  return {};
}

Status Importer::ImportCall(const FunctionProto& function, const NodeProto& node,
                            const std::string& name, AttributeMap attributes,
                            const std::vector<ValueId>& inputs, Scope& scope, int depth) {
  if (depth >= kMaxDepth)
    return InvalidModel("functions call each other deeper than ", kMaxDepth,
                        " levels, or in a circle");
  if (static_cast<int>(inputs.size()) > function.input_size() ||
      node.output_size() > function.output_size())
    return InvalidModel("function '", function.name(), "' has ", function.input_size(),
                        " inputs and ", function.output_size(), " outputs; the call has ",
                        inputs.size(), " and ", node.output_size());
  for (const AttributeProto& a : function.attribute_proto()) attributes.emplace(a.name(), &a);

  Scope body;
  body.graph = scope.graph;
  body.opsets = &function_opsets_.at(&function);
  body.prefix = name + "/";
  body.caller = &attributes;
  for (int i = 0; i < function.input_size(); ++i)
    RETURN_IF_ERROR(Define(body, function.input(i),
                           i < static_cast<int>(inputs.size()) ? inputs[i] : kNoValue));
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      body.output_names.emplace(function.output(i), ValueName(scope, node.output(i)));
  RETURN_IF_ERROR(ImportNodes(function.node(), body, depth + 1));
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    ASSIGN_OR_RETURN(ValueId v, Find(body, function.output(i)));
    RETURN_IF_ERROR(Define(scope, node.output(i), v));
  }
  return {};
}

Result<AttributeMap> Importer::ResolveAttributes(const NodeProto& node, const Scope& scope) {
  AttributeMap attributes;
  for (const AttributeProto& a : node.attribute()) {
    const AttributeProto* value = &a;
    if (!a.ref_attr_name().empty()) {
      if (!scope.caller)
        return InvalidModel("attribute '", a.name(), "' refers to attribute '", a.ref_attr_name(),
                            "' of a function, but the node is in none");
      auto it = scope.caller->find(a.ref_attr_name());
      if (it == scope.caller->end()) continue;  // not given by the caller: not given here
      value = it->second;
    }
    if (!attributes.emplace(a.name(), value).second)
      return InvalidModel("attribute '", a.name(), "' is given twice");
  }
  return attributes;
}

Result<ValueId> Importer::Find(Scope& scope, const std::string& name) {
  if (auto it = scope.values.find(name); it != scope.values.end()) return it->second;
  auto it = scope.initializers.find(name);
  if (it == scope.initializers.end() && scope.outer) {
    ASSIGN_OR_RETURN(ValueId v, Find(*scope.outer, name));
    if (v >= 0 && scope.outer->graph != scope.graph) {
      const Value& value = scope.outer->graph->value(v);
      if (value.constant) {  // shared, not captured: then its contents are known inside, too
        v = scope.graph->AddConstant(value.name, value.constant);
      } else if (std::optional<Tensor> known = KnownValue(*scope.outer->graph, v)) {
        v = scope.graph->AddConstant(value.name, *std::move(known));
      } else {
        scope.captured.push_back(v);
        scope.graph->captures.push_back(value.name);
        v = scope.graph->AddInput(value.name, value.type);
      }
    }
    scope.values.emplace(name, v);
    return v;
  }
  if (it == scope.initializers.end())
    return InvalidModel("value '", name,
                        "' is not defined: no node, input or initializer gives it");
  ValueId v = kRefused;
  Result<Tensor> t = tensors_.Read(*it->second);
  if (t) {
    v = scope.graph->AddConstant(ValueName(scope, name), *std::move(t));
  } else if (t.error().code() == Code::kUnsupported) {
    refusals_.Add(t.error().message(), StrCat("initializer '", name, "'"));
  } else {
    return Status(t.error()).AddContext(StrCat("initializer '", name, "'"));
  }
  scope.values.emplace(name, v);
  return v;
}

Status Importer::Define(Scope& scope, const std::string& name, ValueId value) {
  if (!scope.values.emplace(name, value).second)
    return InvalidModel("value '", name, "' is defined twice");
  return {};
}

std::string Importer::ValueName(const Scope& scope, const std::string& name) const {
  auto it = scope.output_names.find(name);
  return it != scope.output_names.end() ? it->second : scope.prefix + name;
}

Status Importer::DefineRefused(const NodeProto& node, Scope& scope) {
  for (const std::string& output : node.output())
    if (!output.empty()) RETURN_IF_ERROR(Define(scope, output, kRefused));
  return {};
}

}  // namespace sula::onnx
