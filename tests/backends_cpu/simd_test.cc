#include <gtest/gtest.h>

#include "backends/cpu/kernels/target.h"
#include "backends_cpu/simd_checks.h"

namespace sula::cpu {
namespace {

struct Variant {
  Target target;
  const char* (*check)();
  MathErrors (*errors)();
};
constexpr Variant kVariants[] = {
    {Target::kScalar, CheckSimdScalar, MathErrorsScalar},
    {Target::kScalar16, CheckSimdScalar16, MathErrorsScalar16},
#ifdef SULA_CPU_SIMD
    {Target::kAvx2, CheckSimdAvx2, MathErrorsAvx2},
    {Target::kAvx512, CheckSimdAvx512, MathErrorsAvx512},
#endif
};

// Calls fn for the variants that this machine can run.
template <class Fn>
void ForEach(Fn fn) {
  for (Target target : AvailableTargets())
    for (const Variant& v : kVariants)
      if (v.target == target) fn(v);
}

TEST(Simd, Operations) {
  ForEach([](const Variant& v) {
    const char* wrong = v.check();
    EXPECT_EQ(wrong, nullptr) << Name(v.target) << ": " << wrong;
  });
}

// The bounds that simd/math.h states.
TEST(Simd, MathErrors) {
  ForEach([](const Variant& v) {
    SCOPED_TRACE(Name(v.target));
    const MathErrors e = v.errors();
    EXPECT_LE(e.exp, 2);
    EXPECT_LE(e.log, 2);
    EXPECT_LE(e.tanh, 3);
    EXPECT_LE(e.sigmoid, 4);
    EXPECT_LE(e.erf, 3);
    // Half an ulp of Phi < 1 in its sum, and six roundings of the quotient, whose factors have 1/2
    // at most: 0.6e-7 + 6 * 0.6e-7 / 2, and the fit.
    EXPECT_LE(e.gelu, 4e-7);
  });
}

}  // namespace
}  // namespace sula::cpu
