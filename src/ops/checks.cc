#include "ops/checks.h"

namespace sula {

bool MayEqual(const Dim& a, const Dim& b) { return !a.is_const() || !b.is_const() || a == b; }

bool MayEqual(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return false;
  for (int i = 0; i < a.rank(); ++i)
    if (!MayEqual(a[i], b[i])) return false;
  return true;
}

Status CheckSameType(const InferContext& ctx, std::initializer_list<int> inputs) {
  int first = -1;
  for (int i : inputs) {
    if (!ctx.HasInput(i)) continue;
    if (first < 0) first = i;
    if (ctx.InputType(i) != ctx.InputType(first))
      return InvalidModel("input ", i, " is ", Name(ctx.InputType(i)), " but input ", first, " is ",
                          Name(ctx.InputType(first)), "; they must have one element type");
  }
  return {};
}

Status CheckVector(const InferContext& ctx, int i, std::string_view name, const Dim& size) {
  if (!ctx.HasInput(i) || !ctx.input(i).shape) return {};
  const Shape& shape = *ctx.input(i).shape;
  if (shape.rank() != 1 || !MayEqual(shape[0], size))
    return InvalidModel(name, " has shape ", shape.ToString(), ", expected [", size.ToString(),
                        "]");
  return {};
}

Status CheckOneElement(const InferContext& ctx, int i, std::string_view name) {
  if (!ctx.HasInput(i) || !ctx.input(i).shape) return {};
  const Shape& shape = *ctx.input(i).shape;
  if (!MayEqual(shape.NumElements(), 1))
    return InvalidModel(name, " has shape ", shape.ToString(), ", expected one element");
  return {};
}

}  // namespace sula
