#include "backends/cpu/simd/avx512.h"
#include "backends_cpu/simd_checks_body.h"

namespace sula::cpu {

const char* CheckSimdAvx512() { return SimdChecks<simd::Avx512>::FirstFailure(); }
MathErrors MathErrorsAvx512() { return SimdChecks<simd::Avx512>::Errors(); }

}  // namespace sula::cpu
