#include "frontends/onnx/tensor_reader.h"

#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>

#include "base/status.h"

namespace sula::onnx {
namespace {

// Largest tensor that is believed: beyond it size arithmetic in bytes could overflow.
constexpr int64_t kMaxElements = int64_t{1} << 48;

Result<Dims> ReadDims(const TensorProto& proto) {
  Dims dims(proto.dims().begin(), proto.dims().end());
  int64_t elements = 1;
  for (int64_t d : dims) {
    if (d < 0) return InvalidModel("negative size in shape ", ToString(dims));
    // A size of 0 must not hide that the others are absurd: strides are products of them all.
    if (__builtin_mul_overflow(elements, std::max<int64_t>(d, 1), &elements) ||
        elements > kMaxElements)
      return InvalidModel("shape ", ToString(dims), " is larger than any tensor");
  }
  return dims;
}

// Fills a tensor of T from a repeated field whose elements are converted by `convert`.
template <class T, class Field, class Convert>
Result<Tensor> FromField(Dims dims, const Field& field, std::string_view name, Convert convert) {
  int64_t elements = NumElements(dims);
  if (field.size() != elements)
    return InvalidModel(name, " has ", field.size(), " elements, but shape ", ToString(dims),
                        " needs ", elements);
  Tensor t(DTypeOf<T>(), std::move(dims));
  T* out = t.mutable_data<T>().data();
  for (int i = 0; i < field.size(); ++i) out[i] = convert(field[i]);
  return t;
}

template <class T>
Result<Tensor> FromIntField(Dims dims, const TensorProto& proto) {
  return FromField<T>(std::move(dims), proto.int32_data(), "int32_data",
                      [](int32_t v) { return static_cast<T>(v); });
}

// Half types are stored as their bits, one to an int32.
template <class T>
Result<Tensor> FromBitsField(Dims dims, const TensorProto& proto) {
  return FromField<T>(std::move(dims), proto.int32_data(), "int32_data", [](int32_t v) {
    T t;
    t.bits = static_cast<uint16_t>(v);
    return t;
  });
}

Result<Tensor> FromTypedField(DType dtype, Dims dims, const TensorProto& proto) {
  auto same = [](auto v) { return v; };
  switch (dtype) {
    case DType::kFloat32:
      return FromField<float>(std::move(dims), proto.float_data(), "float_data", same);
    case DType::kFloat64:
      return FromField<double>(std::move(dims), proto.double_data(), "double_data", same);
    case DType::kInt64:
      return FromField<int64_t>(std::move(dims), proto.int64_data(), "int64_data", same);
    case DType::kInt32: return FromIntField<int32_t>(std::move(dims), proto);
    case DType::kInt16: return FromIntField<int16_t>(std::move(dims), proto);
    case DType::kInt8: return FromIntField<int8_t>(std::move(dims), proto);
    case DType::kUInt8: return FromIntField<uint8_t>(std::move(dims), proto);
    case DType::kFloat16: return FromBitsField<Half>(std::move(dims), proto);
    case DType::kBFloat16: return FromBitsField<BFloat16>(std::move(dims), proto);
    case DType::kBool: break;
  }
  return FromField<bool>(std::move(dims), proto.int32_data(), "int32_data",
                         [](int32_t v) { return v != 0; });
}

// A tensor over `bytes` (of the right length), borrowed where alignment and type allow.
Result<Tensor> FromBytes(DType dtype, Dims dims, std::span<const std::byte> bytes,
                         std::shared_ptr<const void> owner) {
  if (dtype == DType::kBool) {  // any byte may stand in a file, only 0 and 1 in a tensor
    Tensor t(dtype, std::move(dims));
    bool* out = t.mutable_data<bool>().data();
    for (size_t i = 0; i < bytes.size(); ++i) out[i] = bytes[i] != std::byte{0};
    return t;
  }
  if (bytes.empty() || reinterpret_cast<uintptr_t>(bytes.data()) % SizeOf(dtype) != 0) {
    Tensor t(dtype, std::move(dims));
    if (!bytes.empty()) std::memcpy(t.mutable_raw(), bytes.data(), bytes.size());
    return t;
  }
  return Tensor::Borrow(dtype, std::move(dims), bytes.data(), std::move(owner));
}

Result<uint64_t> ParseCount(std::string_view key, std::string_view text) {
  uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size())
    return InvalidModel("external data: ", key, " '", text, "' is not a number of bytes");
  return n;
}

}  // namespace

std::string TypeName(int32_t onnx_type) {
  static constexpr std::string_view kNames[] = {
      "undefined",      "float32",    "uint8",          "int8",       "uint16",    "int16",
      "int32",          "int64",      "string",         "bool",       "float16",   "float64",
      "uint32",         "uint64",     "complex64",      "complex128", "bfloat16",  "float8e4m3fn",
      "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",      "float4e2m1",
      "float8e8m0",     "uint2",      "int2",           "float6e2m3", "float6e3m2"};
  if (onnx_type < 0 || onnx_type >= static_cast<int32_t>(std::size(kNames)))
    return StrCat("type ", onnx_type);
  return std::string(kNames[onnx_type]);
}

Result<DType> ToDType(int32_t onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT: return DType::kFloat32;
    case TensorProto::FLOAT16: return DType::kFloat16;
    case TensorProto::BFLOAT16: return DType::kBFloat16;
    case TensorProto::DOUBLE: return DType::kFloat64;
    case TensorProto::INT8: return DType::kInt8;
    case TensorProto::INT16: return DType::kInt16;
    case TensorProto::INT32: return DType::kInt32;
    case TensorProto::INT64: return DType::kInt64;
    case TensorProto::UINT8: return DType::kUInt8;
    case TensorProto::BOOL: return DType::kBool;
    default: break;
  }
  if (onnx_type <= TensorProto::UNDEFINED || onnx_type > TensorProto::Type_MAX)
    return InvalidModel("element type ", onnx_type, " is not defined by ONNX");
  return Unsupported("element type ", TypeName(onnx_type));
}

Result<Tensor> TensorReader::Read(const TensorProto& proto) {
  ASSIGN_OR_RETURN(DType dtype, ToDType(proto.data_type()));
  ASSIGN_OR_RETURN(Dims dims, ReadDims(proto));
  if (proto.has_segment()) return Unsupported("tensor stored in segments");
  size_t bytes = static_cast<size_t>(NumElements(dims)) * SizeOf(dtype);
  if (proto.data_location() == TensorProto::EXTERNAL)
    return ReadExternal(proto, dtype, std::move(dims), bytes);
  if (!proto.has_raw_data()) return FromTypedField(dtype, std::move(dims), proto);
  const std::string& raw = proto.raw_data();
  if (raw.size() != bytes)
    return InvalidModel("raw_data has ", raw.size(), " bytes, but ", Name(dtype), ToString(dims),
                        " needs ", bytes);
  return FromBytes(dtype, std::move(dims), std::as_bytes(std::span(raw)), model_);
}

Result<Tensor> TensorReader::ReadExternal(const TensorProto& proto, DType dtype, Dims dims,
                                          size_t bytes) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const StringPair& entry : proto.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset") {
      ASSIGN_OR_RETURN(offset, ParseCount("offset", entry.value()));
    } else if (entry.key() == "length") {
      ASSIGN_OR_RETURN(length, ParseCount("length", entry.value()));
    }
  }
  if (length && *length != bytes)
    return InvalidModel("external data: length ", *length, " but ", Name(dtype), ToString(dims),
                        " needs ", bytes, " bytes");
  ASSIGN_OR_RETURN(auto file, OpenExternal(location));
  size_t size = file->bytes().size();
  if (offset > size || bytes > size - offset)
    return InvalidModel("external data: file '", location, "' has ", size, " bytes, but ", bytes,
                        " at offset ", offset, " are asked for");
  return FromBytes(dtype, std::move(dims), file->bytes().subspan(offset, bytes), file);
}

Result<std::shared_ptr<const MappedFile>> TensorReader::OpenExternal(const std::string& location) {
  if (auto it = files_.find(location); it != files_.end()) return it->second;
  namespace fs = std::filesystem;
  fs::path relative(location);
  if (location.empty() || location.find('\0') != std::string::npos || relative.is_absolute())
    return InvalidModel("external data: location '", location,
                        "' must be a path relative to the model's folder");
  for (const fs::path& part : relative)
    if (part == "..")
      return InvalidModel("external data: location '", location, "' leaves the model's folder");
  std::error_code error;
  fs::path root = fs::canonical(folder_.empty() ? fs::path(".") : fs::path(folder_), error);
  if (error) return IoError("folder '", folder_, "': ", error.message());
  fs::path path = fs::canonical(root / relative, error);
  if (error) return NotFound("external data: file '", location, "': ", error.message());
  // Both are free of symbolic links now, so a link cannot lead out of the folder.
  auto [end, rest] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  if (end != root.end())
    return InvalidModel("external data: location '", location,
                        "' leads out of the model's folder by a symbolic link");
  ASSIGN_OR_RETURN(auto file, MappedFile::Open(path.string()));
  files_.emplace(location, file);
  return file;
}

}  // namespace sula::onnx
