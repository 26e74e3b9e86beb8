#include "backends/cpu/kernels/conv/narrow_body.h"
#include "backends/cpu/kernels/conv/narrow_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const NarrowKernels kNarrowAvx512 = MakeNarrowKernels<simd::Avx512>();

}  // namespace sula::cpu
