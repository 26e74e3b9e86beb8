// The variants of the kernels of narrow convolutions, each defined in a file of its instruction
// set.
#pragma once

#include "backends/cpu/kernels/conv/narrow.h"

namespace sula::cpu {

extern const NarrowKernels kNarrowScalar, kNarrowAvx2, kNarrowAvx512;
[[gnu::weak]] extern const NarrowKernels kNarrowScalar16;  // tests alone link it

}  // namespace sula::cpu
