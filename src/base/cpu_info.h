// What processor this is and how much of it the process may use.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sula {

// Instruction sets that kernels are compiled for, weakest first within an architecture.
enum class Isa { kScalar, kAvx2, kAvx512 };
std::string_view Name(Isa isa);  // "scalar", "avx2", "avx512"

struct CpuInfo {
  std::string model;  // as the operating system names it
  Isa best_isa;       // the strongest that the processor and the system support:
                      // avx2 = AVX2 + FMA + F16C; avx512 = F, BW, DQ, VL besides
  bool avx512_vnni = false, avx512_bf16 = false;
  size_t l1d_bytes = 32 << 10, l2_bytes = 512 << 10, l3_bytes = 8 << 20;
  // The machine's own, detected once. SULA_ISA=scalar|avx2|avx512 in the environment lowers
  // best_isa (never raises it).
  static const CpuInfo& Get();
};

// CPUs this process may use now: affinity mask, limited by the cgroup's CPU quota (rounded up);
// at least 1.
int AvailableCpus();

// The CPU quota of the groups named in `membership` (the text of /proc/self/cgroup) and of all
// groups above them, version 1 and 2, below `mount` (/sys/fs/cgroup); a large number without one.
int CgroupCpuLimit(const std::string& membership, const std::string& mount);

}  // namespace sula
