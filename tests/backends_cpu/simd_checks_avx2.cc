#include "backends/cpu/simd/avx2.h"
#include "backends_cpu/simd_checks_body.h"

namespace sula::cpu {

const char* CheckSimdAvx2() { return SimdChecks<simd::Avx2>::FirstFailure(); }
MathErrors MathErrorsAvx2() { return SimdChecks<simd::Avx2>::Errors(); }

}  // namespace sula::cpu
