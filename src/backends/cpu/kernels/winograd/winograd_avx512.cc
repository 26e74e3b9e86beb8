#include "backends/cpu/kernels/winograd/winograd_body.h"
#include "backends/cpu/kernels/winograd/winograd_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const WinogradKernels kWinogradAvx512 = MakeWinogradKernels<simd::Avx512>();

}  // namespace sula::cpu
