// Constants and operators that make tensors from nothing but sizes.
#include <array>

#include "frontends/onnx/node_import.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

// https://onnx.ai/onnx/operators/onnx__Constant.html: exactly one of the value attributes.
void Constant(NodeImport& n) {
  constexpr std::array kForms = {"value",     "sparse_value", "value_float",  "value_floats",
                                 "value_int", "value_ints",   "value_string", "value_strings"};
  int given = 0;
  for (const char* form : kForms) given += n.Has(form);
  if (given != 1) return n.Fail(InvalidModel(given, " values given instead of one"));
  if (n.Has("value")) {
    if (auto t = n.TensorValue("value")) n.EmitConstant(*std::move(t));
  } else if (n.Has("value_float")) {
    n.EmitConstant(Tensor::Scalar(n.Float("value_float", 0)));
  } else if (n.Has("value_int")) {
    n.EmitConstant(Tensor::Scalar(n.Int("value_int", 0)));
  } else if (n.Has("value_ints")) {
    n.EmitConstant(Tensor::FromInts(n.Ints("value_ints")));
  } else if (n.Has("value_floats")) {
    std::vector<float> v = n.Floats("value_floats");
    n.EmitConstant(
        Tensor::From<float>({static_cast<int64_t>(v.size())}, std::span<const float>(v)));
  } else {
    n.Fail(Unsupported("operator Constant with a ", n.Has("sparse_value") ? "sparse" : "string",
                       " value"));
  }
}

void ConstantOfShape(NodeImport& n) {
  ValueId value = kNoValue;
  if (n.Has("value")) {
    auto t = n.TensorValue("value");
    if (!t) return;
    if (t->num_elements() != 1)
      return n.Fail(
          InvalidModel("attribute 'value' has ", t->num_elements(), " elements instead of one"));
    value = n.Constant(*std::move(t), "value");
  }
  n.Emit(op::kConstantOfShape, NoParams{}, {n.Input(0), value});
}

void Range(NodeImport& n) {
  // The type of intermediate sums: sula's are double for all floats, which contains both.
  n.Ignore("stash_type");
  n.Emit(op::kRange, NoParams{}, n.inputs());
}

void EyeLike(NodeImport& n) {
  EyeLikeParams p;
  p.k = n.Int("k", 0);
  if (auto dtype = n.Type("dtype")) {
    p.has_dtype = true;
    p.dtype = *dtype;
  }
  n.Emit(op::kEyeLike, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"Constant", Constant, 0, 0},
    {"ConstantOfShape", ConstantOfShape},
    {"EyeLike", EyeLike},
    {"Range", Range, 3, 3},
};

}  // namespace

std::span<const OpHandler> ConstantHandlers() { return kHandlers; }

}  // namespace sula::onnx
