// Softmax and its kin along one axis.
#pragma once

#include "ir/op_def.h"

namespace sula {

struct SoftmaxParams {
  int64_t axis = -1;
  friend bool operator==(const SoftmaxParams&, const SoftmaxParams&) = default;
};

namespace op {
// y = exp(x) / sum(exp(x)); its logarithm; 1 at the first maximum and 0 elsewhere
extern const OpDef kSoftmax, kLogSoftmax, kHardmax;
}  // namespace op

}  // namespace sula
