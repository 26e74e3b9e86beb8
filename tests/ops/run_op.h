// Runs and infers single operators.
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/catalogue.h"

namespace sula {

// An absent optional input is std::nullopt.
using Inputs = std::vector<std::optional<Tensor>>;
using InputTypes = std::vector<std::optional<TensorType>>;

inline Node MakeNode(const OpDef& op, Params params, const std::vector<bool>& present,
                     int num_outputs) {
  Node node;
  node.op = &op;
  node.name = "n";
  node.params = params.has_value() ? std::move(params) : op.default_params();
  for (size_t i = 0; i < present.size(); ++i)
    node.inputs.push_back(present[i] ? static_cast<ValueId>(i) : kNoValue);
  for (int i = 0; i < num_outputs; ++i)
    node.outputs.push_back(static_cast<ValueId>(present.size()) + i);
  return node;
}

inline Result<std::vector<Tensor>> TryRun(const OpDef& op, Params params, const Inputs& inputs,
                                          int num_outputs = 1) {
  std::vector<bool> present;
  std::vector<const Tensor*> pointers;
  for (const auto& t : inputs) {
    present.push_back(t.has_value());
    pointers.push_back(t ? &*t : nullptr);
  }
  return EvaluateNode(MakeNode(op, std::move(params), present, num_outputs), pointers);
}

// The first output; fails the test and gives an empty tensor on an error.
inline Tensor RunOp(const OpDef& op, Params params, const Inputs& inputs) {
  Result<std::vector<Tensor>> outputs = TryRun(op, std::move(params), inputs);
  EXPECT_TRUE(outputs.has_value()) << outputs.error().ToString();
  return outputs ? (*outputs)[0] : Tensor();
}

inline Result<std::vector<TensorType>> TryInfer(const OpDef& op, Params params,
                                                const InputTypes& inputs,
                                                const Inputs& constants = {}, int num_outputs = 1) {
  std::vector<bool> present;
  std::vector<TensorType> types;
  std::vector<const Tensor*> pointers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    present.push_back(inputs[i].has_value());
    types.push_back(inputs[i].value_or(TensorType{}));
    pointers.push_back(i < constants.size() && constants[i] ? &*constants[i] : nullptr);
  }
  return InferNode(MakeNode(op, std::move(params), present, num_outputs), types, pointers);
}

// "float32[N,4]" of the first output, or the error's message.
inline std::string InferText(const OpDef& op, Params params, const InputTypes& inputs,
                             const Inputs& constants = {}) {
  const auto types = TryInfer(op, std::move(params), inputs, constants);
  return types ? (*types)[0].ToString() : types.error().message();
}

inline Dim Sym(std::string_view name) { return Dim::Symbol(name); }
inline TensorType F32(Shape shape) { return {DType::kFloat32, std::move(shape)}; }

// The elements of a tensor of any type.
inline std::vector<double> Values(const Tensor& t) {
  std::vector<double> values;
  for (int64_t i = 0; i < t.num_elements(); ++i) values.push_back(t.AsDouble(i));
  return values;
}

// Reproducible values in [-1, 1), multiples of 1/64: sums and products of a few hundred of them
// are exact in double and in float.
inline Tensor Ramp(Dims dims, int seed = 1) {
  Tensor t(DType::kFloat32, std::move(dims));
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 12345u;
  for (float& v : t.mutable_data<float>()) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int>(state >> 25) - 64) / 64.0f;
  }
  return t;
}

// The same numbers as another element type.
template <class T>
Tensor To(const Tensor& t) {
  Tensor r(DTypeOf<T>(), t.dims());
  for (int64_t i = 0; i < t.num_elements(); ++i)
    r.mutable_data<T>()[i] = static_cast<T>(static_cast<float>(t.AsDouble(i)));
  return r;
}

// |got - expected| <= relative * |expected| + absolute, element by element.
inline void ExpectNear(const std::vector<double>& got, const std::vector<double>& expected,
                       double relative, double absolute = 0) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], relative * std::abs(expected[i]) + absolute)
        << "at element " << i;
}

// Half a unit in the last place of a float: the error of one rounding.
inline constexpr double kFloatRounding = 0x1p-24;

}  // namespace sula
