#include "backends/cpu/kernels/elementwise/elementwise_body.h"
#include "backends/cpu/kernels/elementwise/elementwise_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const ElementwiseKernels kElementwiseScalar16 = MakeElementwise<simd::Scalar16>();

}  // namespace sula::cpu
