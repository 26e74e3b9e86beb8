#include "backends/cpu/kernels/winograd/winograd_body.h"
#include "backends/cpu/kernels/winograd/winograd_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const WinogradKernels kWinogradAvx2 = MakeWinogradKernels<simd::Avx2>();

}  // namespace sula::cpu
