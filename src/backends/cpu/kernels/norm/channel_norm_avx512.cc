#include "backends/cpu/kernels/norm/channel_norm_body.h"
#include "backends/cpu/kernels/norm/channel_norm_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const ChannelNormKernels kChannelNormAvx512 = MakeChannelNormKernels<simd::Avx512>();

}  // namespace sula::cpu
