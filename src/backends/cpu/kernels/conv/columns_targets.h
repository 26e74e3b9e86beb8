// The variants of the kernels of column sums, each defined in a file of its instruction
// set.
#pragma once

#include "backends/cpu/kernels/conv/columns.h"

namespace sula::cpu {

extern const ColumnKernels kColumnsScalar, kColumnsAvx2, kColumnsAvx512;
[[gnu::weak]] extern const ColumnKernels kColumnsScalar16;  // tests alone link it

}  // namespace sula::cpu
