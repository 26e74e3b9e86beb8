#include "frontends/onnx/node_import.h"

#include "base/status.h"

namespace sula::onnx {
namespace {

void DropTrailing(std::vector<ValueId>& ids) {
  while (!ids.empty() && ids.back() == kNoValue) ids.pop_back();
}

}  // namespace

NodeImport::NodeImport(Graph& graph, TensorReader& tensors, const NodeProto& node, std::string name,
                       int opset, AttributeMap attributes, std::vector<ValueId> inputs,
                       std::vector<std::string> output_names)
    : NodeBuilder(graph, std::move(name)),
      tensors_(tensors),
      node_(node),
      opset_(opset),
      attributes_(std::move(attributes)),
      inputs_(std::move(inputs)),
      output_names_(std::move(output_names)) {
  DropTrailing(inputs_);
  while (output_names_.size() > 1 && output_names_.back().empty()) output_names_.pop_back();
  results_.assign(output_names_.size(), kNoValue);
}

std::optional<int> NodeImport::RankOf(ValueId v, std::string_view why) {
  if (const auto& shape = graph_.value(v).type.shape) return shape->rank();
  Fail(Unsupported(op_type(), ": ", why, " needs the rank of an input, which is not known"));
  return std::nullopt;
}

bool NodeImport::Has(std::string_view name) {
  understood_.insert(std::string(name));
  return attributes_.find(name) != attributes_.end();
}

const AttributeProto* NodeImport::Find(std::string_view name, AttributeProto::Type type,
                                       bool present(const AttributeProto&), std::string_view kind) {
  if (!Has(name)) return nullptr;
  const AttributeProto* a = attributes_.find(name)->second;
  // Files of the first versions leave the type out; then the field that is set tells.
  bool right = a->type() != AttributeProto::UNDEFINED ? a->type() == type : present(*a);
  if (right) return a;
  Fail(InvalidModel("attribute '", name, "' is not ", kind));
  return nullptr;
}

int64_t NodeImport::Int(std::string_view name, int64_t otherwise) {
  auto* a = Find(
      name, AttributeProto::INT, [](auto& p) { return p.has_i(); }, "an integer");
  return a ? a->i() : otherwise;
}

int64_t NodeImport::RequiredInt(std::string_view name) {
  if (!Has(name)) Fail(InvalidModel("attribute '", name, "' is missing"));
  return Int(name, 0);
}

float NodeImport::Float(std::string_view name, float otherwise) {
  auto* a = Find(
      name, AttributeProto::FLOAT, [](auto& p) { return p.has_f(); }, "a float");
  return a ? a->f() : otherwise;
}

std::string NodeImport::String(std::string_view name, std::string otherwise) {
  auto* a = Find(
      name, AttributeProto::STRING, [](auto& p) { return p.has_s(); }, "a string");
  return a ? a->s() : otherwise;
}

std::vector<int64_t> NodeImport::Ints(std::string_view name) {
  auto* a = Find(
      name, AttributeProto::INTS, [](auto&) { return true; }, "a list of integers");
  return a ? std::vector<int64_t>(a->ints().begin(), a->ints().end()) : std::vector<int64_t>();
}

std::vector<float> NodeImport::Floats(std::string_view name) {
  auto* a = Find(
      name, AttributeProto::FLOATS, [](auto&) { return true; }, "a list of floats");
  return a ? std::vector<float>(a->floats().begin(), a->floats().end()) : std::vector<float>();
}

std::vector<std::string> NodeImport::Strings(std::string_view name) {
  auto* a = Find(
      name, AttributeProto::STRINGS, [](auto&) { return true; }, "a list of strings");
  return a ? std::vector<std::string>(a->strings().begin(), a->strings().end())
           : std::vector<std::string>();
}

std::optional<Tensor> NodeImport::TensorValue(std::string_view name) {
  auto* a = Find(
      name, AttributeProto::TENSOR, [](auto& p) { return p.has_t(); }, "a tensor");
  if (!a) return std::nullopt;
  Result<Tensor> t = tensors_.Read(a->t());
  if (!t) {
    Fail(Status(t.error()).AddContext(StrCat("attribute '", name, "'")));
    return std::nullopt;
  }
  return *std::move(t);
}

std::optional<DType> NodeImport::Type(std::string_view name) {
  int64_t type = Int(name, TensorProto::UNDEFINED);
  if (type == TensorProto::UNDEFINED) return std::nullopt;
  // Out of int32 is as undefined as any other unknown number.
  Result<DType> dtype = ToDType(type == static_cast<int32_t>(type) ? static_cast<int32_t>(type)
                                                                   : TensorProto::Type_MAX + 1);
  if (dtype) return *dtype;
  Fail(Status(dtype.error()).AddContext(StrCat("attribute '", name, "'")));
  return std::nullopt;
}

void NodeImport::EmitConstant(Tensor value) {
  results_[0] = graph_.AddConstant(output_names_[0], std::move(value));
}

Status NodeImport::Translate(Handler handler) {
  handler(*this);
  if (!ok()) return status();
  for (const auto& [name, attribute] : attributes_)
    if (!understood_.contains(name))
      return Unsupported("attribute '", name, "' of operator ", op_type());
  return {};
}

const OpHandler* FindHandler(std::string_view op_type) {
  using Topic = std::span<const OpHandler> (*)();
  static constexpr Topic kTopics[] = {
      AttentionHandlers, ConstantHandlers, ConvHandlers,   ElementwiseHandlers, GatherHandlers,
      MatMulHandlers,    MovementHandlers, NormHandlers,   PoolHandlers,        QuantHandlers,
      RecurrentHandlers, ReduceHandlers,   ResizeHandlers, ShapeHandlers};
  for (Topic topic : kTopics)
    for (const OpHandler& row : topic())
      if (row.op_type == op_type) return &row;
  return nullptr;
}

}  // namespace sula::onnx
