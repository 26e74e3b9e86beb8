#include "backends/cpu/kernels/attention/attention_body.h"
#include "backends/cpu/kernels/attention/attention_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const AttentionLoops kAttentionScalar = MakeAttentionLoops<simd::Scalar>();

}  // namespace sula::cpu
