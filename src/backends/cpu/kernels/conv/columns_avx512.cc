#include "backends/cpu/kernels/conv/columns_body.h"
#include "backends/cpu/kernels/conv/columns_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const ColumnKernels kColumnsAvx512 = MakeColumnKernels<simd::Avx512>();

}  // namespace sula::cpu
