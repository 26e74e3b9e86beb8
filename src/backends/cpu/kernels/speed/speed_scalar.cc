#include "backends/cpu/kernels/speed/speed_body.h"
#include "backends/cpu/kernels/speed/speed_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const SpeedKernels kSpeedScalar = MakeSpeedKernels<simd::Scalar>();

}  // namespace sula::cpu
