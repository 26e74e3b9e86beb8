#include "backends/cpu/kernels/norm/channel_norm_body.h"
#include "backends/cpu/kernels/norm/channel_norm_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const ChannelNormKernels kChannelNormScalar16 = MakeChannelNormKernels<simd::Scalar16>();

}  // namespace sula::cpu
