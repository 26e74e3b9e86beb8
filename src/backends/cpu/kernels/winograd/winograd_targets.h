// The variants of the Winograd transforms, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/winograd/passes.h"

namespace sula::cpu {

extern const WinogradKernels kWinogradScalar, kWinogradAvx2, kWinogradAvx512;
[[gnu::weak]] extern const WinogradKernels kWinogradScalar16;  // tests alone link it

}  // namespace sula::cpu
