#include "base/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <string_view>

namespace sula {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class MappedFileTest : public testing::Test {
 protected:
  MappedFileTest() {
    std::string pattern = (fs::temp_directory_path() / "sula-mapped-file-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~MappedFileTest() override { fs::remove_all(folder_); }

  static Status Write(const std::string& path, std::initializer_list<std::string_view> parts) {
    std::vector<std::span<const std::byte>> spans;
    for (std::string_view part : parts) spans.push_back(std::as_bytes(std::span(part)));
    return WriteFileAtomically(path, spans);
  }
  static std::string Read(const std::string& path) {
    auto file = MappedFile::Open(path);
    if (!file) return file.error().ToString();
    const auto bytes = (*file)->bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  size_t Files() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

  fs::path folder_;
};

TEST_F(MappedFileTest, ReadsBackWhatWasWritten) {
  const std::string path = folder_ / "a";
  ASSERT_TRUE(Write(path, {"one ", "", "two"}).ok());
  EXPECT_EQ(Read(path), "one two");
  EXPECT_EQ((*MappedFile::Open(path))->path(), path);
  ASSERT_TRUE(Write(path, {}).ok());
  EXPECT_EQ(Read(path), "");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(MappedFileTest, AMappingOutlivesItsReplacement) {
  const std::string path = folder_ / "a";
  ASSERT_TRUE(Write(path, {"old"}).ok());
  const auto file = *MappedFile::Open(path);
  ASSERT_TRUE(Write(path, {"new!"}).ok());
  EXPECT_EQ(std::memcmp(file->bytes().data(), "old", 3), 0);
  EXPECT_EQ(Read(path), "new!");
}

TEST_F(MappedFileTest, ErrorsNameThePath) {
  const std::string missing = folder_ / "missing";
  EXPECT_EQ(MappedFile::Open(missing).error().code(), Code::kNotFound);
  EXPECT_THAT(MappedFile::Open(missing).error().message(), HasSubstr(missing));
  EXPECT_EQ(MappedFile::Open(folder_).error().code(), Code::kIo);
  EXPECT_THAT(MappedFile::Open(folder_).error().message(), HasSubstr("not a regular file"));
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::Open(pipe).error().code(), Code::kIo);
  EXPECT_EQ(MappedFile::Open("").error().code(), Code::kNotFound);
}

TEST_F(MappedFileTest, AFailedWriteLeavesNothing) {
  const std::string path = folder_ / "none" / "a";
  EXPECT_EQ(Write(path, {"x"}).code(), Code::kIo);
  EXPECT_THAT(Write(path, {"x"}).message(), HasSubstr(path));
  fs::create_directories(folder_ / "taken" / "by a folder");
  EXPECT_EQ(Write(folder_ / "taken", {"x"}).code(), Code::kIo);
  EXPECT_EQ(Files(), 1u);
}

}  // namespace
}  // namespace sula
