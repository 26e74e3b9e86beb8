#include "backends/cpu/kernels/recurrent/row_body.h"
#include "backends/cpu/kernels/recurrent/row_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const RowKernels kRowScalar16 = {RunRow<simd::Scalar16>};

}  // namespace sula::cpu
