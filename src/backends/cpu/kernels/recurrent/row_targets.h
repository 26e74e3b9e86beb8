// The variants of the matrix-vector kernel, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/recurrent/row_product.h"

namespace sula::cpu {

extern const RowKernels kRowScalar, kRowAvx2, kRowAvx512;
[[gnu::weak]] extern const RowKernels kRowScalar16;  // tests alone link it

}  // namespace sula::cpu
