// The variants of the pooling kernels, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/pool/pool.h"

namespace sula::cpu {

extern const PoolKernels kPoolScalar, kPoolAvx2, kPoolAvx512;
[[gnu::weak]] extern const PoolKernels kPoolScalar16;  // tests alone link it

}  // namespace sula::cpu
