#include "backends/cpu/machine_profile.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backends/cpu/cost.h"
#include "backends/cpu/measure_profile.h"
#include "backends_cpu/profiles.h"

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
  const ParallelSpeed s = MeasureParallel(2);
  EXPECT_LT(CpuSeconds() - start, 1.0);
  EXPECT_EQ(s.threads, 2);
  EXPECT_GT(s.speedup, 0.1);
  EXPECT_LE(s.speedup, 2);
  EXPECT_GT(s.fork_seconds, 0);
  EXPECT_LT(s.fork_seconds, 1e-3);
}

// Each case asks in a process of its own, since a process looks for its profile once.
class ProfileFile : public testing::Test {
 protected:
  ProfileFile()
      : folder_(std::filesystem::temp_directory_path() /
                ("sula_profile_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ProfileFile() override {
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(folder_);
  }

  // The origin that a new process tells, and the peak that it sees: "NOTE|FILE|FLOPS".
  static std::string Ask(const std::string& variable, const std::string& value) {
    int ends[2];
    if (pipe(ends) != 0) return "no pipe";
    const pid_t child = fork();
    if (child == 0) {
      unsetenv("SULA_MACHINE");
      setenv(variable.c_str(), value.c_str(), 1);
      const ProfileOrigin origin = CurrentProfileOrigin();
      const std::string answer =
          StrCat(origin.note, "|", origin.file, "|", PeakFlops(BestTarget()));
      _exit(write(ends[1], answer.data(), answer.size()) < 0);
    }
    close(ends[1]);
    std::string answer(4096, 0);
    const ssize_t n = read(ends[0], answer.data(), answer.size());
    close(ends[0]);
    answer.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return answer;
  }
  static std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

TEST_F(ProfileFile, IsMeasuredOnceAndReadFromThenOn) {
  const std::string path = folder_ / "deep" / "machine.txt";
  const std::string first = Ask("SULA_MACHINE", path);
  EXPECT_TRUE(first.starts_with("measured|" + path)) << first;
  const std::string second = Ask("SULA_MACHINE", path);
  EXPECT_EQ(second, "read" + first.substr(std::string("measured").size()));
}

TEST_F(ProfileFile, LiesInTheCacheFolder) {
  const std::string answer = Ask("XDG_CACHE_HOME", folder_);
  EXPECT_TRUE(answer.starts_with(StrCat("measured|", folder_.string(), "/sula/machine-")))
      << answer;
}

TEST_F(ProfileFile, IsNotWrittenWhenOff) {
  EXPECT_TRUE(Ask("SULA_MACHINE", "off").starts_with("measured||"));
}

TEST_F(ProfileFile, DamagedIsReplaced) {
  const std::string path = folder_ / "machine.txt";
  std::ofstream(path) << "sula machine profile 1\nprocessor";
  const std::string answer = Ask("SULA_MACHINE", path);
  EXPECT_TRUE(answer.starts_with("measured, because")) << answer;
  EXPECT_TRUE(ParseProfile(Read(path)).has_value());
}

TEST_F(ProfileFile, OfAnotherMachineIsLeftAlone) {
  const std::string path = folder_ / "machine.txt";
  MachineProfile other = TestProfile();
  other.key.processor = "Another";
  std::ofstream(path) << ToText(other);
  const std::string answer = Ask("SULA_MACHINE", path);
  EXPECT_TRUE(answer.starts_with("measured, because")) << answer;
  EXPECT_NE(answer.find("another machine"), std::string::npos) << answer;
  EXPECT_EQ(Read(path), ToText(other));
}

TEST_F(ProfileFile, WhereNoneCanBeWrittenIsNoError) {
  // A file in the place of a folder stops even root.
  std::ofstream(folder_ / "file") << "x";
  const std::string answer = Ask("SULA_MACHINE", folder_ / "file" / "machine.txt");
  EXPECT_TRUE(answer.starts_with("measured; not kept: ")) << answer;
}

}  // namespace
}  // namespace sula::cpu
