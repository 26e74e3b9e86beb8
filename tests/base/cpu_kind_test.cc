#include "base/cpu_kind.h"

#include <gtest/gtest.h>

#include <fstream>

namespace sula {
namespace {

// The value of a line of /proc/cpuinfo.
std::string KernelSays(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return line.substr(line.find(": ") + 2);
  return "";
}

TEST(CpuKind, AgreesWithTheKernel) {
#if defined(__x86_64__)
  EXPECT_EQ(CpuKind(),
            KernelSays("vendor_id") + "-" + KernelSays("cpu family") + "-" + KernelSays("model\t"));
#else
  EXPECT_FALSE(CpuKind().empty());
#endif
}

}  // namespace
}  // namespace sula
