// The variants of the depthwise kernels, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/depthwise/depthwise.h"

namespace sula::cpu {

extern const DepthwiseKernels kDepthwiseScalar, kDepthwiseScalar16, kDepthwiseAvx2,
    kDepthwiseAvx512;

}  // namespace sula::cpu
