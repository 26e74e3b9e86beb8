// A machine profile that is found in its file, or measured and kept there.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/cpu/machine_profile.h"
#include "base/cpu_info.h"

namespace sula::cpu {

// The file that SULA_MACHINE names in the environment, or else the one for this machine in the
// user's cache folder. Empty: nothing is to be kept.
std::string ProfilePath();

// Safe to use from several threads. What it returns references to stays as it is until Renew.
class ProfileStore {
 public:
  // An empty path: measured and not kept. Nothing is read or measured before it is asked for.
  explicit ProfileStore(std::string path) : origin_{std::move(path), {}} {}
  // Of a given profile, which is all there is.
  explicit ProfileStore(const MachineProfile& given);

  const MachineProfile& Single();
  const ParallelSpeed& Several(int threads);
  ProfileOrigin Origin();
  // Of the key, without measuring.
  size_t L2Bytes() const { return fixed_ ? profile_.key.l2_bytes : CpuInfo::Get().l2_bytes; }
  void Renew();

 private:
  void Ensure();
  Status Read();
  void Keep();
  ParallelSpeed Measure(int threads);

  std::mutex mutex_;
  const bool fixed_ = false;
  bool ready_ = false;
  ProfileOrigin origin_;
  MachineProfile profile_;           // without `parallel`
  std::vector<ParallelSpeed> kept_;  // by rising number of threads
  // As asked for: looked up without asking the system for its CPUs each time. Elements stay in
  // place.
  std::deque<std::pair<int, ParallelSpeed>> several_;
};

}  // namespace sula::cpu
