// Where the library keeps what it has found out about a machine or a model and can find out again.
#pragma once

#include <string>

#include "base/status.h"

namespace sula {

// $XDG_CACHE_HOME/sula, or else ~/.cache/sula (XDG Base Directory Specification: relative paths are
// ignored). Empty if neither is known. Nothing is made: writers call MakeFolders first.
std::string CacheFolder();

// Makes a folder and those above it that are missing, the user's alone (0700). OK if it is there.
Status MakeFolders(const std::string& path);

}  // namespace sula
