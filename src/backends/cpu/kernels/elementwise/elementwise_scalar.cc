#include "backends/cpu/kernels/elementwise/elementwise_body.h"
#include "backends/cpu/kernels/elementwise/elementwise_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const ElementwiseKernels kElementwiseScalar = MakeElementwise<simd::Scalar>();

}  // namespace sula::cpu
