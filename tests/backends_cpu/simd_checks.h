// Checks of the vector types, each compiled with its instruction set's flags; simd_test.cc runs
// those that the machine can. No standard containers here: their code would be shared with files
// compiled for any processor.
#pragma once

namespace sula::cpu {

// A description of the first operation that is wrong; null if all are right.
const char* CheckSimdScalar();
const char* CheckSimdScalar16();
const char* CheckSimdAvx2();
const char* CheckSimdAvx512();

// Largest error over the test's range, by function of simd/math.h: in units of the last place, and
// gelu's relative to max(1, |x|).
struct MathErrors {
  double exp, log, tanh, sigmoid, erf, gelu;
};
MathErrors MathErrorsScalar();
MathErrors MathErrorsScalar16();
MathErrors MathErrorsAvx2();
MathErrors MathErrorsAvx512();

}  // namespace sula::cpu
