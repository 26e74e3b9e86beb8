// What the translation of one ONNX node sees and builds with, and the table of translations.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontends/onnx/known.h"
#include "frontends/onnx/tensor_reader.h"
#include "onnx_subset.pb.h"
#include "ops/node_builder.h"

namespace sula::onnx {

// Attributes of a node by name; references to a function's attributes are resolved already.
using AttributeMap = std::map<std::string, const AttributeProto*, std::less<>>;

// One ONNX node during its translation. Errors are sticky: the first one is kept and reported with
// the node's name when the handler returns, so that handlers read as if nothing could fail. After
// an error every call stays valid and returns a default.
class NodeImport : public NodeBuilder {
 public:
  // `output_names`: the names of the graph values for the node's outputs, empty where absent.
  NodeImport(Graph& graph, TensorReader& tensors, const NodeProto& node, std::string name,
             int opset, AttributeMap attributes, std::vector<ValueId> inputs,
             std::vector<std::string> output_names);

  // ---- the node
  const std::string& op_type() const { return node_.op_type(); }
  // The version of the operator set that the node's meaning follows.
  int opset() const { return opset_; }
  // Absent ones in the middle are counted, trailing ones are not.
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(output_names_.size()); }
  bool HasInput(int i) const { return i < num_inputs() && inputs_[i] != kNoValue; }
  bool HasOutput(int i) const { return i < num_outputs() && !output_names_[i].empty(); }
  ValueId Input(int i) const { return i < num_inputs() ? inputs_[i] : kNoValue; }
  const std::vector<ValueId>& inputs() const { return inputs_; }

  // ---- what is known of values so far
  // The rank; if it is not known, fails as unsupported, saying that `why` needs it.
  std::optional<int> RankOf(ValueId v, std::string_view why);
  // The value if it is small and does not depend on the inputs' contents.
  std::optional<Tensor> Known(ValueId v) const { return KnownValue(graph_, v); }

  // ---- attributes; a wrong type or a missing required one is an error. Asking for an attribute
  // marks it as understood; attributes that nobody asked for make the node unsupported.
  bool Has(std::string_view name);
  int64_t Int(std::string_view name, int64_t otherwise);
  int64_t RequiredInt(std::string_view name);
  bool Flag(std::string_view name, bool otherwise) { return Int(name, otherwise) != 0; }
  float Float(std::string_view name, float otherwise);
  std::string String(std::string_view name, std::string otherwise);
  std::vector<int64_t> Ints(std::string_view name);  // empty if missing
  std::vector<float> Floats(std::string_view name);
  std::vector<std::string> Strings(std::string_view name);
  std::optional<Tensor> TensorValue(std::string_view name);
  // The element type that an integer attribute names; `otherwise` if it is missing or 0.
  std::optional<DType> Type(std::string_view name);
  // The enumerator that a string attribute names.
  template <class E>
  E Choice(std::string_view name, std::string_view otherwise,
           std::initializer_list<std::pair<std::string_view, E>> choices) {
    std::string text = String(name, std::string(otherwise));
    std::string known;
    for (const auto& [choice, value] : choices) {
      if (choice == text) return value;
      known += StrCat(known.empty() ? "" : ", ", choice);
    }
    Fail(InvalidModel("attribute '", name, "' is '", text, "', not one of: ", known));
    return choices.begin()->second;
  }
  // For attributes without effect on inference.
  void Ignore(std::string_view name) { understood_.insert(std::string(name)); }

  // ---- building, beside the base's helper nodes
  // The node that gives all outputs of the ONNX node.
  template <class P>
  void Emit(const OpDef& op, P params, std::vector<ValueId> inputs) {
    results_ = AddNode(op, Params::Of(std::move(params)), std::move(inputs), output_names_, name());
  }
  // The node that gives output `i` alone.
  template <class P>
  void EmitOutput(int i, const OpDef& op, P params, std::vector<ValueId> inputs) {
    results_[i] = AddNode(op, Params::Of(std::move(params)), std::move(inputs), {output_names_[i]},
                          name())[0];
  }
  // Output 0 is this constant.
  void EmitConstant(Tensor value);

  // ---- outcome
  // Calls the handler and returns the first error, unread attributes included.
  Status Translate(void (*handler)(NodeImport&));
  // The values of the outputs after Translate, kNoValue where absent.
  const std::vector<ValueId>& results() const { return results_; }

 private:
  const AttributeProto* Find(std::string_view name, AttributeProto::Type type,
                             bool present(const AttributeProto&), std::string_view kind);

  TensorReader& tensors_;
  const NodeProto& node_;
  int opset_;
  AttributeMap attributes_;
  std::set<std::string, std::less<>> understood_;
  std::vector<ValueId> inputs_;
  std::vector<std::string> output_names_;
  std::vector<ValueId> results_;
};

// Translates one node: reads attributes, adds nodes, emits all outputs.
using Handler = void (*)(NodeImport&);

inline constexpr int kAny = 1 << 30;

// A row of the table. Arity as ONNX has it over all opsets, absent optional ones included.
struct OpHandler {
  std::string_view op_type;
  Handler handler;
  int min_inputs = 1, max_inputs = 1;
  int max_outputs = 1;
};

// The translation of an operator of the default domain; null if there is none.
const OpHandler* FindHandler(std::string_view op_type);

// The rows by topic; each is defined in its file.
std::span<const OpHandler> AttentionHandlers();
std::span<const OpHandler> ConstantHandlers();
std::span<const OpHandler> ConvHandlers();
std::span<const OpHandler> ElementwiseHandlers();
std::span<const OpHandler> GatherHandlers();
std::span<const OpHandler> MatMulHandlers();
std::span<const OpHandler> MovementHandlers();
std::span<const OpHandler> NormHandlers();
std::span<const OpHandler> PoolHandlers();
std::span<const OpHandler> QuantHandlers();
std::span<const OpHandler> RecurrentHandlers();
std::span<const OpHandler> ReduceHandlers();
std::span<const OpHandler> ResizeHandlers();
std::span<const OpHandler> ShapeHandlers();

// The handler for operators that mean the same in both worlds and have no attributes.
template <const OpDef& kOp>
void Direct(NodeImport& n) {
  n.Emit(kOp, NoParams{}, n.inputs());
}

}  // namespace sula::onnx
