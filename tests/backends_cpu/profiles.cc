#include "backends_cpu/profiles.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace sula::cpu {
namespace {

// Four digits, as the text has them.
double Rounded(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3e", x);
  return std::strtod(text, nullptr);
}

// Tiles whose steps are bound by multiply-adds, by loads, or by the latency of few sums.
void FillTiles(MachineProfile& p, Target target, const std::array<int, 3>& rows,
               double fmas_per_second) {
  p.panel_seconds[static_cast<size_t>(target)] = 1e-8;
  for (size_t v = 0; v < 3; ++v)
    for (int r = 1; r <= rows[v]; ++r) {
      const double width = static_cast<double>(v) + 1;
      const double fmas = std::max({r * width, r + width, 8.0});
      p.tiles[static_cast<size_t>(target)][v].push_back(
          {Rounded(fmas / fmas_per_second), Rounded((20 + 3 * r * width) / fmas_per_second)});
    }
}

}  // namespace

MachineProfile TestProfile() {
  MachineProfile p;
  p.key = {"test", "Test processor 3", "avx2", 32 << 10, 512 << 10, 32 << 20};
  p.flops[static_cast<size_t>(Target::kScalar)] = 1.5e10;
  p.flops[static_cast<size_t>(Target::kAvx2)] = 1e11;
  p.levels = {{{1.2e11, 1.4e11}, {6e10, 6e10}, {2.5e10, 2.5e10}, {1.5e10, 1.2e10}}};
  FillTiles(p, Target::kAvx2, {8, 6, 4}, 6.4e9);
  p.parallel = {{2, 1.98, {5e10, 5e10}, {2.5e10, 2e10}, 1.2e-6}};
  return p;
}

MachineProfile TestProfile512() {
  MachineProfile p = TestProfile();
  p.key = {"test", "Test processor 4", "avx512", 32 << 10, 1 << 20, 32 << 20};
  p.flops[static_cast<size_t>(Target::kAvx512)] = 1.15e11;
  FillTiles(p, Target::kAvx512, {14, 14, 9}, 3.6e9);
  return p;
}

}  // namespace sula::cpu
