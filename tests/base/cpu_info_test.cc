#include "base/cpu_info.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sula {
namespace {

namespace fs = std::filesystem;

// The kernel's own list of what the processor and the system support.
bool KernelListsFlag(const std::string& flag) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return (line + " ").find(" " + flag + " ") != std::string::npos;
  }
  return false;
}

TEST(CpuInfo, AgreesWithTheKernel) {
  const CpuInfo& info = CpuInfo::Get();
  EXPECT_FALSE(info.model.empty());
  if (std::getenv("SULA_ISA") == nullptr) {
    const bool avx2 = KernelListsFlag("avx2") && KernelListsFlag("fma") && KernelListsFlag("f16c");
    const bool avx512 = avx2 && KernelListsFlag("avx512f") && KernelListsFlag("avx512bw") &&
                        KernelListsFlag("avx512dq") && KernelListsFlag("avx512vl");
    EXPECT_EQ(info.best_isa, avx512 ? Isa::kAvx512 : avx2 ? Isa::kAvx2 : Isa::kScalar);
    EXPECT_EQ(info.avx512_vnni, avx512 && KernelListsFlag("avx512_vnni"));
    EXPECT_EQ(info.avx512_bf16, avx512 && KernelListsFlag("avx512_bf16"));
  }
  EXPECT_GE(info.l1d_bytes, 4u << 10);
  EXPECT_GE(info.l2_bytes, info.l1d_bytes);
}

TEST(CpuInfo, NamesOfInstructionSets) {
  EXPECT_EQ(Name(Isa::kScalar), "scalar");
  EXPECT_EQ(Name(Isa::kAvx2), "avx2");
  EXPECT_EQ(Name(Isa::kAvx512), "avx512");
}

TEST(AvailableCpus, FollowsTheAffinityMask) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_GE(AvailableCpus(), 1);
  EXPECT_LE(AvailableCpus(), CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(AvailableCpus(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

class CgroupTest : public testing::Test {
 protected:
  CgroupTest() {
    std::string pattern = (fs::temp_directory_path() / "sula-cgroup-XXXXXX").string();
    mount_ = mkdtemp(pattern.data());
  }
  ~CgroupTest() override { fs::remove_all(mount_); }
  void Put(const std::string& path, const std::string& text) {
    fs::create_directories((mount_ / path).parent_path());
    std::ofstream(mount_ / path) << text << "\n";
  }
  int Limit(const std::string& membership) { return CgroupCpuLimit(membership, mount_); }

  fs::path mount_;
};

TEST_F(CgroupTest, Version2TakesTheTightestGroupAbove) {
  EXPECT_GE(Limit("0::/a/b\n"), 1024);
  Put("a/b/cpu.max", "max 100000");
  EXPECT_GE(Limit("0::/a/b\n"), 1024);
  Put("a/cpu.max", "250000 100000");
  EXPECT_EQ(Limit("0::/a/b\n"), 3);  // 2.5, rounded up
  Put("cpu.max", "100000 100000");
  EXPECT_EQ(Limit("0::/a/b\n"), 1);
  EXPECT_EQ(Limit("0::/the/host's/path\n"), 1);
  EXPECT_EQ(Limit("0::/\n"), 1);
}

TEST_F(CgroupTest, Version1ReadsTheCpuController) {
  Put("cpu/job/cpu.cfs_quota_us", "150000");
  Put("cpu/job/cpu.cfs_period_us", "100000");
  Put("cpu/free/cpu.cfs_quota_us", "-1");
  Put("cpu/free/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Limit("5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n"), 2);
  EXPECT_EQ(Limit("4:cpuacct,cpu:/job/\n"), 2);
  EXPECT_GE(Limit("4:cpu:/free\n"), 1024);
  EXPECT_GE(Limit("3:cpuset:/job\n"), 1024);
}

TEST_F(CgroupTest, SurvivesNonsense) {
  Put("x/cpu.max", "100000 0");
  for (const char* text : {"", ":", "::", "0::", "0::x", "garbage", "0::/x\n\n:", "0:://///"}) {
    EXPECT_GE(Limit(text), 1024) << text;
  }
  Put("y/cpu.max", "99999999999999999999 1");
  EXPECT_GE(Limit("0::/y"), 1024);
}

}  // namespace
}  // namespace sula
