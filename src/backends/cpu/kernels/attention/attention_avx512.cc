#include "backends/cpu/kernels/attention/attention_body.h"
#include "backends/cpu/kernels/attention/attention_targets.h"
#include "backends/cpu/simd/avx512.h"

namespace sula::cpu {

constinit const AttentionLoops kAttentionAvx512 = MakeAttentionLoops<simd::Avx512>();

}  // namespace sula::cpu
