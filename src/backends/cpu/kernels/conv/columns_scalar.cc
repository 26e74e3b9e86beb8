#include "backends/cpu/kernels/conv/columns_body.h"
#include "backends/cpu/kernels/conv/columns_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const ColumnKernels kColumnsScalar = MakeColumnKernels<simd::Scalar>();

}  // namespace sula::cpu
