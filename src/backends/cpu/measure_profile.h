// Measures what a machine profile holds.
#pragma once

#include "backends/cpu/machine_profile.h"

namespace sula::cpu {

// One thread's part, some 80 ms. Starts no thread.
MachineProfile MeasureProfile();
// Several threads' part, some 80 ms; starts the pool's threads. `threads` should not exceed the
// CPUs there are. *busy: the threads never ran at once, because others had the CPUs; what can't be
// less is assumed then.
ParallelSpeed MeasureParallel(const MachineProfile& one_thread, int threads, bool* busy);

}  // namespace sula::cpu
