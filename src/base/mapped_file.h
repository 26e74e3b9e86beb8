// A read-only file in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace sula {

class MappedFile {
 public:
  // Maps the whole file. An empty file gives an empty span. Errors: not found, not a regular file,
  // not readable; they name the path.
  static Result<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Takes the pages of these bytes out of the process's memory until they are read again. Bytes
  // that are no part of the file are left alone.
  void Release(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// Writes a file by way of a temporary beside it and a rename: it appears whole or not at all.
Status WriteFileAtomically(const std::string& path,
                           std::span<const std::span<const std::byte>> parts);

}  // namespace sula
