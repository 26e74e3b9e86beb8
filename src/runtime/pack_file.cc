#include "runtime/pack_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/cpu_info.h"
#include "format/hash.h"
#include "pack_code.h"

namespace sula {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is used as it lies in memory");

constexpr std::array<char, 8> kMagic = {'S', 'U', 'L', 'A', 'P', 'A', 'C', 'K'};
constexpr uint32_t kVersion = 1;
constexpr size_t kPage = 4096;
// Packs from this size on begin on a page, as they do in memory: what falls into one set of a cache
// must not depend on where a pack came from.
constexpr size_t kLarge = 16 << 10;
constexpr size_t kReadableBehind = 64;

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t header_bytes = sizeof(Header);
  uint64_t model = 0, code = 0;
  uint64_t table_bytes = 0, packs = 0;
  uint64_t blob_offset = 0, blob_bytes = 0;
  uint64_t hash = 0;  // of header and table; its own place counts as 0
};
static_assert(sizeof(Header) == 72);

struct Row {
  uint64_t offset = 0, bytes = 0;  // in the blob
  uint64_t hash = 0;               // of the bytes
  uint64_t key_bytes = 0;          // the key follows, then the next row
};

uint64_t HashOf(Header header, std::span<const std::byte> table) {
  header.hash = 0;
  Xxh64 hash;
  hash.Update(std::as_bytes(std::span(&header, 1)));
  hash.Update(table);
  return hash.Digest();
}

std::string Hex(uint64_t n, int digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int i = digits - 1; i >= 0; --i) text += kDigits[n >> (4 * i) & 15];
  return text;
}

// Takes parts off the front of the table.
class TableReader {
 public:
  explicit TableReader(std::span<const std::byte> table) : left_(table) {}
  bool Text(uint64_t bytes, std::string_view& text) {
    if (bytes > left_.size()) return false;
    text = {reinterpret_cast<const char*>(left_.data()), static_cast<size_t>(bytes)};
    left_ = left_.subspan(text.size());
    return true;
  }
  template <class T>
  bool Value(T& value) {
    std::string_view text;
    if (!Text(sizeof(T), text)) return false;
    std::memcpy(&value, text.data(), sizeof(T));
    return true;
  }
  bool empty() const { return left_.empty(); }

 private:
  std::span<const std::byte> left_;
};

Status Damaged() { return InvalidModel("damaged: the table is inconsistent"); }

}  // namespace

PackIdentity PackIdentity::Of(uint64_t model) {
  const CpuInfo& cpu = CpuInfo::Get();
  return {model, kPackCode, StrCat(Name(cpu.best_isa), " on ", cpu.model)};
}

std::string PackIdentity::FileName() const {
  const uint64_t machine_hash = HashBytes(std::as_bytes(std::span(machine)));
  return StrCat(Hex(model, 16), "-", Hex(machine_hash, 8), ".packs");
}

Result<std::shared_ptr<const PackFile>> PackFile::Open(const std::string& path,
                                                       const PackIdentity& identity,
                                                       bool check_packs) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> mapped, MappedFile::Open(path));
  const auto read = [&]() -> Result<std::shared_ptr<const PackFile>> {
    const std::span<const std::byte> bytes = mapped->bytes();
    Header h;
    if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()))
      return InvalidModel("not a pack cache: the file does not begin with SULAPACK");
    if (bytes.size() < sizeof(h)) return InvalidModel("cut short: ", bytes.size(), " bytes");
    std::memcpy(&h, bytes.data(), sizeof(h));
    if (h.version != kVersion || h.code != identity.code)
      return InvalidModel("made by another version of sula");
    if (h.header_bytes != sizeof(h) || h.table_bytes > bytes.size() - sizeof(h) ||
        h.blob_offset < sizeof(h) + h.table_bytes || h.blob_offset % kPage != 0 ||
        h.blob_offset > bytes.size() || h.blob_bytes != bytes.size() - h.blob_offset ||
        h.blob_bytes < kReadableBehind)
      return InvalidModel("cut short or damaged: a table of ", h.table_bytes, " bytes, ",
                          h.blob_bytes, " bytes of packs at ", h.blob_offset, ", a file of ",
                          bytes.size(), " bytes");
    const std::span<const std::byte> table = bytes.subspan(sizeof(h), h.table_bytes);
    if (HashOf(h, table) != h.hash)
      return InvalidModel("damaged: the content does not match its hash");
    if (h.model != identity.model) return InvalidModel("made for another model");

    auto file = std::make_shared<PackFile>();
    file->file_ = mapped;
    file->blob_ = bytes.subspan(h.blob_offset);
    TableReader reader(table);
    uint64_t machine_bytes = 0;
    std::string_view machine;
    if (!reader.Value(machine_bytes) || !reader.Text(machine_bytes, machine)) return Damaged();
    if (machine != identity.machine)
      return InvalidModel("made for ", machine.substr(0, 200), ", this is ", identity.machine);
    const uint64_t room = h.blob_bytes - kReadableBehind;
    for (uint64_t i = 0; i < h.packs; ++i) {
      Row row;
      std::string_view key;
      if (!reader.Value(row) || !reader.Text(row.key_bytes, key) || row.offset % kAlignment != 0 ||
          row.bytes > room || row.offset > room - row.bytes)
        return Damaged();
      if (check_packs && HashBytes(file->blob_.subspan(row.offset, row.bytes)) != row.hash)
        return InvalidModel("damaged: a pack does not match its hash");
      if (!file->entries_.emplace(key, Entry{row.offset, row.bytes}).second) return Damaged();
    }
    if (!reader.empty()) return Damaged();
    return std::shared_ptr<const PackFile>(std::move(file));
  };
  Result<std::shared_ptr<const PackFile>> file = read();
  if (!file) return Status(file.error()).AddContext(StrCat("pack cache '", path, "'"));
  return file;
}

Pack PackFile::Find(const std::shared_ptr<const PackFile>& file, std::string_view key,
                    size_t bytes) {
  const auto it = file->entries_.find(key);
  if (it == file->entries_.end() || it->second.bytes != bytes) return {};
  return Pack(file->blob_.data() + it->second.offset, bytes, file);
}

Pack PackFile::Find(const std::shared_ptr<const PackFile>& file, std::string_view key) {
  const auto it = file->entries_.find(key);
  if (it == file->entries_.end()) return {};
  return Pack(file->blob_.data() + it->second.offset, it->second.bytes, file);
}

std::vector<std::pair<std::string, Pack>> PackFile::All(
    const std::shared_ptr<const PackFile>& file) {
  std::vector<std::pair<std::string, Pack>> packs;
  for (const auto& [key, entry] : file->entries_)
    packs.emplace_back(key, Pack(file->blob_.data() + entry.offset, entry.bytes, file));
  return packs;
}

Status WritePackFile(const std::string& path, const PackIdentity& identity,
                     std::span<const std::pair<std::string, Pack>> packs) {
  static constexpr std::array<std::byte, kPage> kZeros{};
  // Places in the blob: equal bytes once.
  struct Part {
    const Pack* pack;
    uint64_t offset;
  };
  std::vector<Part> parts;
  std::unordered_map<uint64_t, std::vector<size_t>> by_hash;
  std::string table;
  const auto append = [&](const auto& value) {
    table.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  append(uint64_t{identity.machine.size()});
  table += identity.machine;
  uint64_t end = 0;
  for (const auto& [key, pack] : packs) {
    Row row{0, pack.bytes(), HashBytes({pack.data(), pack.bytes()}), key.size()};
    std::vector<size_t>& same_hash = by_hash[row.hash];
    const auto same = std::find_if(same_hash.begin(), same_hash.end(), [&](size_t i) {
      const Pack& other = *parts[i].pack;
      return other.bytes() == pack.bytes() &&
             std::memcmp(other.data(), pack.data(), pack.bytes()) == 0;
    });
    if (same != same_hash.end()) {
      row.offset = parts[*same].offset;
    } else {
      row.offset = AlignUp(end, pack.bytes() >= kLarge ? kPage : kAlignment);
      end = row.offset + row.bytes;
      same_hash.push_back(parts.size());
      parts.push_back({&pack, row.offset});
    }
    append(row);
    table += key;
  }

  Header header;
  header.model = identity.model, header.code = identity.code;
  header.table_bytes = table.size(), header.packs = packs.size();
  header.blob_offset = AlignUp(sizeof(header) + table.size(), kPage);
  header.blob_bytes = end + kReadableBehind;
  header.hash = HashOf(header, std::as_bytes(std::span(table)));
  std::vector<std::span<const std::byte>> pieces = {std::as_bytes(std::span(&header, 1)),
                                                    std::as_bytes(std::span(table))};
  pieces.push_back(std::span(kZeros).first(header.blob_offset - sizeof(header) - table.size()));
  uint64_t at = 0;
  for (const Part& part : parts) {
    pieces.push_back(std::span(kZeros).first(part.offset - at));
    pieces.emplace_back(part.pack->data(), part.pack->bytes());
    at = part.offset + part.pack->bytes();
  }
  pieces.push_back(std::span(kZeros).first(kReadableBehind));
  return WriteFileAtomically(path, pieces);
}

}  // namespace sula
