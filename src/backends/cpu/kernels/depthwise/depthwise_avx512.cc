#include "backends/cpu/kernels/depthwise/depthwise_body.h"
#include "backends/cpu/kernels/depthwise/depthwise_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const DepthwiseKernels kDepthwiseAvx512 = MakeDepthwiseKernels<simd::Avx512>();

}  // namespace sula::cpu
