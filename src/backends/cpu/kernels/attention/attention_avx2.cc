#include "backends/cpu/kernels/attention/attention_body.h"
#include "backends/cpu/kernels/attention/attention_targets.h"
#include "backends/cpu/simd/avx2.h"

namespace sula::cpu {

constinit const AttentionLoops kAttentionAvx2 = MakeAttentionLoops<simd::Avx2>();

}  // namespace sula::cpu
