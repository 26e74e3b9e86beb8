#include "backends/cpu/kernels/strassen/strassen_body.h"
#include "backends/cpu/kernels/strassen/strassen_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const StrassenKernels kStrassenScalar16 = MakeStrassenKernels<simd::Scalar16>();

}  // namespace sula::cpu
