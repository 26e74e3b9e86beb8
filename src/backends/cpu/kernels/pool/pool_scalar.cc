#include "backends/cpu/kernels/pool/pool_body.h"
#include "backends/cpu/kernels/pool/pool_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const PoolKernels kPoolScalar = MakePoolKernels<simd::Scalar>();

}  // namespace sula::cpu
