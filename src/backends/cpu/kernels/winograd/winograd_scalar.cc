#include "backends/cpu/kernels/winograd/winograd_body.h"
#include "backends/cpu/kernels/winograd/winograd_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const WinogradKernels kWinogradScalar = MakeWinogradKernels<simd::Scalar>();

}  // namespace sula::cpu
