#include "base/cpu_kind.h"

#include <cstdint>
#include <cstring>

#include "base/cpu_info.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sula {

std::string CpuKind() {
#if defined(__x86_64__)
  // Intel SDM vol. 2, CPUID, leaves 0 and 1; AMD has the same fields.
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  char vendor[12];
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx)) {
    std::memcpy(vendor, &ebx, 4);
    std::memcpy(vendor + 4, &edx, 4);
    std::memcpy(vendor + 8, &ecx, 4);
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
      const uint32_t family = eax >> 8 & 15, more_family = eax >> 20 & 255;
      const uint32_t model = eax >> 4 & 15, more_model = eax >> 16 & 15;
      return std::string(vendor, sizeof(vendor)) + "-" +
             std::to_string(family == 15 ? family + more_family : family) + "-" +
             std::to_string(family == 15 || family == 6 ? more_model << 4 | model : model);
    }
  }
#endif
  return CpuInfo::Get().model;
}

}  // namespace sula
