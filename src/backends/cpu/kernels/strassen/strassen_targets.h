// The variants of Strassen's vector loops, each defined in a file compiled for its instruction set.
#pragma once

#include "backends/cpu/kernels/strassen/strassen.h"

namespace sula::cpu {

extern const StrassenKernels kStrassenScalar, kStrassenAvx2, kStrassenAvx512;
[[gnu::weak]] extern const StrassenKernels kStrassenScalar16;  // tests alone link it

}  // namespace sula::cpu
