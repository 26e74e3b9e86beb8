// The .sula file: header, FlatBuffers graph, aligned weights; read through mmap.
#pragma once

#include <string>

#include "base/mapped_file.h"
#include "ir/graph.h"

namespace sula {

inline constexpr uint32_t kFormatVersion = 1;

// Writes the graph, types and constants included, atomically. Equal tensors are stored once.
Status WriteModelFile(const Graph& graph, const std::string& path);

// Reads a graph whose constants borrow from the mapping. Any bytes are safe: an error says what is
// wrong (not a sula file, newer format, cut short, damaged, inconsistent) and never less.
// check_hash: also compare the content hash, which reads the whole file once.
Result<Graph> ReadModelFile(std::shared_ptr<const MappedFile> file, Catalogue catalogue,
                            bool check_hash = false);

// The content hash of graph and constants: the one WriteModelFile would store.
Result<uint64_t> HashGraph(const Graph& graph);
// The hash that the header of a .sula file tells. Errors: as of a damaged header.
Result<uint64_t> StoredHash(std::span<const std::byte> file);

// True if the bytes begin like a .sula file.
bool LooksLikeModelFile(std::span<const std::byte> bytes);

}  // namespace sula
