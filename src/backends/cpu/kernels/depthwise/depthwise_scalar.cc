#include "backends/cpu/kernels/depthwise/depthwise_body.h"
#include "backends/cpu/kernels/depthwise/depthwise_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const DepthwiseKernels kDepthwiseScalar = MakeDepthwiseKernels<simd::Scalar>();

}  // namespace sula::cpu
