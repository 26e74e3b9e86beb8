#include "backends/cpu/machine_profile.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backends/cpu/adapter.h"
#include "backends/cpu/measure_profile.h"
#include "backends/cpu/profile_store.h"
#include "backends_cpu/profiles.h"
#include "base/cpu_info.h"

namespace sula::cpu {
namespace {

TEST(ProfileText, ReadsWhatItWrites) {
  for (const MachineProfile& p : {TestProfile(), TestProfile512()}) {
    const Result<MachineProfile> read = ParseProfile(ToText(p));
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ(*read, p);
    EXPECT_EQ(ToText(*read), ToText(p));
  }
}

TEST(ProfileText, RefusesEveryTruncation) {
  const std::string text = ToText(TestProfile());
  for (size_t n = 0; n < text.size(); ++n)
    EXPECT_FALSE(ParseProfile(text.substr(0, n)).has_value()) << n;
}

TEST(ProfileText, RefusesWhatMakesNoSense) {
  const std::string text = ToText(TestProfile());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return ParseProfile(changed.replace(at, from.size(), to));
  };
  EXPECT_FALSE(with("profile 1", "profile 2").has_value());
  EXPECT_FALSE(with("l1 1", "l1 -1").has_value());
  EXPECT_FALSE(with("l1 1", "l1 nan").has_value());
  EXPECT_FALSE(with("l1 1", "l1 inf").has_value());
  EXPECT_FALSE(with("l1 ", "l9 ").has_value());
  EXPECT_FALSE(with("flops avx2 1", "flops avx2 0").has_value());
  EXPECT_FALSE(with("flops avx2", "flops avx3").has_value());
  EXPECT_FALSE(with("tile avx2 1 1 ", "tile avx2 1 2 ").has_value());
  EXPECT_FALSE(with("tile avx2 1 1 ", "tile avx2 4 1 ").has_value());
  EXPECT_FALSE(with("threads 2", "threads 1").has_value());
  EXPECT_FALSE(with("end\n", "end\nend\n").has_value());
  EXPECT_FALSE(with("caches 32768", "caches").has_value());
  EXPECT_NE(with("l2 6", "l2 x").error().message().find("line"), std::string::npos);
}

// Of all threads. Other work on the machine delays, but does not count.
double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

TEST(MeasuredProfile, IsWholeAndQuicklyMade) {
  const double start = CpuSeconds();
  const MachineProfile p = MeasureProfile();
  EXPECT_LT(CpuSeconds() - start, 0.5);
  const Result<MachineProfile> read = ParseProfile(ToText(p));
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_EQ(p.key, ThisMachine());
  EXPECT_GT(p.flops[static_cast<size_t>(BestTarget())], 1e6);
  for (const LevelRates& rates : p.levels) EXPECT_GT(std::min(rates.read, rates.copy), 1e6);
}

TEST(MeasuredProfile, OfThreadsToo) {
  const double start = CpuSeconds();
  bool busy = false;
  const ParallelSpeed s = MeasureParallel(TestProfile(), 2, &busy);
  EXPECT_LT(CpuSeconds() - start, 1.0);
  EXPECT_EQ(s.threads, 2);
  EXPECT_GE(s.speedup, 1);
  EXPECT_LE(s.speedup, 2);
  EXPECT_GT(s.fork_seconds, 0);
  EXPECT_LE(s.fork_seconds, 2e-6);
}

class ProfileFile : public testing::Test {
 protected:
  ProfileFile()
      : folder_(std::filesystem::temp_directory_path() /
                ("sula_profile_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ProfileFile() override { std::filesystem::remove_all(folder_); }

  static std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

TEST_F(ProfileFile, IsMeasuredOnceAndReadFromThenOn) {
  const std::string path = folder_ / "deep" / "machine.txt";
  ProfileStore first(path);
  const MachineProfile measured = first.Single();
  const ParallelSpeed two = first.Several(2);
  EXPECT_EQ(first.Origin().note, "measured");
  EXPECT_EQ(first.Origin().file, path);
  ProfileStore second(path);
  // What is measured is used as it is read.
  EXPECT_EQ(second.Single(), measured);
  // Unless the machine was too busy for two threads at once, which is not kept.
  if (Read(path).find("\nthreads 2 ") != std::string::npos) {
    EXPECT_EQ(second.Several(2), two);
  }
  EXPECT_EQ(second.Origin().note, "read");
  EXPECT_EQ(second.Origin().file, path);
}

TEST_F(ProfileFile, IsReplacedByRenewing) {
  const std::string path = folder_ / "machine.txt";
  std::ofstream(path) << "nothing";
  ProfileStore store(path);
  store.Renew();
  EXPECT_EQ(store.Origin().note, "measured");
  EXPECT_TRUE(ParseProfile(Read(path)).has_value());
}

TEST_F(ProfileFile, LiesInTheCacheFolderOrWhereItIsSaid) {
  const auto path_with = [](const char* machine, const char* cache) {
    // In a process of its own, whose environment may change.
    int ends[2];
    if (pipe(ends) != 0) return std::string("no pipe");
    if (fork() == 0) {
      machine ? setenv("SULA_MACHINE", machine, 1) : unsetenv("SULA_MACHINE");
      setenv("XDG_CACHE_HOME", cache, 1);
      const std::string path = ProfilePath();
      _exit(write(ends[1], path.data(), path.size()) < 0);
    }
    close(ends[1]);
    std::string path(4096, 0);
    const ssize_t n = read(ends[0], path.data(), path.size());
    close(ends[0]);
    path.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return path;
  };
  const std::string path = path_with(nullptr, "/somewhere");
  EXPECT_TRUE(path.starts_with("/somewhere/sula/machine-")) << path;
  EXPECT_TRUE(path.ends_with(".txt")) << path;
  EXPECT_EQ(path_with("/a/file", "/somewhere"), "/a/file");
  EXPECT_EQ(path_with("off", "/somewhere"), "");
}

TEST_F(ProfileFile, DamagedIsReplaced) {
  const std::string path = folder_ / "machine.txt";
  std::ofstream(path) << "sula machine profile 1\nprocessor";
  ProfileStore store(path);
  EXPECT_TRUE(store.Origin().note.starts_with("measured, because")) << store.Origin().note;
  EXPECT_TRUE(ParseProfile(Read(path)).has_value());
}

TEST_F(ProfileFile, WithTilesOfAnotherBuildIsReplaced) {
  const std::string path = folder_ / "machine.txt";
  MachineProfile other = TestProfile();
  other.key = ThisMachine();
  for (auto& table : other.tiles[static_cast<size_t>(BestTarget())]) table.resize(1);
  std::ofstream(path) << ToText(other);
  ProfileStore store(path);
  EXPECT_TRUE(store.Origin().note.starts_with("measured, because")) << store.Origin().note;
  EXPECT_NE(Read(path), ToText(other));
}

TEST_F(ProfileFile, OfAnotherMachineIsLeftAlone) {
  const std::string path = folder_ / "machine.txt";
  MachineProfile other = TestProfile();
  other.key.processor = "Another";
  std::ofstream(path) << ToText(other);
  ProfileStore store(path);
  EXPECT_NE(store.Origin().note.find("another machine"), std::string::npos) << store.Origin().note;
  EXPECT_EQ(store.Origin().file, "");
  EXPECT_EQ(Read(path), ToText(other));
}

TEST_F(ProfileFile, WhereNoneCanBeWrittenIsNoError) {
  // A file in the place of a folder stops even root.
  std::ofstream(folder_ / "file") << "x";
  ProfileStore store(folder_ / "file" / "machine.txt");
  EXPECT_TRUE(store.Origin().note.starts_with("measured; not kept: ")) << store.Origin().note;
  EXPECT_GT(store.Single().flops[static_cast<size_t>(BestTarget())], 0);
}

TEST(ScopedProfile, IsWhatEstimatesUse) {
  const MachineProfile profile = TestProfile();
  const ScopedProfile scoped(profile);
  EXPECT_EQ(CurrentProfile().key, profile.key);
  EXPECT_EQ(CurrentParallel(2), profile.parallel[0]);
  EXPECT_EQ(CurrentParallel(4).speedup, 4);
  EXPECT_EQ(CurrentProfileOrigin().note, "given");
}

// Kernels cut their work for the machine that is planned for, so that its plans repeat on others.
TEST(ScopedProfile, IsWhatKernelsAreCutFor) {
  MachineProfile profile = TestProfile();
  profile.key.l2_bytes = 3 * CpuInfo::Get().l2_bytes;
  EXPECT_EQ(MachineOf({}).l2_bytes, CpuInfo::Get().l2_bytes);
  const ScopedProfile scoped(profile);
  EXPECT_EQ(MachineOf({}).l2_bytes, profile.key.l2_bytes);
}

}  // namespace
}  // namespace sula::cpu
