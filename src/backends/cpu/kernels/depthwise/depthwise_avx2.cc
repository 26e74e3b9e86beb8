#include "backends/cpu/kernels/depthwise/depthwise_body.h"
#include "backends/cpu/kernels/depthwise/depthwise_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const DepthwiseKernels kDepthwiseAvx2 = MakeDepthwiseKernels<simd::Avx2>();

}  // namespace sula::cpu
