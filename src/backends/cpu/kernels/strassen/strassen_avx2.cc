#include "backends/cpu/kernels/strassen/strassen_body.h"
#include "backends/cpu/kernels/strassen/strassen_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const StrassenKernels kStrassenAvx2 = MakeStrassenKernels<simd::Avx2>();

}  // namespace sula::cpu
