// The machine that models run on, and what it can do at most: what measured times are held against.
#pragma once

#include <cstddef>
#include <string>

#pragma GCC visibility push(default)
namespace sula {

struct MachineInfo {
  std::string processor;        // as the operating system names it
  std::string instruction_set;  // the strongest that kernels use: "avx512", "avx2", "scalar"
  int cpus = 1;                 // that this process may use
  size_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;  // data caches
};
MachineInfo Machine();

// Measured with nothing else on the machine in mind: what else runs lowers both.
struct MachineSpeed {
  double flops_per_second = 0;  // float32 multiply-adds, two operations each, out of registers
  double bytes_per_second = 0;  // read from memory; 0 if memory was too short to tell
};
// Of `threads` threads together; 0: of as many as there are CPUs. Takes about 0.1 s.
MachineSpeed MeasureMachine(int threads);

// What kernels are chosen by: speeds of arithmetic, caches, memory and threads, measured once for
// each kind of machine (under 0.2 s, when the first model is prepared) and kept in the user's cache
// folder ($XDG_CACHE_HOME or ~/.cache, sula/machine-....txt), or in the file that SULA_MACHINE in
// the environment names; SULA_MACHINE=off keeps nothing. The same file gives the same choices.
struct ProfileInUse {
  std::string file;    // where it is kept; empty: nowhere
  std::string note;    // "read" or "measured", and why it was not read or could not be kept
  bool named = false;  // SULA_MACHINE names the file, or says that there is to be none
  std::string text;    // all of it, as the file has it
};
// For plans of `threads` threads (0: as many as there are CPUs) and fewer that have been made.
ProfileInUse MachineProfile(int threads);
// Measures it anew, whatever there is. Not while models are prepared in other threads.
ProfileInUse RenewMachineProfile(int threads);

}  // namespace sula
#pragma GCC visibility pop
