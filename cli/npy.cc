#include "npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>

namespace sula::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 1 << 20;
constexpr int64_t kMaxElements = int64_t{1} << 40;

struct TypeCode {
  std::string_view code;  // without the byte order
  DType dtype;
};
constexpr TypeCode kTypeCodes[] = {
    {"f4", DType::kFloat32}, {"f2", DType::kFloat16}, {"V2", DType::kBFloat16},
    {"f8", DType::kFloat64}, {"i1", DType::kInt8},    {"i2", DType::kInt16},
    {"i4", DType::kInt32},   {"i8", DType::kInt64},   {"u1", DType::kUInt8},
    {"b1", DType::kBool},
};

// What the header's Python dictionary says.
struct Header {
  DType dtype = DType::kFloat32;
  bool big_endian = false, fortran = false;
  Dims dims;
};

Status Damaged(const std::string& what) { return Status(Code::kInvalidModel, "damaged: " + what); }

// Parses {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } as Python's repr writes it.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Result<Header> Parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    if (!Take("{")) return Wrong();
    while (!Take("}")) {
      std::optional<std::string_view> key = Quoted();
      if (!key || !Take(":")) return Wrong();
      if (*key == "descr" && !descr) {
        descr = true;
        if (Status s = Type(header); !s.ok()) return s;
      } else if (*key == "fortran_order" && !order) {
        order = true;
        header.fortran = Take("True");
        if (!header.fortran && !Take("False")) return Wrong();
      } else if (*key == "shape" && !shape) {
        shape = true;
        if (!Shape(header.dims)) return Wrong();
      } else {
        return Wrong();
      }
      if (!Take(",") && !Peek("}")) return Wrong();
    }
    if (!descr || !order || !shape) return Wrong();
    return header;
  }

 private:
  void Skip() {
    while (!text_.empty() && std::string_view(" \t\r\n").find(text_[0]) != std::string_view::npos)
      text_.remove_prefix(1);
  }
  bool Peek(std::string_view token) {
    Skip();
    return text_.substr(0, token.size()) == token;
  }
  bool Take(std::string_view token) {
    if (!Peek(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  std::optional<std::string_view> Quoted() {
    Skip();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return std::nullopt;
    size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view inside = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return inside;
  }
  std::optional<int64_t> Integer() {
    Skip();
    int64_t v = 0;
    size_t n = 0;
    for (; n < text_.size() && text_[n] >= '0' && text_[n] <= '9'; ++n) {
      if (v > kMaxElements) return std::nullopt;
      v = v * 10 + (text_[n] - '0');
    }
    if (n == 0) return std::nullopt;
    text_.remove_prefix(n);
    Take("L");  // Python 2 wrote long integers so
    return v;
  }
  bool Shape(Dims& dims) {
    if (!Take("(")) return false;
    while (!Take(")")) {
      std::optional<int64_t> size = Integer();
      if (!size) return false;
      dims.push_back(*size);
      if (!Take(",") && !Peek(")")) return false;
    }
    return true;
  }
  Status Type(Header& header) {
    std::optional<std::string_view> descr = Quoted();
    if (!descr) return Status(Code::kUnsupported, "structured element types are not supported");
    std::string_view code = *descr;
    if (!code.empty() && std::string_view("<>|=").find(code[0]) != std::string_view::npos) {
      header.big_endian = code[0] == '>';
      code.remove_prefix(1);
    }
    for (const TypeCode& t : kTypeCodes)
      if (t.code == code) return header.dtype = t.dtype, Status();
    return Status(Code::kUnsupported,
                  fmt::format("element type '{}' is not supported", descr->substr(0, 20)));
  }
  static Status Wrong() { return Damaged("the header is not as NumPy writes it"); }

  std::string_view text_;
};

// Elements of all sizes; nothing if that is beyond reason.
std::optional<int64_t> CheckedElements(const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) {
    int64_t size = std::max<int64_t>(d, 1);
    if (size > kMaxElements / n) return std::nullopt;
    n *= size;
  }
  return NumElements(dims);
}

// src has the first axis fastest; dst the last.
void CopyFromFortran(const std::byte* src, Array& dst) {
  size_t size = SizeOf(dst.dtype);
  Dims index(dst.dims.size(), 0), stride(dst.dims.size(), 1);
  for (size_t i = 1; i < stride.size(); ++i) stride[i] = stride[i - 1] * dst.dims[i - 1];
  int64_t from = 0, count = NumElements(dst.dims);
  for (int64_t to = 0; to < count; ++to) {
    std::memcpy(dst.data.get() + to * size, src + from * size, size);
    for (size_t axis = index.size(); axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < dst.dims[axis]) break;
      from -= stride[axis] * dst.dims[axis];
      index[axis] = 0;
    }
  }
}

Result<Array> Read(std::ifstream& in, uint64_t file_bytes) {
  char start[8];
  if (!in.read(start, sizeof(start)) || std::string_view(start, kMagic.size()) != kMagic)
    return Status(Code::kInvalidModel, "not an .npy file");
  int major = start[6];
  if (major < 1 || major > 3)
    return Status(Code::kUnsupported, fmt::format(".npy version {} is not supported", major));
  unsigned char length[4] = {};
  size_t length_bytes = major == 1 ? 2 : 4;
  if (!in.read(reinterpret_cast<char*>(length), static_cast<std::streamsize>(length_bytes)))
    return Damaged("cut short in the header");
  size_t header_bytes = length[0] | length[1] << 8 | length[2] << 16 | size_t{length[3]} << 24;
  if (header_bytes > kMaxHeader) return Damaged("the header is too long");
  std::string text(header_bytes, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(header_bytes)))
    return Damaged("cut short in the header");
  Result<Header> header = HeaderParser(text).Parse();
  if (!header) return header.error();

  std::optional<int64_t> elements = CheckedElements(header->dims);
  if (!elements) return Damaged("impossibly large sizes " + ToString(header->dims));
  uint64_t wanted = static_cast<uint64_t>(*elements) * SizeOf(header->dtype);
  uint64_t left = file_bytes - (sizeof(start) + length_bytes + header_bytes);
  if (left != wanted)
    return Damaged(fmt::format("{}{} takes {} bytes, the file has {} behind its header",
                               Name(header->dtype), ToString(header->dims), wanted, left));
  Array array = Array::Make(header->dtype, header->dims);
  if (!array.data) return Status(Code::kResourceExhausted, fmt::format("no {} bytes", wanted));
  if (!in.read(reinterpret_cast<char*>(array.data.get()), static_cast<std::streamsize>(wanted)))
    return Status(Code::kIo, "cannot read");

  size_t size = SizeOf(header->dtype);
  if (header->big_endian)
    for (int64_t i = 0; i < *elements; ++i)
      std::reverse(array.data.get() + i * size, array.data.get() + (i + 1) * size);
  if (header->dtype == DType::kBool)
    for (int64_t i = 0; i < *elements; ++i) array.as<uint8_t>()[i] = array.as<uint8_t>()[i] != 0;
  if (header->fortran && header->dims.size() > 1) {
    Array row_major = Array::Make(header->dtype, header->dims);
    if (!row_major.data)
      return Status(Code::kResourceExhausted, fmt::format("no {} bytes", wanted));
    CopyFromFortran(array.data.get(), row_major);
    return row_major;
  }
  return array;
}

}  // namespace

Array Array::Make(DType dtype, Dims dims) {
  Array a{.dtype = dtype, .dims = std::move(dims), .data = nullptr};
  size_t padded = (a.bytes() + 127) / 64 * 64;
  void* memory = std::aligned_alloc(64, padded);
  if (!memory) return a;
  std::memset(memory, 0, padded);
  a.data = std::shared_ptr<std::byte>(static_cast<std::byte*>(memory), std::free);
  return a;
}

Result<Array> ReadNpy(const std::string& path) {
  std::error_code error;
  uint64_t bytes = std::filesystem::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) return Status(Code::kNotFound, fmt::format("cannot open '{}'", path));
  Result<Array> array = Read(in, bytes);
  if (!array)
    return Status(array.error().code(), fmt::format("'{}': {}", path, array.error().message()));
  return array;
}

Status WriteNpy(const std::string& path, const TensorView& array) {
  auto type = std::find_if(std::begin(kTypeCodes), std::end(kTypeCodes),
                           [&](const TypeCode& t) { return t.dtype == array.dtype; });
  std::string shape;
  for (int64_t d : array.dims) shape += fmt::format("{}, ", d);
  if (array.dims.size() > 1) shape.resize(shape.size() - 2);
  if (array.dims.size() == 1) shape.resize(shape.size() - 1);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   SizeOf(array.dtype) == 1 ? '|' : '<', type->code, shape);
  size_t unpadded = kMagic.size() + 4 + header.size() + 1;
  header.append((unpadded + 63) / 64 * 64 - unpadded, ' ');
  header += '\n';

  std::ofstream out(path, std::ios::binary);
  const char start[] = {1, 0, static_cast<char>(header.size() & 0xff),
                        static_cast<char>(header.size() >> 8)};
  out << kMagic;
  out.write(start, sizeof(start));
  out << header;
  out.write(static_cast<const char*>(array.data), static_cast<std::streamsize>(array.bytes()));
  out.close();
  if (!out)
    return Status(Code::kIo, fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
  return {};
}

}  // namespace sula::cli
