#include "backends/cpu/kernels/speed/speed_body.h"
#include "backends/cpu/kernels/speed/speed_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const SpeedKernels kSpeedAvx2 = MakeSpeedKernels<simd::Avx2>();

}  // namespace sula::cpu
