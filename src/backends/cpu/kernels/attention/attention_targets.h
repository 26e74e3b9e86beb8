// The variants of the attention kernels, each defined in a file of its instruction set.
#pragma once

#include "backends/cpu/kernels/attention/attention.h"

namespace sula::cpu {

extern const AttentionLoops kAttentionScalar, kAttentionAvx2, kAttentionAvx512;
[[gnu::weak]] extern const AttentionLoops kAttentionScalar16;  // tests alone link it

}  // namespace sula::cpu
