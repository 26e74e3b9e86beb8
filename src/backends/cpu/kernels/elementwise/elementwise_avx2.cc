#include "backends/cpu/kernels/elementwise/elementwise_body.h"
#include "backends/cpu/kernels/elementwise/elementwise_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const ElementwiseKernels kElementwiseAvx2 = MakeElementwise<simd::Avx2>();

}  // namespace sula::cpu
