#include "backends/cpu/kernels/elementwise/elementwise_body.h"
#include "backends/cpu/kernels/elementwise/elementwise_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const ElementwiseKernels kElementwiseAvx512 = MakeElementwise<simd::Avx512>();

}  // namespace sula::cpu
