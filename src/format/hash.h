// XXH64: the 64-bit content hash of .sula files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sula {

// XXH64 with seed 0 (specification: xxhash_spec.md, section "XXH64 algorithm description", by
// Yann Collet). Not cryptographic: it finds accidents, not attacks. Fed in any number of pieces,
// the result depends on their concatenation alone.
class Xxh64 {
 public:
  Xxh64();
  void Update(std::span<const std::byte> bytes);
  uint64_t Digest() const;

 private:
  uint64_t lanes_[4];
  uint64_t total_ = 0;
  std::byte pending_[32];  // the first total_ % 32 bytes of the next stripe
};

uint64_t HashBytes(std::span<const std::byte> bytes);

}  // namespace sula
