#include "backends/cpu/kernels/gemm/gemm_body.h"
#include "backends/cpu/kernels/gemm/gemm_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const GemmKernels kGemmAvx2 = MakeGemmKernels<simd::Avx2>();

}  // namespace sula::cpu
