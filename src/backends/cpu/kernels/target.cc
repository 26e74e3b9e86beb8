#include "backends/cpu/kernels/target.h"

#include <vector>

namespace sula::cpu {

[[gnu::weak]] extern const bool kHasScalar16;  // target_scalar16.cc

std::string_view Name(Target target) {
  constexpr std::string_view kNames[] = {"scalar", "scalar16", "avx2", "avx512"};
  return kNames[static_cast<size_t>(target)];
}

Target BestTarget() {
#ifdef SULA_CPU_SIMD
  switch (CpuInfo::Get().best_isa) {
    case Isa::kAvx512: return Target::kAvx512;
    case Isa::kAvx2: return Target::kAvx2;
    case Isa::kScalar: break;
  }
#endif
  return Target::kScalar;
}

std::span<const Target> AvailableTargets() {
  static const std::vector<Target> targets = [] {
    std::vector<Target> r = {Target::kScalar};
    if (&kHasScalar16 != nullptr) r.push_back(Target::kScalar16);
    const Target best = BestTarget();
    if (best == Target::kAvx2 || best == Target::kAvx512) r.push_back(Target::kAvx2);
    if (best == Target::kAvx512) r.push_back(Target::kAvx512);
    return r;
  }();
  return targets;
}

}  // namespace sula::cpu
