// Input shapes: what the caller gives against what the model declares.
#include <algorithm>

#include "ops/sizes.h"
#include "runtime/prepare/concrete.h"

namespace sula {
namespace {

bool IsSymbol(const Dim& d) {
  const std::vector<std::string> symbols = d.Symbols();
  return symbols.size() == 1 && d == Dim::Symbol(symbols[0]);
}

Status Contradiction(const Value& input, const Dims& given) {
  return InvalidArgument("input '", input.name, "' is declared ", input.type.ToString(),
                         ", the shape given is ", ToString(given));
}

// Checks one given shape against the declaration and learns the sizes it names.
Status Bind(const Value& input, const Dims& given, DimBindings& bindings) {
  RETURN_IF_ERROR(
      CheckTensorSize(input.type.dtype, given).AddContext(StrCat("input '", input.name, "'")));
  if (!input.type.shape) return {};
  const Shape& declared = *input.type.shape;
  if (declared.rank() != static_cast<int>(given.size())) return Contradiction(input, given);
  for (int i = 0; i < declared.rank(); ++i) {
    const Dim& d = declared[i];
    if (d.is_const() && d.value() != given[i]) return Contradiction(input, given);
    if (!IsSymbol(d)) continue;
    const std::string name = d.Symbols()[0];
    const auto [bound, inserted] = bindings.emplace(name, given[i]);
    if (!inserted && bound->second != given[i])
      return Contradiction(input, given)
          .AddContext(StrCat("'", name, "' is ", bound->second, " by another input or axis"));
  }
  return {};
}

// The sizes that a declaration leaves open, "H, W".
std::string OpenSizes(const Shape& shape) {
  std::vector<std::string> names;
  for (const Dim& d : shape)
    for (std::string& name : d.Symbols())
      if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(std::move(name));
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Result<std::vector<TensorType>> ConcreteInputTypes(const Graph& graph, const InputShapes& shapes) {
  DimBindings bindings;
  for (const auto& [name, dims] : shapes) {
    const std::optional<ValueId> v = graph.FindValue(name);
    if (!v || !graph.IsInput(*v)) {
      std::string known;
      for (ValueId id : graph.inputs()) known += " '" + graph.value(id).name + "'";
      return NotFound("the model has no input '", name, "'; its inputs are", known);
    }
    RETURN_IF_ERROR(Bind(graph.value(*v), dims, bindings));
  }
  std::vector<TensorType> types;
  for (ValueId id : graph.inputs()) {
    const Value& input = graph.value(id);
    const auto given = shapes.find(input.name);
    if (!input.type.shape) {
      if (given == shapes.end())
        return InvalidArgument("input '", input.name,
                               "' is declared without a shape: give one for this run");
      types.push_back({input.type.dtype, Shape::Of(given->second)});
      continue;
    }
    const Shape shape = input.type.shape->Substitute(bindings);
    const std::optional<Dims> dims = shape.TryConcrete();
    if (given != shapes.end()) {
      // A size that is an expression over names may still contradict, or stay open.
      for (int i = 0; i < shape.rank(); ++i)
        if (shape[i].TryValue().value_or(given->second[i]) != given->second[i])
          return Contradiction(input, given->second);
      types.push_back({input.type.dtype, Shape::Of(given->second)});
      continue;
    }
    if (!dims)
      return InvalidArgument("input '", input.name, "' is declared ", input.type.ToString(),
                             ": give its shape, ", OpenSizes(shape), " can be chosen");
    RETURN_IF_ERROR(
        CheckTensorSize(input.type.dtype, *dims).AddContext(StrCat("input '", input.name, "'")));
    types.push_back({input.type.dtype, shape});
  }
  return types;
}

}  // namespace sula
