// What a kernel does to its sums before it writes them: y = act(sum + residual).
#pragma once

#include <cstdint>
#include <limits>

namespace sula::cpu {

// Activations beyond a clamp. Formulas: ops/activation.h, which has the same names.
enum class Curve : uint8_t {
  kNone,
  kLeakyRelu,
  kSigmoid,
  kTanh,
  kHardSigmoid,
  kHardSwish,
  kSwish,
  kGelu,
};

// min(max(x, lo), hi), then the curve. A NaN stays a NaN.
struct Epilogue {
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
  Curve curve = Curve::kNone;
  float a = 0, b = 0;  // of the curve
};

}  // namespace sula::cpu
