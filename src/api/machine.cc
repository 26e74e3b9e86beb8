// The public functions of sula/machine.h.
#include "sula/machine.h"

#include <algorithm>

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

}  // namespace sula
