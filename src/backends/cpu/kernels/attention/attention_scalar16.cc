#include "backends/cpu/kernels/attention/attention_body.h"
#include "backends/cpu/kernels/attention/attention_targets.h"
#include "backends/cpu/simd/portable.h"

namespace sula::cpu {

constinit const AttentionLoops kAttentionScalar16 = MakeAttentionLoops<simd::Scalar16>();

}  // namespace sula::cpu
