// Element-wise functions and row reductions on float arrays.
#pragma once

#include <array>
#include <cstdint>

#include "backends/cpu/kernels/target.h"

namespace sula::cpu {

// Functions of one argument; a and b are the function's numbers where it has any.
enum class Unary : uint8_t {
  kRelu,
  kLeakyRelu,  // x < 0 ? a x : x
  kClip,       // min(max(x, a), b)
  kSigmoid,
  kTanh,
  kHardSigmoid,  // min(max(a x + b, 0), 1)
  kHardSwish,
  kSwish,  // x sigmoid(a x)
  kGelu,
  kGeluTanh,
  kElu,              // x < 0 ? a (e^x - 1) : x
  kSelu,             // b (x < 0 ? a (e^x - 1) : x)
  kCelu,             // max(x, 0) + min(a (e^(x/a) - 1), 0)
  kSoftplus,         // log(1 + e^x)
  kSoftsign,         // x / (1 + |x|)
  kMish,             // x tanh(softplus(x))
  kThresholdedRelu,  // x > a ? x : 0
  kErf,
  kNeg,
  kAbs,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kFloor,
  kCeil,
  kRound,  // to even
  kSign,
  kCount
};

enum class Binary : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMax,  // a NaN on either side gives NaN
  kMin,
  kPRelu,  // a < 0 ? a b : a
  kCount
};

// Folds of a row; kSumSquares, kSumAbs: of x^2 and |x|.
enum class Fold : uint8_t { kSum, kMax, kMin, kProduct, kSumSquares, kSumAbs, kCount };

template <class E, class Fn>
using PerKind = std::array<Fn, static_cast<size_t>(E::kCount)>;

// One row of a normalisation: y = (x - mean) / sqrt(mean square deviation + epsilon) * scale +
// shift; without `centre`, the mean is taken as 0.
struct NormRow {
  const float* x = nullptr;
  float* y = nullptr;            // may be x
  const float* scale = nullptr;  // n of them, or one if scale_step is 0
  const float* shift = nullptr;  // as many; may be null
  int64_t n = 0;
  int scale_step = 1;
  bool centre = true;
  float epsilon = 0;
};

// The functions for one instruction set. Pointers need no alignment; y may be x, or a, itself.
// n >= 0. Nothing beyond the n elements is read or written.
struct ElementwiseKernels {
  // y[i] = f(x[i])
  PerKind<Unary, void (*)(const float* x, float* y, int64_t n, float a, float b)> unary;
  // y[i] = f(a[i * sa], b[i * sb]) with sa, sb of 0 or 1
  PerKind<Binary, void (*)(const float* a, int sa, const float* b, int sb, float* y, int64_t n)>
      binary;
  // The fold of n elements; of none: 0, 1 for the product, -inf for max, +inf for min.
  PerKind<Fold, float (*)(const float* x, int64_t n)> fold;
  // acc[i] = fold(acc[i], x[i]) for i < n: one row more, for folds across rows.
  PerKind<Fold, void (*)(const float* x, float* acc, int64_t n)> fold_into;
  // y = softmax(x) over n elements: e^(x - max) / sum; log: x - max - log(sum). n >= 1.
  void (*softmax)(const float* x, float* y, int64_t n, bool log);
  // The same down `rows` rows of `n` columns each, `stride` elements apart in x and in y; scratch
  // holds 2 n floats.
  void (*softmax_columns)(const float* x, float* y, int64_t rows, int64_t stride, int64_t n,
                          bool log, float* scratch);
  void (*normalise)(const NormRow& row);
  // y[i] = the sum over t < count of weight[t] * x[t][i], for i < n; y must not overlap any x.
  void (*weighted_sum)(const float* const* x, const float* weight, int count, float* y, int64_t n);
};

// Precondition: the target is available.
const ElementwiseKernels& GetElementwise(Target target);

}  // namespace sula::cpu
