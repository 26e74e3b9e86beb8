// A parsed ONNX model -> Graph: scopes, functions, bodies of control flow, inputs, outputs,
// refusals.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "frontends/onnx/node_import.h"
#include "frontends/onnx/onnx.h"
#include "frontends/onnx/symbols.h"
#include "frontends/onnx/tensor_reader.h"
#include "onnx_subset.pb.h"

namespace sula::onnx {

// The newest operator set of the default domain that is understood.
inline constexpr int64_t kNewestOpset = 28;

class Importer {
 public:
  // `folder`: where external data lies.
  Importer(std::shared_ptr<const ModelProto> model, std::string folder, const OnnxOptions& options)
      : model_(std::move(model)), tensors_(model_, std::move(folder)), options_(options) {}

  Result<Graph> Run();

 private:
  // Operator set versions by domain; the default domain is "".
  using Opsets = std::map<std::string, int64_t, std::less<>>;

  // What names mean in one place: the main graph, a function's body, or a body of control flow.
  struct Scope {
    Graph* graph = nullptr;
    const Opsets* opsets = nullptr;
    std::string prefix;                    // of node and value names in inlined functions
    const AttributeMap* caller = nullptr;  // what references to attributes refer to
    Scope* outer = nullptr;                // where a body of control flow stands
    std::vector<ValueId> captured;         // values of outer's graph that became inputs of this one
    // kNoValue: an absent optional input of a function. kRefused: has no translation.
    std::map<std::string, ValueId, std::less<>> values;
    std::map<std::string, const TensorProto*, std::less<>> initializers;  // read on first use
    std::map<std::string, std::string, std::less<>> output_names;         // wanted for these values
  };
  // Stands for the outputs of nodes that could not be translated.
  static constexpr ValueId kRefused = -2;
  static constexpr int kMaxDepth = 64;          // of functions that call functions
  static constexpr int64_t kMaxNodes = 200000;  // after inlining: calls can multiply

  using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;
  using FunctionKey = std::tuple<std::string, std::string, std::string>;  // domain, name, overload

  Result<Opsets> ReadOpsets(const google::protobuf::RepeatedPtrField<Opset>& imports);
  Status ReadFunctions();
  Status AddInitializers(const GraphProto& proto, Scope& scope);
  Status AddInputs(const GraphProto& proto, Scope& scope);
  Status AddInput(const ValueInfoProto& info, Scope& scope);
  Result<Shape> ReadShape(const ValueInfoProto& info);
  Status AddOutputs(const GraphProto& proto, Scope& scope);
  Status AddOutput(const std::string& name, Scope& scope);
  // Compares the types that the file declares with those that were inferred.
  Status CheckDeclared(const GraphProto& proto, const Scope& scope);

  // The nodes in an order that defines values before they are used: the file's own if possible.
  Result<std::vector<int>> Order(const Nodes& nodes, const Scope& scope);
  Status ImportNodes(const Nodes& nodes, Scope& scope, int depth);
  Status ImportNode(const NodeProto& node, const std::string& name, Scope& scope, int depth);
  Status ImportOperator(const NodeProto& node, const std::string& name, AttributeMap attributes,
                        std::vector<ValueId> inputs, Scope& scope);
  Status ImportCall(const FunctionProto& function, const NodeProto& node, const std::string& name,
                    AttributeMap attributes, const std::vector<ValueId>& inputs, Scope& scope,
                    int depth);

  // ---- control flow (control.cc)
  Status ImportIf(const NodeProto& node, const std::string& name, const AttributeMap& attributes,
                  const std::vector<ValueId>& inputs, Scope& scope, int depth);
  Status ImportLoop(const NodeProto& node, const std::string& name, const AttributeMap& attributes,
                    std::vector<ValueId> inputs, Scope& scope, int depth);
  // The body that this attribute holds.
  static Result<const GraphProto*> BodyOf(const AttributeMap& attributes, const char* attribute);
  // Fills the scope of a body, whose own inputs are there already, up to its outputs.
  Status ImportBody(const GraphProto& proto, Scope& body, int depth);
  // Takes the place of an If whose condition is known: the nodes of one branch.
  Status InlineBranch(const GraphProto& proto, const NodeProto& node, const std::string& name,
                      Scope& scope, int depth);
  // Adds the node of an operator with bodies and defines its outputs.
  Status AddControl(const OpDef& op, const NodeProto& node, const std::string& name,
                    std::vector<ValueId> inputs, std::vector<Scope*> bodies, int num_outputs,
                    Scope& scope);

  Result<AttributeMap> ResolveAttributes(const NodeProto& node, const Scope& scope);
  // The value of this name; an initializer is read, and a value of an outer graph captured, when
  // first asked for.
  Result<ValueId> Find(Scope& scope, const std::string& name);
  Status Define(Scope& scope, const std::string& name, ValueId value);
  // The graph's name for a value that a node defines.
  std::string ValueName(const Scope& scope, const std::string& name) const;
  Status DefineRefused(const NodeProto& node, Scope& scope);

  std::shared_ptr<const ModelProto> model_;
  TensorReader tensors_;
  const OnnxOptions& options_;
  Symbols symbols_;
  Opsets opsets_;
  std::map<FunctionKey, const FunctionProto*> functions_;
  std::map<const FunctionProto*, Opsets> function_opsets_;
  Refusals refusals_;
  int64_t nodes_ = 0;
};

}  // namespace sula::onnx
