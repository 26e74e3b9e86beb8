// The instruction-set variants that every kernel family is compiled in, and how one is picked.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/cpu_info.h"

namespace sula::cpu {

// kScalar16 runs the code written for 16 lanes on any processor: for tests, never chosen by itself
// and not part of the library. Its definitions are weak symbols elsewhere, null where they are not
// linked; tests link sula_cpu_scalar16, which has them.
enum class Target { kScalar, kScalar16, kAvx2, kAvx512 };
inline constexpr int kNumTargets = 4;

std::string_view Name(Target target);

// The fastest variant of this machine (honours SULA_ISA, see base/cpu_info.h).
Target BestTarget();
// All variants that this program contains and this machine can run.
std::span<const Target> AvailableTargets();

// One pointer per Target; null where the program was built without it.
template <class Kernels>
using Variants = std::array<const Kernels*, kNumTargets>;

// Precondition: the target is available.
template <class Kernels>
const Kernels& Pick(const Variants<Kernels>& variants, Target target) {
  return *variants[static_cast<size_t>(target)];
}

}  // namespace sula::cpu
