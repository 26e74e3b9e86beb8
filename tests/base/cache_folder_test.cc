#include "base/cache_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sula {
namespace {

// Gives variables of the environment back their values.
class Environment {
 public:
  explicit Environment(const char* name) : name_(name) {
    if (const char* value = std::getenv(name)) before_ = value, was_set_ = true;
  }
  ~Environment() {
    if (was_set_)
      setenv(name_, before_.c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

TEST(CacheFolder, FollowsTheBaseDirectorySpecification) {
  const Environment xdg("XDG_CACHE_HOME"), home("HOME");
  setenv("HOME", "/home/somebody", 1);
  setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  EXPECT_EQ(CacheFolder(), "/elsewhere/sula");
  setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(CacheFolder(), "/home/somebody/.cache/sula");
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(CacheFolder(), "/home/somebody/.cache/sula");
  unsetenv("HOME");
  EXPECT_EQ(CacheFolder(), "");
}

TEST(CacheFolder, MakesWhatIsMissing) {
  const std::filesystem::path top =
      std::filesystem::temp_directory_path() / ("sula_folders_" + std::to_string(getpid()));
  const std::string deep = top / "a" / "b";
  EXPECT_TRUE(MakeFolders(deep).ok());
  EXPECT_TRUE(std::filesystem::is_directory(deep));
  EXPECT_TRUE(MakeFolders(deep).ok());
  std::ofstream(top / "file") << "x";
  const Status status = MakeFolders(top / "file" / "c");
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_NE(status.message().find("file"), std::string::npos);
  EXPECT_EQ(MakeFolders(top / "file").code(), Code::kIo);
  std::filesystem::remove_all(top);
}

}  // namespace
}  // namespace sula
