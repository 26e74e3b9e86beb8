#include "format/header.h"

#include <bit>
#include <cstring>

#include "format/hash.h"
#include "format/model_file.h"

namespace sula {

static_assert(std::endian::native == std::endian::little, "the file is used as it lies in memory");

bool LooksLikeModelFile(std::span<const std::byte> bytes) {
  return bytes.size() >= kMagic.size() &&
         std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<FileHeader> ParseHeader(std::span<const std::byte> file) {
  if (!LooksLikeModelFile(file))
    return InvalidModel("not a .sula model: the file does not begin with SULAMODL");
  FileHeader h;
  if (file.size() < sizeof(h)) return InvalidModel("cut short: ", file.size(), " bytes");
  std::memcpy(&h, file.data(), sizeof(h));
  if (h.version > kFormatVersion)
    return Unsupported("written in format version ", h.version, "; this sula reads up to ",
                       kFormatVersion, ". Use a newer sula, or convert the model again");
  if (h.version == 0 || h.header_bytes != sizeof(h))
    return InvalidModel("damaged header: version ", h.version, ", size ", h.header_bytes);
  if (h.graph_offset != sizeof(h) || h.graph_bytes > file.size() - sizeof(h) ||
      h.blob_offset < sizeof(h) + h.graph_bytes || h.blob_offset % kPage != 0)
    return InvalidModel("cut short or damaged header: graph of ", h.graph_bytes, " bytes at ",
                        h.graph_offset, ", weights at ", h.blob_offset, ", file of ", file.size(),
                        " bytes");
  if (h.blob_offset > file.size() || h.blob_bytes != file.size() - h.blob_offset)
    return InvalidModel("cut short or damaged: the header tells of ", h.blob_bytes,
                        " bytes of weights at ", h.blob_offset, ", the file has ", file.size(),
                        " bytes");
  return h;
}

Result<uint64_t> StoredHash(std::span<const std::byte> file) {
  ASSIGN_OR_RETURN(const FileHeader header, ParseHeader(file));
  return header.hash;
}

uint64_t HashFile(FileHeader header, std::span<const std::byte> graph,
                  std::span<const std::byte> blob) {
  header.hash = 0;
  Xxh64 hash;
  hash.Update(std::as_bytes(std::span(&header, 1)));
  hash.Update(graph);
  hash.Update(blob);
  return hash.Digest();
}

}  // namespace sula
