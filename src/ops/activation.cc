#include "ops/activation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sula {
namespace {

// Written so that NaN stays NaN.
double Clamp(double x, double low, double high) {
  const double raised = x < low ? low : x;
  return raised > high ? high : raised;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

double Apply(const Activation& activation, double x) {
  const double a = activation.a, b = activation.b;
  switch (activation.kind) {
    case ActivationKind::kNone: return x;
    case ActivationKind::kRelu: return x < 0 ? 0 : x;
    case ActivationKind::kClip: return Clamp(x, a, b);
    case ActivationKind::kLeakyRelu: return x < 0 ? a * x : x;
    case ActivationKind::kSigmoid: return Sigmoid(x);
    case ActivationKind::kTanh: return std::tanh(x);
    case ActivationKind::kHardSigmoid: return Clamp(a * x + b, 0, 1);
    case ActivationKind::kHardSwish: return x * Clamp(x / 6 + 0.5, 0, 1);
    case ActivationKind::kSwish: return x * Sigmoid(a * x);
    case ActivationKind::kGelu: return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
  }
  return x;
}

}  // namespace sula
