// The variants of the pooling kernels, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/pool/pool.h"

namespace sula::cpu {

extern const PoolKernels kPoolScalar, kPoolScalar16, kPoolAvx2, kPoolAvx512;

}  // namespace sula::cpu
