#include "backends/cpu/kernels/pool/pool_body.h"
#include "backends/cpu/kernels/pool/pool_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const PoolKernels kPoolAvx2 = MakePoolKernels<simd::Avx2>();

}  // namespace sula::cpu
