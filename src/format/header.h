// The fixed beginning of a .sula file, little-endian:
//
//   header | graph (FlatBuffers, sula.fbs) | weight blob, from a page boundary to the end
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace sula {

struct FileHeader {
  std::array<char, 8> magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t graph_offset, graph_bytes;
  uint64_t blob_offset, blob_bytes;
  uint64_t hash;  // HashFile; its own place counts as 0
};
static_assert(sizeof(FileHeader) == 56);

inline constexpr std::array<char, 8> kMagic = {'S', 'U', 'L', 'A', 'M', 'O', 'D', 'L'};
inline constexpr size_t kPage = 4096;
inline constexpr size_t kTensorAlignment = 64;
// Readable bytes that the blob has behind the end of its last tensor, as all tensors of sula have.
inline constexpr size_t kTensorSlack = 64;

// Subgraphs within subgraphs: as deep as files are written and read.
inline constexpr int kMaxNesting = 16;
inline constexpr size_t kMaxRank = 32;
// No tensor may have more bytes; keeps all products of sizes far from overflow.
inline constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 48;

// Reads and checks the header: magic, version, and that the parts lie in the file.
Result<FileHeader> ParseHeader(std::span<const std::byte> file);

// The content hash of header, graph and blob.
uint64_t HashFile(FileHeader header, std::span<const std::byte> graph,
                  std::span<const std::byte> blob);

}  // namespace sula
