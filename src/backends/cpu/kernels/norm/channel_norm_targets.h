// The variants of channel normalisation, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/norm/channel_norm.h"

namespace sula::cpu {

extern const ChannelNormKernels kChannelNormScalar, kChannelNormAvx2, kChannelNormAvx512;
[[gnu::weak]] extern const ChannelNormKernels kChannelNormScalar16;  // tests alone link it

}  // namespace sula::cpu
