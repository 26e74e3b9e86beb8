#include "backends/cpu/kernels/speed/speed_body.h"
#include "backends/cpu/kernels/speed/speed_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const SpeedKernels kSpeedAvx512 = MakeSpeedKernels<simd::Avx512>();

}  // namespace sula::cpu
