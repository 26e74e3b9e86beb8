// Operators that work element by element, with numpy broadcasting where they have several inputs.
#pragma once

#include "ir/op_def.h"
#include "ops/activation.h"

namespace sula {

// Parameters of those unary operators that have some; the meaning is by operator.
struct AlphaParams {
  float alpha = 0;
  float beta = 0;
  friend bool operator==(const AlphaParams&, const AlphaParams&) = default;
};
struct GeluParams {
  bool tanh = false;  // the tanh approximation
  friend bool operator==(const GeluParams&, const GeluParams&) = default;
};
struct CastParams {
  DType to = DType::kFloat32;
  bool saturate = true;
  friend bool operator==(const CastParams&, const CastParams&) = default;
};
struct BinaryParams : WithActivation {
  friend bool operator==(const BinaryParams&, const BinaryParams&) = default;
};
struct ModParams {
  bool fmod = false;  // C's fmod (sign of the dividend) instead of Python's %
  friend bool operator==(const ModParams&, const ModParams&) = default;
};

namespace op {
// ---- unary, no parameters
extern const OpDef kRelu, kSigmoid, kTanh, kHardSwish, kSoftplus, kSoftsign, kMish, kErf, kNeg,
    kAbs, kExp, kLog, kSqrt, kReciprocal, kFloor, kCeil, kRound, kSign, kSin, kCos, kTan, kAsin,
    kAcos, kAtan, kSinh, kCosh, kAsinh, kAcosh, kAtanh, kNot, kIsNaN, kIsInf;
// ---- unary with AlphaParams: LeakyRelu(alpha), Elu(alpha), Selu(alpha, beta = gamma),
// Celu(alpha), HardSigmoid(alpha, beta), Swish(alpha), ThresholdedRelu(alpha)
extern const OpDef kLeakyRelu, kElu, kSelu, kCelu, kHardSigmoid, kSwish, kThresholdedRelu;
extern const OpDef kGelu;  // GeluParams
extern const OpDef kCast;  // CastParams
extern const OpDef kClip;  // x, min? (scalar), max? (scalar)
extern const OpDef kIdentity;
// ---- binary arithmetic with BinaryParams: act(a o b)
extern const OpDef kAdd, kSub, kMul, kDiv;
// ---- binary without parameters; comparisons and logic give bool
extern const OpDef kPow, kMax, kMin, kPRelu, kEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual,
    kAnd, kOr, kXor;
extern const OpDef kMod;    // ModParams
extern const OpDef kWhere;  // condition, x, y
}  // namespace op

// The activation that a unary node computes, if it is one of ActivationKind (Clip and its like only
// with constant bounds): what epilogue fusion looks for.
std::optional<Activation> AsActivation(const Node& node, std::span<const Tensor* const> constants);

}  // namespace sula
