#include "backends/cpu/kernels/pool/pool_body.h"
#include "backends/cpu/kernels/pool/pool_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const PoolKernels kPoolAvx512 = MakePoolKernels<simd::Avx512>();

}  // namespace sula::cpu
