// Fixed profiles, so that what is chosen doesn't depend on the machine that runs the tests.
#pragma once

#include "backends/cpu/machine_profile.h"

namespace sula::cpu {

// Like a Zen 3 core with 512 KiB of L2 and 32 MiB of L3.
MachineProfile TestProfile();
// Like a Zen 4 core, which runs 512 bits in two halves, with 1 MiB of L2.
MachineProfile TestProfile512();

}  // namespace sula::cpu
