#include <limits>

#include "tensor/tensor.h"

namespace sula {

std::string_view Name(DType t) {
  switch (t) {
    case DType::kFloat32: return "float32";
    case DType::kFloat16: return "float16";
    case DType::kBFloat16: return "bfloat16";
    case DType::kFloat64: return "float64";
    case DType::kInt8: return "int8";
    case DType::kInt16: return "int16";
    case DType::kInt32: return "int32";
    case DType::kInt64: return "int64";
    case DType::kUInt8: return "uint8";
    case DType::kBool: return "bool";
  }
  return "unknown";
}

Result<DType> ParseDType(std::string_view name) {
  std::string known;
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType t = static_cast<DType>(i);
    if (Name(t) == name) return t;
    known += StrCat(i == 0 ? "" : ", ", Name(t));
  }
  return InvalidArgument("no element type '", name, "'; there are ", known);
}

int64_t NumElements(std::span<const int64_t> dims) {
  constexpr int64_t kMost = int64_t{1} << 60;
  int64_t n = 1;
  bool zero = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return std::numeric_limits<int64_t>::max();
    zero = zero || dim == 0;
    if (dim != 0 && n <= kMost && (__builtin_mul_overflow(n, dim, &n) || n > kMost)) n = kMost + 1;
  }
  if (zero) return 0;
  return n > kMost ? std::numeric_limits<int64_t>::max() : n;
}

std::string ToString(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + ']';
}

}  // namespace sula
