#include "backends/cpu/kernels/recurrent/row_body.h"
#include "backends/cpu/kernels/recurrent/row_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const RowKernels kRowScalar = {RunRow<simd::Scalar>};

}  // namespace sula::cpu
