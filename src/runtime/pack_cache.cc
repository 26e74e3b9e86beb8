#include "runtime/pack_cache.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <unordered_set>

namespace sula {
namespace {

// Packs of other plans may take this many times the room of the plan that is kept: a file serves
// several shapes and numbers of threads, and does not grow for ever.
constexpr size_t kOthers = 3;

}  // namespace

Result<PackCache> PackCache::Open(const std::string& where, PackIdentity identity,
                                  bool check_packs) {
  PackCache cache;
  cache.identity_ = std::move(identity);
  std::error_code error;
  if (where.ends_with('/') || std::filesystem::is_directory(where, error)) {
    std::filesystem::create_directories(where, error);
    cache.path_ = (std::filesystem::path(where) / cache.identity_.FileName()).string();
  } else {
    cache.by_name_ = true;
    cache.path_ = where;
  }
  Result<std::shared_ptr<const PackFile>> file =
      PackFile::Open(cache.path_, cache.identity_, check_packs);
  if (file) {
    cache.file_ = *std::move(file);
  } else if (cache.by_name_ && file.error().code() != Code::kNotFound) {
    return Status(file.error())
        .AddContext("delete the file to have it made anew, or name another one");
  }
  return cache;
}

Status PackCache::Keep(std::span<const std::pair<std::string, Pack>> packs) {
  size_t own = 0;
  bool all = file_ != nullptr;
  std::vector<std::pair<std::string, Pack>> kept(packs.begin(), packs.end());
  std::unordered_set<std::string_view> keys;
  for (const auto& [key, pack] : packs) {
    own += pack.bytes();
    keys.insert(key);
    all = all && PackFile::Find(file_, key, pack.bytes()).data();
  }
  if (all) {
    outcome_ = StrCat("read from '", path_, "'");
    return {};
  }
  size_t others = 0;
  if (file_) {
    for (auto& [key, pack] : PackFile::All(file_)) {
      if (keys.contains(key) || others + pack.bytes() > kOthers * own) continue;
      others += pack.bytes();
      kept.emplace_back(std::move(key), std::move(pack));
    }
  }
  if (Status status = WritePackFile(path_, identity_, kept); !status.ok()) {
    if (by_name_ && !file_) return std::move(status).AddContext("pack cache");
    outcome_ = StrCat("not kept: ", status.message());
    return {};
  }
  outcome_ = StrCat("written to '", path_, "'");
  // Later plans of the session find what was written, and what others have written meanwhile.
  if (auto file = PackFile::Open(path_, identity_, false)) file_ = *std::move(file);
  return {};
}

}  // namespace sula
