#include "backends/cpu/kernels/conv/columns_body.h"
#include "backends/cpu/kernels/conv/columns_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const ColumnKernels kColumnsAvx2 = MakeColumnKernels<simd::Avx2>();

}  // namespace sula::cpu
