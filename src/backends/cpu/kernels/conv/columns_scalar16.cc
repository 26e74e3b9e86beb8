#include "backends/cpu/kernels/conv/columns_body.h"
#include "backends/cpu/kernels/conv/columns_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const ColumnKernels kColumnsScalar16 = MakeColumnKernels<simd::Scalar16>();

}  // namespace sula::cpu
