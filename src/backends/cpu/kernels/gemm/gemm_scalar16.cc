#include "backends/cpu/kernels/gemm/gemm_body.h"
#include "backends/cpu/kernels/gemm/gemm_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const GemmKernels kGemmScalar16 = MakeGemmKernels<simd::Scalar16>();

}  // namespace sula::cpu
