// Element types and plain tensor views, as they cross the public interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)
namespace sula {

enum class DType : uint8_t {
  kFloat32 = 0,
  kFloat16,
  kBFloat16,
  kFloat64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kBool,  // one byte, 0 or 1
};
inline constexpr int kDTypeCount = 10;

// Bytes of one element.
constexpr size_t SizeOf(DType t) {
  switch (t) {
    case DType::kFloat64:
    case DType::kInt64: return 8;
    case DType::kFloat32:
    case DType::kInt32: return 4;
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kInt16: return 2;
    default: return 1;
  }
}

// "float32", "int64", ...
std::string_view Name(DType t);

// Concrete sizes of a tensor, outermost first. A scalar has none; a size may be 0.
using Dims = std::vector<int64_t>;

// Number of elements; 1 for a scalar. INT64_MAX if there are more than 2^60 of them or if a size is
// negative: such a tensor cannot exist, and its bytes do not wrap around to a small number.
int64_t NumElements(std::span<const int64_t> dims);

// "[1,3,224,224]"
std::string ToString(std::span<const int64_t> dims);
inline std::string ToString(const Dims& dims) { return ToString(std::span<const int64_t>(dims)); }

// A dense row-major tensor in memory owned by somebody else.
struct TensorView {
  DType dtype = DType::kFloat32;
  Dims dims;
  const void* data = nullptr;
  size_t bytes() const { return static_cast<size_t>(NumElements(dims)) * SizeOf(dtype); }
};

}  // namespace sula
#pragma GCC visibility pop
