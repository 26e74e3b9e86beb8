#include "backends/cpu/kernels/elementwise/elementwise.h"

#include "backends/cpu/kernels/elementwise/elementwise_targets.h"

namespace sula::cpu {

const ElementwiseKernels& GetElementwise(Target target) {
  static constexpr Variants<ElementwiseKernels> kVariants = {
      &kElementwiseScalar,
      &kElementwiseScalar16,
#ifdef SULA_CPU_SIMD
      &kElementwiseAvx2,
      &kElementwiseAvx512,
#endif
  };
  return Pick(kVariants, target);
}

}  // namespace sula::cpu
