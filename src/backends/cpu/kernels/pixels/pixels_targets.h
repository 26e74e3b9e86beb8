// The variants of the kernel for pictures, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/pixels/pixels.h"

namespace sula::cpu {

extern const PixelKernels kPixelsScalar, kPixelsAvx2;
[[gnu::weak]] extern const PixelKernels kPixelsScalar16;  // tests alone link it

}  // namespace sula::cpu
