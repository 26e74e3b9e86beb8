// The variants of the depthwise kernels, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/depthwise/depthwise.h"

namespace sula::cpu {

extern const DepthwiseKernels kDepthwiseScalar, kDepthwiseAvx2, kDepthwiseAvx512;
[[gnu::weak]] extern const DepthwiseKernels kDepthwiseScalar16;  // tests alone link it

}  // namespace sula::cpu
