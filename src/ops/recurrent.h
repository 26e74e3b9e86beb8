// Recurrent layers over a sequence: the plain RNN, LSTM (Hochreiter and Schmidhuber, 1997) and GRU
// (Cho et al., 2014), with the equations and the packing of weights that ONNX gives them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/op_def.h"

namespace sula {

enum class Direction : uint8_t { kForward, kReverse, kBidirectional };
template <>
struct EnumNames<Direction> {
  static constexpr std::string_view kNames[] = {"forward", "reverse", "bidirectional"};
};

// The functions of gates and cells.
enum class GateKind : uint8_t {
  kSigmoid,
  kTanh,
  kRelu,
  kAffine,           // a * x + b
  kLeakyRelu,        // x < 0 ? a * x : x
  kThresholdedRelu,  // x >= a ? x : 0
  kScaledTanh,       // a * tanh(b * x)
  kHardSigmoid,      // min(max(a * x + b, 0), 1)
  kElu,              // x < 0 ? a * (exp(x) - 1) : x
  kSoftsign,         // x / (1 + |x|)
  kSoftplus,         // log(1 + exp(x))
};
template <>
struct EnumNames<GateKind> {
  static constexpr std::string_view kNames[] = {
      "Sigmoid",    "Tanh",        "Relu", "Affine",   "LeakyRelu", "ThresholdedRelu",
      "ScaledTanh", "HardSigmoid", "Elu",  "Softsign", "Softplus"};
};

struct GateFunction {
  GateKind kind = GateKind::kSigmoid;
  float a = 0, b = 0;
  friend bool operator==(const GateFunction&, const GateFunction&) = default;
};

// The function of this name with the numbers it has where a model gives none: those of the ONNX
// operator of that name; Affine 1 and 0, ScaledTanh 1 and 1. An error names the known functions.
Result<GateFunction> FindGateFunction(std::string_view name);
// How many numbers the function takes: 0, 1 (a), or 2.
int NumbersOf(GateKind kind);
double Apply(const GateFunction& function, double x);

struct RecurrentParams {
  Direction direction = Direction::kForward;
  bool batch_first = false;
  // By direction; Rnn: f, Gru: f g, Lstm: f g h. Empty: Sigmoid for f, Tanh for g and h (Rnn:
  // Tanh).
  std::vector<std::string> activations;
  // One number per function in `activations` whether it takes it or not; empty: the defaults.
  std::vector<float> alpha, beta;
  float clip = 0;
  friend bool operator==(const RecurrentParams&, const RecurrentParams&) = default;
};
struct GruParams : RecurrentParams {
  bool linear_before_reset = false;
  friend bool operator==(const GruParams&, const GruParams&) = default;
};
struct LstmParams : RecurrentParams {
  bool input_forget = false;
  friend bool operator==(const LstmParams&, const LstmParams&) = default;
};

// The functions of all directions, `per_direction` each, first direction first. An error if the
// lists have other lengths or hold an unknown name. per_direction: Rnn 1, Gru 2, Lstm 3.
Result<std::vector<GateFunction>> GateFunctions(const RecurrentParams& params, int per_direction);

inline int NumDirections(Direction d) { return d == Direction::kBidirectional ? 2 : 1; }

// Inputs (T steps, N batch, I inputs, H units, D directions, G gates: Rnn 1, Gru 3, Lstm 4):
//   x        [T, N, I], or [N, T, I] if batch_first
//   w        [D, G*H, I]: Gru z r h, Lstm i o f c
//   r        [D, G*H, H]
//   bias?    [D, 2*G*H]: that of w, then that of r
//   lens?    [N]: steps that count of each sequence, at most T; y is 0 beyond them
//   h0?      [D, N, H], or [N, D, H] if batch_first; absent: 0
//   c0?      (Lstm) like h0
//   peephole? (Lstm) [D, 3*H]: i o f
//   keep?    [T, N], or [N, T] if batch_first: factors of h (and c) as each step takes them over
// Outputs:
//   y?       [T, D, N, H], or [N, T, D, H] if batch_first
//   h?, c?   (c: Lstm) the last states, like h0
namespace op {
extern const OpDef kRnn;   // RecurrentParams
extern const OpDef kGru;   // GruParams
extern const OpDef kLstm;  // LstmParams
}  // namespace op

}  // namespace sula
