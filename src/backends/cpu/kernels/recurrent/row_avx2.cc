#include "backends/cpu/kernels/recurrent/row_body.h"
#include "backends/cpu/kernels/recurrent/row_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const RowKernels kRowAvx2 = {RunRow<simd::Avx2>};

}  // namespace sula::cpu
