#include "runtime/pack_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "format/hash.h"
#include "runtime/pack_cache.h"

namespace sula {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Packs = std::vector<std::pair<std::string, Pack>>;

Pack PackOf(const std::string& text) {
  return Pack::Fresh(text.size(),
                     [&](std::byte* to) { std::memcpy(to, text.data(), text.size()); });
}
std::string TextOf(const Pack& pack) {
  return {reinterpret_cast<const char*>(pack.data()), pack.bytes()};
}

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void WriteAll(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Makes the hash fit what header and table say.
void Rehash(std::string& file) {
  constexpr size_t kHeader = 72, kTableBytes = 32, kHash = 64;
  uint64_t table_bytes = 0, hash = 0;
  std::memcpy(&table_bytes, file.data() + kTableBytes, 8);
  std::memcpy(file.data() + kHash, &hash, 8);
  hash = HashBytes(
      std::as_bytes(std::span(file).first(kHeader + std::min(table_bytes, file.size() - kHeader))));
  std::memcpy(file.data() + kHash, &hash, 8);
}

class PackFiles : public testing::Test {
 protected:
  PackFiles() {
    std::string pattern = (fs::temp_directory_path() / "sula-packs-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ / "a.packs";
  }
  ~PackFiles() override { fs::remove_all(folder_); }

  Status Write(const Packs& packs) { return WritePackFile(path_, id_, packs); }
  Result<std::shared_ptr<const PackFile>> Open(bool check_packs = true) {
    return PackFile::Open(path_, id_, check_packs);
  }
  size_t Files() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

  const PackIdentity id_ = PackIdentity::Of(77);
  const Packs packs_ = {{"first", PackOf("one")},
                        {"large", PackOf(std::string(70'000, 'x'))},
                        {std::string("odd\0key", 7), PackOf("two")},
                        {"same as first", PackOf("one")}};
  fs::path folder_, path_;
};

TEST_F(PackFiles, ReadBackWhatWasWritten) {
  ASSERT_TRUE(Write(packs_).ok());
  const auto file = Open();
  ASSERT_TRUE(file) << file.error().ToString();
  for (const auto& [key, pack] : packs_) {
    const Pack found = PackFile::Find(*file, key, pack.bytes());
    ASSERT_NE(found.data(), nullptr) << key;
    EXPECT_EQ(TextOf(found), TextOf(pack));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found.data()) % 64, 0u);
    EXPECT_EQ(PackFile::Find(*file, key, pack.bytes() + 1).data(), nullptr) << "of another size";
  }
  EXPECT_EQ(PackFile::Find(*file, "third", 3).data(), nullptr);
  EXPECT_EQ(PackFile::All(*file).size(), packs_.size());
  EXPECT_EQ(PackFile::Find(*file, "first", 3).data(),
            PackFile::Find(*file, "same as first", 3).data())
      << "equal bytes are there once";
}

TEST_F(PackFiles, PacksOutliveTheFileAndItsName) {
  ASSERT_TRUE(Write(packs_).ok());
  Pack pack;
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    pack = PackFile::Find(*file, "large", 70'000);
  }
  fs::remove(path_);
  EXPECT_EQ(TextOf(pack), std::string(70'000, 'x'));
}

TEST_F(PackFiles, EmptyOnesAreFine) {
  ASSERT_TRUE(Write({}).ok());
  const auto file = Open();
  ASSERT_TRUE(file);
  EXPECT_TRUE(PackFile::All(*file).empty());
}

TEST_F(PackFiles, OthersAreRefused) {
  const auto expect = [&](PackIdentity other, const char* why) {
    ASSERT_TRUE(WritePackFile(path_, other, packs_).ok());
    const auto file = Open();
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().ToString(), HasSubstr(why));
    EXPECT_THAT(file.error().ToString(), HasSubstr(path_.string()));
  };
  PackIdentity other = id_;
  other.model ^= 1;
  expect(other, "another model");
  other = id_, other.code ^= 1;
  expect(other, "another version");
  other = id_, other.machine = "avx9 on a Fastium";
  expect(other, "made for avx9 on a Fastium");
  WriteAll(path_, "some text, longer than a header would be: 0123456789012345678901234567890123");
  EXPECT_THAT(Open().error().ToString(), HasSubstr("not a pack cache"));
  fs::remove(path_);
  EXPECT_EQ(Open().error().code(), Code::kNotFound);
}

TEST_F(PackFiles, CutShortAnywhereIsRefused) {
  ASSERT_TRUE(Write(packs_).ok());
  const std::string whole = ReadAll(path_);
  for (size_t size = 0; size < whole.size(); size += size < 5000 ? 7 : 997) {
    WriteAll(path_, whole.substr(0, size));
    EXPECT_FALSE(Open(false)) << size;
  }
  WriteAll(path_, whole + "x");
  EXPECT_FALSE(Open(false));
}

TEST_F(PackFiles, DamageAnywhereIsFound) {
  ASSERT_TRUE(Write(packs_).ok());
  const std::string whole = ReadAll(path_);
  std::mt19937 random(5);
  const size_t blob = whole.find("one", 4096);  // packs begin here; padding between tells nothing
  for (size_t at = 0; at < whole.size(); at += at < 400 ? 1 : 97) {
    std::string mutant = whole;
    mutant[at] = static_cast<char>(mutant[at] ^ (1 << random() % 8));
    WriteAll(path_, mutant);
    const auto file = Open();
    if (!file) continue;
    ASSERT_GT(at, blob - 4096) << "only where nothing lies";
    for (const auto& [key, pack] : packs_)
      EXPECT_EQ(TextOf(PackFile::Find(*file, key, pack.bytes())), TextOf(pack)) << at;
  }
}

// A header and table that lie, with a hash that fits, must not lead outside of the file.
TEST_F(PackFiles, ForgedTablesAreSafe) {
  ASSERT_TRUE(Write(packs_).ok());
  const std::string whole = ReadAll(path_);
  std::mt19937_64 random(6);
  for (int i = 0; i < 3000; ++i) {
    std::string mutant = whole;
    const size_t at = random() % 300 / 8 * 8;
    const uint64_t values[] = {0, 1, ~uint64_t{0}, uint64_t{1} << 63, random(), mutant.size()};
    std::memcpy(mutant.data() + at, &values[random() % 6], 8);
    Rehash(mutant);
    WriteAll(path_, mutant);
    const auto file = Open(false);
    if (!file) continue;
    size_t sum = 0;
    for (const auto& [key, pack] : PackFile::All(*file))
      for (size_t k = 0; k < pack.bytes(); k += 64) sum += static_cast<size_t>(pack.data()[k]);
    EXPECT_LT(sum, whole.size() * 255 * packs_.size());
  }
}

TEST_F(PackFiles, FullDisksLeaveNothing) {
  // In a child: the limit holds for the process.
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{20'000, 20'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = Write(packs_);
    _exit(status.code() == Code::kIo ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PackFiles, WritersAtTheSameTimeLeaveAWholeFile) {
  constexpr int kWriters = 4;
  for (int i = 0; i < kWriters; ++i) {
    if (fork() != 0) continue;
    bool good = true;
    for (int k = 0; k < 10; ++k) good = good && Write(packs_).ok() && Open().has_value();
    _exit(good ? 0 : 1);
  }
  for (int i = 0; i < kWriters; ++i) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_TRUE(Open());
  EXPECT_EQ(Files(), 1u);
}

// ---- PackCache

TEST_F(PackFiles, AFolderKeepsWhatFitsAndReplacesTheRest) {
  const std::string where = (folder_ / "new").string() + "/";
  auto cache = PackCache::Open(where, id_, false);
  ASSERT_TRUE(cache) << cache.error().ToString();
  EXPECT_EQ(cache->file(), nullptr);
  ASSERT_TRUE(cache->Keep(packs_).ok());
  EXPECT_THAT(cache->outcome(), HasSubstr("written to"));
  const fs::path file = fs::path(where) / id_.FileName();
  EXPECT_TRUE(fs::exists(file));

  cache = PackCache::Open(where, id_, false);
  ASSERT_TRUE(cache && cache->file());
  ASSERT_TRUE(cache->Keep(packs_).ok());
  EXPECT_THAT(cache->outcome(), HasSubstr("read from"));

  WriteAll(file, ReadAll(file).substr(0, 100));
  cache = PackCache::Open(where, id_, false);
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->file(), nullptr) << "cut short";
  ASSERT_TRUE(cache->Keep(packs_).ok());
  EXPECT_THAT(cache->outcome(), HasSubstr("written to"));
  EXPECT_TRUE(PackFile::Open(file, id_, true));
}

TEST_F(PackFiles, PacksOfOtherPlansAreKeptWithinReason) {
  ASSERT_TRUE(Write(packs_).ok());
  auto cache = PackCache::Open(path_, id_, false);
  ASSERT_TRUE(cache);
  const Packs other = {{"other", PackOf("three")}};
  ASSERT_TRUE(cache->Keep(other).ok());
  const auto file = Open();
  ASSERT_TRUE(file);
  EXPECT_NE(PackFile::Find(*file, "first", 3).data(), nullptr);
  EXPECT_NE(PackFile::Find(*file, "other", 5).data(), nullptr);
  EXPECT_EQ(PackFile::Find(*file, "large", 70'000).data(), nullptr) << "much more than the plan's";
}

TEST_F(PackFiles, AFileByNameIsNeverReplacedIfItDoesNotFit) {
  WriteAll(path_, "somebody's own text");
  const auto cache = PackCache::Open(path_, id_, false);
  ASSERT_FALSE(cache);
  EXPECT_THAT(cache.error().ToString(), HasSubstr("not a pack cache"));
  EXPECT_EQ(ReadAll(path_), "somebody's own text");
}

TEST_F(PackFiles, WhereNothingCanBeWritten) {
  WriteAll(path_, "a file, so it holds no other");
  auto by_name = PackCache::Open(path_ / "b", id_, false);
  ASSERT_TRUE(by_name);
  const Status status = by_name->Keep(packs_);
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_THAT(status.ToString(), HasSubstr((path_ / "b").string()));
  auto folder = PackCache::Open((path_ / "c").string() + "/", id_, false);
  ASSERT_TRUE(folder);
  EXPECT_TRUE(folder->Keep(packs_).ok());
  EXPECT_THAT(folder->outcome(), HasSubstr("not kept"));
}

}  // namespace
}  // namespace sula
