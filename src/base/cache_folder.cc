#include "base/cache_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace sula {

std::string CacheFolder() {
  const auto absolute = [](const char* name) {
    const char* value = std::getenv(name);
    return value && value[0] == '/' ? std::string(value) : std::string();
  };
  if (std::string base = absolute("XDG_CACHE_HOME"); !base.empty()) return base + "/sula";
  if (std::string home = absolute("HOME"); !home.empty()) return home + "/.cache/sula";
  return {};
}

Status MakeFolders(const std::string& path) {
  for (size_t end = 1; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string folder = path.substr(0, end);
    if (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) continue;
    const int error = errno;
    // Of a folder above, only its children matter: a read-only one may hold the next.
    struct stat info;
    if (stat(folder.c_str(), &info) == 0) continue;
    return IoError("cannot make the folder '", folder,
                   "': ", std::generic_category().message(error));
  }
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return IoError("'", path, "' is not a folder");
  return {};
}

}  // namespace sula
