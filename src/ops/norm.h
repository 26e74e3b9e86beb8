// Normalisation. Statistics are those of the population: mean, and mean of squared differences.
#pragma once

#include "ir/op_def.h"

namespace sula {

struct NormParams {
  float epsilon = 1e-5f;
  friend bool operator==(const NormParams&, const NormParams&) = default;
};
struct LayerNormParams {
  int64_t axis = -1;  // the first of the axes that are normalised together
  float epsilon = 1e-5f;
  friend bool operator==(const LayerNormParams&, const LayerNormParams&) = default;
};
struct GroupNormParams {
  int64_t groups = 1;
  float epsilon = 1e-5f;
  friend bool operator==(const GroupNormParams&, const GroupNormParams&) = default;
};
struct LrnParams {
  float alpha = 1e-4f, beta = 0.75f, bias = 1;
  int64_t size = 1;
  friend bool operator==(const LrnParams&, const LrnParams&) = default;
};
struct LpNormParams {
  int64_t axis = -1;
  int64_t p = 2;  // 1 or 2
  friend bool operator==(const LpNormParams&, const LpNormParams&) = default;
};

namespace op {
// inputs x [N,C,...], scale [C], bias [C], mean [C], var [C]:
// y = (x - mean) / sqrt(var + epsilon) * scale + bias
extern const OpDef kBatchNormalization;  // NormParams
// inputs x [N,C,...], scale [C], bias [C]; statistics per batch and channel
extern const OpDef kInstanceNormalization;  // NormParams
// the same with statistics per batch and group of C / groups adjacent channels
extern const OpDef kGroupNormalization;  // GroupNormParams
// inputs x, scale, bias? (both broadcast to x) -> y, mean?, invstd? (float32, the normalised axes
// of size 1); statistics over the axes from `axis` on
extern const OpDef kLayerNormalization;  // LayerNormParams
// inputs x, scale (broadcast to x): y = x / sqrt(mean(x^2) + epsilon) * scale
extern const OpDef kRMSNormalization;  // LayerNormParams
// x [N,C,...]: y = x / (bias + alpha / size * sum of x^2 over `size` channels around)^beta; of an
// even size the greater part lies behind
extern const OpDef kLRN;  // LrnParams
// y = x / p-norm along the axis; 0 where the norm is 0
extern const OpDef kLpNormalization;  // LpNormParams
}  // namespace op

}  // namespace sula
