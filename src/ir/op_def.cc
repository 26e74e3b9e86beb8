#include "ir/op_def.h"

#include <algorithm>

namespace sula {
namespace {

constexpr std::string_view kUnknownRankMessage =
    "the rank of an input is not known before the run; declare the shapes of the graph's inputs";

}  // namespace

Status UnknownRank() { return Status(Code::kUnsupported, std::string(kUnknownRankMessage)); }

bool ErrorIsUnknownRank(const Status& status) {
  return status.code() == Code::kUnsupported && status.message() == kUnknownRankMessage;
}

Result<Shape> InferContext::InputShape(int i) const {
  const TensorType& type = input(i);
  if (!type.shape) return UnknownRank();
  return *type.shape;
}

Status UnknownField(std::string_view name, std::span<const Field> fields) {
  if (fields.empty()) return InvalidModel("unknown field '", name, "'; the operator has none");
  std::string known;
  for (const Field& f : fields) known += (known.empty() ? "" : ", ") + std::string(f.name);
  return InvalidModel("unknown field '", name, "'; known are ", known);
}

Result<Params> MakeParams(const OpDef& op,
                          std::span<const std::pair<std::string, FieldValue>> values) {
  if (op.build_params) return op.build_params(op.fields, values);
  if (!values.empty()) return UnknownField(values.front().first, {});
  return op.default_params();
}

bool Equal(const OpDef& op, const Params& a, const Params& b) {
  return a.SameType(b) && std::ranges::all_of(op.fields, [&](const Field& f) {
           return Field::Get(f, a) == Field::Get(f, b);
         });
}

const OpDef* FindOp(Catalogue catalogue, std::string_view name) {
  const auto it = std::ranges::find(catalogue, name, &OpDef::name);
  return it == catalogue.end() ? nullptr : *it;
}

}  // namespace sula
