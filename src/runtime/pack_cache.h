// The pack file (runtime/pack_file.h) of a session: SessionOptions::pack_cache.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "runtime/pack_file.h"

namespace sula {

class PackCache {
 public:
  // `where`: a folder (it exists, or the name ends in '/': it is made then), which gets one file
  // for each model and machine, written anew whenever it does not fit; or a file, which must fit if
  // it exists, and must be writable if it does not. Errors name the path.
  static Result<PackCache> Open(const std::string& where, PackIdentity identity, bool check_packs);

  // Null: there is none yet.
  const std::shared_ptr<const PackFile>& file() const { return file_; }

  // Keeps the packs of a plan: if some of them are not in the file, it is written with them and, as
  // long as that is within reason, with those that it has for other plans. What became of it is
  // told by outcome(). Error: a file that was asked for by name cannot be made.
  Status Keep(std::span<const std::pair<std::string, Pack>> packs);
  // "read from 'PATH'", "written to 'PATH'", "not kept: no space left on device".
  const std::string& outcome() const { return outcome_; }

 private:
  std::string path_, outcome_;
  PackIdentity identity_;
  bool by_name_ = false;
  std::shared_ptr<const PackFile> file_;
};

}  // namespace sula
