// The variants of the speed loops, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/speed/speed.h"

namespace sula::cpu {

extern const SpeedKernels kSpeedScalar, kSpeedAvx2, kSpeedAvx512;
[[gnu::weak]] extern const SpeedKernels kSpeedScalar16;  // tests alone link it

}  // namespace sula::cpu
