#include "backends/cpu/kernels/norm/channel_norm_body.h"
#include "backends/cpu/kernels/norm/channel_norm_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const ChannelNormKernels kChannelNormAvx2 = MakeChannelNormKernels<simd::Avx2>();

}  // namespace sula::cpu
