// The variants of the Winograd transforms, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/winograd/winograd.h"

namespace sula::cpu {

extern const WinogradKernels kWinogradScalar, kWinogradScalar16, kWinogradAvx2, kWinogradAvx512;

}  // namespace sula::cpu
