#include "backends/cpu/simd/portable.h"
#include "backends_cpu/simd_checks_body.h"

namespace sula::cpu {

const char* CheckSimdScalar16() { return SimdChecks<simd::Scalar16>::FirstFailure(); }
MathErrors MathErrorsScalar16() { return SimdChecks<simd::Scalar16>::Errors(); }

}  // namespace sula::cpu
