#include "backends/cpu/kernels/strassen/strassen_body.h"
#include "backends/cpu/kernels/strassen/strassen_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const StrassenKernels kStrassenAvx512 = MakeStrassenKernels<simd::Avx512>();

}  // namespace sula::cpu
