#include "ops/node_builder.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "base/status.h"

namespace sula {
namespace {

Status CheckTypes(const Graph& graph, const OpDef& op, std::span<const ValueId> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == kNoValue || op.inputs.empty()) continue;
    const Port& port = op.inputs[std::min(i, op.inputs.size() - 1)];
    DType type = graph.value(inputs[i]).type.dtype;
    if (!(port.types & Bit(type)))
      return Unsupported("operator ", op.name, " with element type ", Name(type), " for '",
                         port.name, "'");
  }
  return {};
}

}  // namespace

Status InferOutputs(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  std::vector<TensorType> types(node.inputs.size());
  std::vector<const TensorType*> given(node.inputs.size());
  std::vector<const Tensor*> constants(node.inputs.size());
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    types[i] = graph.value(node.inputs[i]).type;
    given[i] = &types[i];
    constants[i] = graph.Constant(node.inputs[i]);
  }
  RETURN_IF_ERROR(VerifyNode(node, given, {}));
  ASSIGN_OR_RETURN(std::vector<TensorType> inferred, InferNode(node, types, constants));
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue) graph.value(node.outputs[i]).type = std::move(inferred[i]);
  return {};
}

ValueId NodeBuilder::Constant(Tensor value, std::string_view suffix) {
  return graph_.AddConstant(HelperName(suffix), std::move(value));
}

ValueId NodeBuilder::Scalar(double value, DType dtype, std::string_view suffix) {
  Tensor t(dtype, {});
  DispatchDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    T& element = t.mutable_data<T>()[0];
    if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      if (!(value > static_cast<double>(Limits::min()))) return void(element = Limits::min());
      if (value >= static_cast<double>(Limits::max())) return void(element = Limits::max());
    }
    element = static_cast<T>(value);
  });
  return Constant(std::move(t), suffix);
}

std::vector<ValueId> NodeBuilder::AddNode(const OpDef& op, Params params,
                                          std::vector<ValueId> inputs,
                                          std::vector<std::string> output_names, std::string name) {
  while (!inputs.empty() && inputs.back() == kNoValue) inputs.pop_back();
  if (Status s = CheckTypes(graph_, op, inputs); !s.ok()) Fail(std::move(s));
  const int num_outputs = static_cast<int>(output_names.size());
  NodeId id = graph_.AddNode(op, std::move(params), std::move(inputs), num_outputs, std::move(name),
                             std::move(output_names));
  if (ok()) Fail(InferOutputs(graph_, id));
  return graph_.node(id).outputs;
}

Status Refusals::ToStatus() const {
  if (where_.empty()) return {};
  std::string text;
  for (const auto& [what, where] : where_) {
    text += StrCat(text.empty() ? "" : "; ", what, " (");
    for (size_t i = 0; i < where.size(); ++i) text += StrCat(i ? ", " : "", where[i]);
    text += ")";
  }
  return Unsupported("no translation for: ", text);
}

}  // namespace sula
