// The variants of the element-wise kernels, each defined in a file compiled for its instruction
// set.
#pragma once

#include "backends/cpu/kernels/elementwise/elementwise.h"

namespace sula::cpu {

extern const ElementwiseKernels kElementwiseScalar, kElementwiseAvx2, kElementwiseAvx512;
[[gnu::weak]] extern const ElementwiseKernels kElementwiseScalar16;  // tests alone link it

}  // namespace sula::cpu
