// Pooling over windows for adapters of chains.
#pragma once

#include "backends/cpu/adapter.h"
#include "backends/cpu/kernels/pool/pool.h"

namespace sula::cpu {

// The call of a MaxPool but for pointers and strides. Error: sizes that do not fit.
Result<PoolCall> MaxPoolCall(const KernelRequest& request);

}  // namespace sula::cpu
