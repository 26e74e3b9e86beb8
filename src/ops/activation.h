// The activation that convolution, matrix product and arithmetic operators can apply to their
// result before writing it: y = act(x). Shared by params, Evaluate and kernels.
#pragma once

#include <array>
#include <string_view>

#include "ir/params.h"

namespace sula {

enum class ActivationKind : uint8_t {
  kNone,
  kRelu,       // max(x, 0)
  kClip,       // min(max(x, a), b)
  kLeakyRelu,  // x < 0 ? a * x : x
  kSigmoid,    // 1 / (1 + exp(-x))
  kTanh,
  kHardSigmoid,  // min(max(a * x + b, 0), 1)
  kHardSwish,    // x * min(max(x / 6 + 1/2, 0), 1)
  kSwish,        // x * sigmoid(a * x); SiLU with a = 1
  kGelu,         // x * Phi(x), exact (erf)
};
template <>
struct EnumNames<ActivationKind> {
  static constexpr std::string_view kNames[] = {"none",    "relu", "clip",         "leaky_relu",
                                                "sigmoid", "tanh", "hard_sigmoid", "hard_swish",
                                                "swish",   "gelu"};
};

struct Activation {
  ActivationKind kind = ActivationKind::kNone;
  float a = 0, b = 0;
  friend bool operator==(const Activation&, const Activation&) = default;
};

// act(x) in double.
double Apply(const Activation& activation, double x);

// Base of params structs with a fused activation; its fields are in kActivationFields below.
struct WithActivation {
  ActivationKind activation = ActivationKind::kNone;
  float activation_a = 0, activation_b = 0;
  Activation Fused() const { return {activation, activation_a, activation_b}; }
  void Fuse(const Activation& f) { activation = f.kind, activation_a = f.a, activation_b = f.b; }
  friend bool operator==(const WithActivation&, const WithActivation&) = default;
};

// The three fields of a params struct P derived from WithActivation, for its field list.
template <class P>
inline constexpr std::array<Field, 3> kActivationFields = {
    MakeField<&WithActivation::activation, P>("activation", "applied to the result"),
    MakeField<&WithActivation::activation_a, P>("activation_a", "the activation's first number"),
    MakeField<&WithActivation::activation_b, P>("activation_b", "the activation's second number"),
};

}  // namespace sula
