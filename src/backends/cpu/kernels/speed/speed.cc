#include "backends/cpu/kernels/speed/speed.h"

#include "backends/cpu/kernels/speed/speed_targets.h"

namespace sula::cpu {

const SpeedKernels& SpeedFor(Target target) {
  static constexpr Variants<SpeedKernels> kVariants = {
      &kSpeedScalar,
      nullptr,
#ifdef SULA_CPU_SIMD
      &kSpeedAvx2,
      &kSpeedAvx512,
#endif
  };
  return Pick(kVariants, target);
}

}  // namespace sula::cpu
