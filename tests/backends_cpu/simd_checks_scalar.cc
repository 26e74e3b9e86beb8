#include "backends/cpu/simd/portable.h"
#include "backends_cpu/simd_checks_body.h"

namespace sula::cpu {

const char* CheckSimdScalar() { return SimdChecks<simd::Scalar>::FirstFailure(); }
MathErrors MathErrorsScalar() { return SimdChecks<simd::Scalar>::Errors(); }

}  // namespace sula::cpu
