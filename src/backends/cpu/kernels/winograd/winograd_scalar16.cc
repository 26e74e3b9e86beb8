#include "backends/cpu/kernels/winograd/winograd_body.h"
#include "backends/cpu/kernels/winograd/winograd_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const WinogradKernels kWinogradScalar16 = MakeWinogradKernels<simd::Scalar16>();

}  // namespace sula::cpu
