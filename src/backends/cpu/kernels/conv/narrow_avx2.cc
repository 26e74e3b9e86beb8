#include "backends/cpu/kernels/conv/narrow_body.h"
#include "backends/cpu/kernels/conv/narrow_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const NarrowKernels kNarrowAvx2 = MakeNarrowKernels<simd::Avx2>();

}  // namespace sula::cpu
