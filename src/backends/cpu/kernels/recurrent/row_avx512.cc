#include "backends/cpu/kernels/recurrent/row_body.h"
#include "backends/cpu/kernels/recurrent/row_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const RowKernels kRowAvx512 = {RunRow<simd::Avx512>};

}  // namespace sula::cpu
