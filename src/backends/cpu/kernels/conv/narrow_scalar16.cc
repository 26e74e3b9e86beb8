#include "backends/cpu/kernels/conv/narrow_body.h"
#include "backends/cpu/kernels/conv/narrow_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const NarrowKernels kNarrowScalar16 = MakeNarrowKernels<simd::Scalar16>();

}  // namespace sula::cpu
