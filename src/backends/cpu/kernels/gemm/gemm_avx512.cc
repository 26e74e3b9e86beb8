#include "backends/cpu/kernels/gemm/gemm_body.h"
#include "backends/cpu/kernels/gemm/gemm_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const GemmKernels kGemmAvx512 = MakeGemmKernels<simd::Avx512>();

}  // namespace sula::cpu
