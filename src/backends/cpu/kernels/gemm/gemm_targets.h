// The variants of the GEMM kernels, each defined in a file compiled for its instruction set.
#pragma once

#include "backends/cpu/kernels/gemm/gemm.h"

namespace sula::cpu {

extern const GemmKernels kGemmScalar, kGemmAvx2, kGemmAvx512;
[[gnu::weak]] extern const GemmKernels kGemmScalar16;  // tests alone link it

}  // namespace sula::cpu
