// The public functions of sula/machine.h.
#include "sula/machine.h"

#include <algorithm>
#include <cstdlib>

#include "backends/cpu/machine_profile.h"
#include "backends/cpu/machine_speed.h"
#include "base/cpu_info.h"
#include "base/thread_pool.h"

namespace sula {

MachineInfo Machine() {
  const CpuInfo& cpu = CpuInfo::Get();
  return {.processor = cpu.model,
          .instruction_set = std::string(Name(cpu.best_isa)),
          .cpus = AvailableCpus(),
          .l1d_bytes = cpu.l1d_bytes,
          .l2_bytes = cpu.l2_bytes,
          .l3_bytes = cpu.l3_bytes};
}

MachineSpeed MeasureMachine(int threads) {
  threads = threads <= 0 ? AvailableCpus() : std::min(threads, ThreadPool::kMaxThreads);
  return {.flops_per_second = cpu::MeasureFlops(threads),
          .bytes_per_second = cpu::MeasureReadBandwidth(threads)};
}

ProfileInUse MachineProfile(int threads) {
  threads = threads <= 0 ? AvailableCpus() : std::min(threads, ThreadPool::kMaxThreads);
  cpu::MachineProfile profile = cpu::CurrentProfile();
  if (threads > 1) profile.parallel = {cpu::CurrentParallel(threads)};
  const cpu::ProfileOrigin origin = cpu::CurrentProfileOrigin();
  const char* const named = std::getenv("SULA_MACHINE");
  return {origin.file, origin.note, named && *named, cpu::ToText(profile)};
}

ProfileInUse RenewMachineProfile(int threads) {
  MachineProfile(threads);
  cpu::RenewProfile();
  return MachineProfile(threads);
}

}  // namespace sula
