// The file that packs (base/pack.h) are kept in between loads of a model, mapped read-only: the
// processes that use it share its pages.
//
//   header | table | blob, from a page boundary to the end
//
// The table holds the identity, and key, place, size and hash of every pack. Packs with equal bytes
// are stored once.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/pack.h"

namespace sula {

// What packs are good for. All of it must be the same.
struct PackIdentity {
  uint64_t model = 0;   // content hash of the model
  uint64_t code = 0;    // of the code that packs: PackCode()
  std::string machine;  // instruction set and processor, as a text

  // This machine and this code.
  static PackIdentity Of(uint64_t model);
  // Of a file for it in a folder that holds those of several models and machines.
  std::string FileName() const;
};

class PackFile {
 public:
  // Errors: not found; no pack file; made for another model, by another version, for another
  // machine; cut short or damaged. They name the path. Any bytes are safe. What lies in the blob is
  // compared with its hashes only if `check_packs`, which reads all of it.
  static Result<std::shared_ptr<const PackFile>> Open(const std::string& path,
                                                      const PackIdentity& identity,
                                                      bool check_packs);

  // data() is null if there is none of that size. Keeps `file` alive.
  static Pack Find(const std::shared_ptr<const PackFile>& file, std::string_view key, size_t bytes);
  // Of whatever size.
  static Pack Find(const std::shared_ptr<const PackFile>& file, std::string_view key);
  // All of them, by key.
  static std::vector<std::pair<std::string, Pack>> All(const std::shared_ptr<const PackFile>& file);

 private:
  struct Entry {
    uint64_t offset, bytes;
  };
  std::shared_ptr<const MappedFile> file_;
  std::span<const std::byte> blob_;
  std::unordered_map<std::string_view, Entry> entries_;  // keys lie in the file
};

// Writes the file atomically. Keys are unique.
Status WritePackFile(const std::string& path, const PackIdentity& identity,
                     std::span<const std::pair<std::string, Pack>> packs);

}  // namespace sula
