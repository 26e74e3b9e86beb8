#include "base/cpu_info.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sula {
namespace {

// Large enough for every machine that Linux supports; sched_getaffinity refuses smaller masks than
// the kernel's own.
constexpr int kMaxCpus = 8192;

#if defined(__x86_64__)

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero if the processor has no such leaf.
Registers Cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

constexpr bool Bit(uint32_t value, int bit) { return (value >> bit & 1) != 0; }

// XCR0: which register states the operating system saves. Precondition: OSXSAVE.
uint64_t EnabledStates() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

void DetectIsa(CpuInfo* info) {
  const Registers basic = Cpuid(1);
  const Registers extended = Cpuid(7);
  if (!Bit(basic.ecx, 27)) return;  // OSXSAVE
  const uint64_t states = EnabledStates();
  constexpr uint64_t kAvxStates = 0x06;     // XMM, YMM
  constexpr uint64_t kAvx512States = 0xe6;  // and the mask registers, upper ZMM, ZMM16 to 31
  const bool avx2 = (states & kAvxStates) == kAvxStates && Bit(basic.ecx, 28) /* AVX */ &&
                    Bit(basic.ecx, 12) /* FMA */ && Bit(basic.ecx, 29) /* F16C */ &&
                    Bit(extended.ebx, 5) /* AVX2 */;
  if (!avx2) return;
  info->best_isa = Isa::kAvx2;
  const bool avx512 = (states & kAvx512States) == kAvx512States && Bit(extended.ebx, 16) /* F */ &&
                      Bit(extended.ebx, 17) /* DQ */ && Bit(extended.ebx, 30) /* BW */ &&
                      Bit(extended.ebx, 31) /* VL */;
  if (!avx512) return;
  info->best_isa = Isa::kAvx512;
  info->avx512_vnni = Bit(extended.ecx, 11);
  info->avx512_bf16 = extended.eax >= 1 && Bit(Cpuid(7, 1).eax, 5);
}

// Intel: leaf 4; AMD: leaf 0x8000001d, same fields (AMD64 Architecture Programmer's Manual vol. 3).
void DetectCaches(CpuInfo* info) {
  const uint32_t leaf = Cpuid(0x8000001d).eax != 0 ? 0x8000001d : 4;
  for (uint32_t index = 0; index < 16; ++index) {
    const Registers r = Cpuid(leaf, index);
    const uint32_t type = r.eax & 31;  // 0 none, 1 data, 2 instruction, 3 unified
    if (type == 0) break;
    if (type == 2) continue;
    const size_t ways = (r.ebx >> 22) + 1, partitions = (r.ebx >> 12 & 0x3ff) + 1;
    const size_t line = (r.ebx & 0xfff) + 1, sets = size_t{r.ecx} + 1;
    const size_t bytes = ways * partitions * line * sets;
    switch (r.eax >> 5 & 7) {
      case 1: info->l1d_bytes = bytes; break;
      case 2: info->l2_bytes = bytes; break;
      case 3: info->l3_bytes = bytes; break;
      default: break;
    }
  }
}

#else

void DetectIsa(CpuInfo*) {}

// As the kernel tells: /sys/devices/system/cpu/cpu0/cache/index*/{level,type,size}, "32K".
void DetectCaches(CpuInfo* info) {
  for (int index = 0; index < 16; ++index) {
    const std::string folder =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::string type;
    int level = 0;
    size_t kilobytes = 0;
    std::ifstream(folder + "type") >> type;
    std::ifstream(folder + "level") >> level;
    std::ifstream(folder + "size") >> kilobytes;
    if (type == "Instruction" || kilobytes == 0) continue;
    if (level == 1) info->l1d_bytes = kilobytes << 10;
    if (level == 2) info->l2_bytes = kilobytes << 10;
    if (level == 3) info->l3_bytes = kilobytes << 10;
  }
}

#endif

std::string ModelName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

CpuInfo Detect() {
  CpuInfo info;
  info.best_isa = Isa::kScalar;
  info.model = ModelName();
  DetectIsa(&info);
  DetectCaches(&info);
  if (const char* wanted = std::getenv("SULA_ISA")) {
    for (Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) {
      if (Name(isa) == wanted) info.best_isa = std::min(info.best_isa, isa);
    }
    if (info.best_isa != Isa::kAvx512) info.avx512_vnni = info.avx512_bf16 = false;
  }
  return info;
}

// CPUs that a quota per period amounts to, rounded up; nothing if there is no quota.
std::optional<int> QuotaCpus(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  const int64_t cpus = quota / period + (quota % period != 0);
  return static_cast<int>(std::clamp<int64_t>(cpus, 1, kMaxCpus));
}

std::optional<int> QuotaOfFolder(const std::string& folder, bool v2) {
  int64_t quota = 0, period = 0;
  if (v2) {
    std::ifstream file(folder + "/cpu.max");  // "max 100000" or "50000 100000"
    file >> quota >> period;
    return file ? QuotaCpus(quota, period) : std::nullopt;
  }
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;  // -1: none
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return QuotaCpus(quota, period);
}

}  // namespace

std::string_view Name(Isa isa) {
  switch (isa) {
    case Isa::kScalar: return "scalar";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
  }
  return "unknown";
}

const CpuInfo& CpuInfo::Get() {
  static const CpuInfo info = Detect();
  return info;
}

int CgroupCpuLimit(const std::string& membership, const std::string& mount) {
  int limit = kMaxCpus;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // hierarchy:controllers:path
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::string root = v2 ? mount : mount + "/cpu";
    // A group is bound by every group above it. Inside a container the path may be the host's and
    // not exist here; the walk then ends at the mount's root, which is the container's own group.
    for (std::string path = line.substr(second + 1);;) {
      while (path.ends_with('/')) path.pop_back();
      if (auto cpus = QuotaOfFolder(root + path, v2)) limit = std::min(limit, *cpus);
      if (path.empty()) break;
      path.erase(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
    }
  }
  return limit;
}

int AvailableCpus() {
  int cpus = kMaxCpus;
  cpu_set_t* mask = CPU_ALLOC(kMaxCpus);
  if (mask != nullptr) {
    const size_t bytes = CPU_ALLOC_SIZE(kMaxCpus);
    if (sched_getaffinity(0, bytes, mask) == 0) cpus = CPU_COUNT_S(bytes, mask);
    CPU_FREE(mask);
  }
  std::ostringstream membership;
  membership << std::ifstream("/proc/self/cgroup").rdbuf();
  cpus = std::min(cpus, CgroupCpuLimit(membership.str(), "/sys/fs/cgroup"));
  return cpus == kMaxCpus ? 1 : std::max(cpus, 1);
}

}  // namespace sula
