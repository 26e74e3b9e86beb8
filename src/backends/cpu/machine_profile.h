// What estimates know of the machine: measured once, kept as text in the user's cache folder. The
// same profile gives the same choices.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/gemm/gemm.h"
#include "base/status.h"

namespace sula::cpu {

// What a profile was measured on. A profile of anything else is of no use.
struct MachineKey {
  std::string library;  // sula's version: what is measured may change with it
  std::string processor, instruction_set;
  size_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;
  bool operator==(const MachineKey&) const = default;
};
MachineKey ThisMachine();

enum class Level : uint8_t { kL1, kL2, kL3, kMemory };
inline constexpr int kNumLevels = 4;

// Bytes a second of sequential access; copy counts what is read and what is written.
struct LevelRates {
  double read = 0, copy = 0;
  bool operator==(const LevelRates&) const = default;
};

// Seconds that a tile of the GEMM kernels takes out of L1: `step` for each value of k, and `fixed`
// for loading the bias and storing.
struct TileSeconds {
  double step = 0, fixed = 0;
  bool operator==(const TileSeconds&) const = default;
};

// Several threads at once.
struct ParallelSpeed {
  int threads = 1;
  double speedup = 1;       // of arithmetic, against one thread; at most `threads`
  LevelRates l3, memory;    // all threads together
  double fork_seconds = 0;  // to wake the pool and to find all of its threads done
  bool operator==(const ParallelSpeed&) const = default;
};

struct MachineProfile {
  MachineKey key;
  // One thread.
  std::array<double, kNumTargets> flops = {};  // of a product in L1; 0: target not available
  std::array<double, kNumTargets> panel_seconds = {};  // of a panel's tiles, before the first
  std::array<LevelRates, kNumLevels> levels;
  // By panel width in vectors - 1 and rows - 1; only of targets that kernels are chosen from.
  using TileTable = std::array<std::vector<TileSeconds>, 3>;
  std::array<TileTable, kNumTargets> tiles;
  // By rising number of threads, from 2; only those that were asked for yet.
  std::vector<ParallelSpeed> parallel;
  bool operator==(const MachineProfile&) const = default;
};

// Readable text, and back. Numbers have four digits: a profile that has been read is equal to the
// one that is read from its text. Error: not a whole profile, with what is wrong and the line.
std::string ToText(const MachineProfile& profile);
Result<MachineProfile> ParseProfile(std::string_view text);

// ---- the profile that estimates use

// One thread's part; `parallel` is empty. On first use it is read from its file, or measured and
// kept there. The file is the one that SULA_MACHINE names in the environment, or else
// machine-<processor>-<instruction set>-....txt in the user's cache folder; SULA_MACHINE=off keeps
// nothing. A file that is damaged is replaced, one of another machine left alone; neither is an
// error, nor is a folder that can't be written: ProfileOrigin tells.
const MachineProfile& CurrentProfile();
// Of `threads` threads (or as many as there are CPUs, if that is less); measured and added to the
// file on first use, which starts the pool's threads. threads: at least 2.
const ParallelSpeed& CurrentParallel(int threads);
// L2 of one core of the machine that is planned for, by which kernels cut their work: this one's,
// or the one that a ScopedProfile was measured on. Measures nothing.
size_t CurrentL2Bytes();

struct ProfileOrigin {
  std::string file;  // empty: not kept
  std::string note;  // "read", "measured", and what went wrong
};
ProfileOrigin CurrentProfileOrigin();

// Measures anew what has been used so far, and replaces the file. For those who run it while
// nothing is planned.
void RenewProfile();

// While it lives, estimates use this profile. Threads that it lacks are taken to scale by their
// number. One at a time, and nothing is planned while it begins or ends: for tests and tools.
class ScopedProfile {
 public:
  explicit ScopedProfile(const MachineProfile& profile);
  ~ScopedProfile();
  ScopedProfile(const ScopedProfile&) = delete;
  ScopedProfile& operator=(const ScopedProfile&) = delete;
};

}  // namespace sula::cpu
