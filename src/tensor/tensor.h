// Tensor: a dense row-major array with shared, 64-byte aligned or borrowed storage.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "base/half.h"
#include "base/status.h"
#include "sula/tensor.h"

namespace sula {

// DTypeOf<float>() == DType::kFloat32, ...
template <class T>
constexpr DType DTypeOf() {
  if constexpr (std::is_same_v<T, float>)
    return DType::kFloat32;
  else if constexpr (std::is_same_v<T, Half>)
    return DType::kFloat16;
  else if constexpr (std::is_same_v<T, BFloat16>)
    return DType::kBFloat16;
  else if constexpr (std::is_same_v<T, double>)
    return DType::kFloat64;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DType::kInt8;
  else if constexpr (std::is_same_v<T, int16_t>)
    return DType::kInt16;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::kInt32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::kInt64;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::kUInt8;
  else {
    static_assert(std::is_same_v<T, bool>, "not an element type");
    return DType::kBool;
  }
}

constexpr bool IsFloat(DType t) {
  return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16 ||
         t == DType::kFloat64;
}
constexpr bool IsInteger(DType t) { return !IsFloat(t) && t != DType::kBool; }

// Calls fn(T{}) with the C++ type of t: DispatchDType(t, [&](auto z) { using T = decltype(z); }).
template <class Fn>
decltype(auto) DispatchDType(DType t, Fn&& fn) {
  switch (t) {
    case DType::kFloat32: return fn(float{});
    case DType::kFloat16: return fn(Half{});
    case DType::kBFloat16: return fn(BFloat16{});
    case DType::kFloat64: return fn(double{});
    case DType::kInt8: return fn(int8_t{});
    case DType::kInt16: return fn(int16_t{});
    case DType::kInt32: return fn(int32_t{});
    case DType::kInt64: return fn(int64_t{});
    case DType::kUInt8: return fn(uint8_t{});
    case DType::kBool: break;
  }
  return fn(bool{});
}

Result<DType> ParseDType(std::string_view name);

class Tensor {
 public:
  Tensor() = default;  // float32, no storage: empty()
  // Zero-filled, 64-byte aligned, with at least 64 readable bytes behind the last element. Without
  // sufficient memory, or with a negative size, the tensor is empty(): use Create where sizes come
  // from a file or a caller.
  Tensor(DType dtype, Dims dims);
  // The same with an error that names type and sizes.
  static Result<Tensor> Create(DType dtype, Dims dims);
  // Borrows `data`, kept alive by `owner` (for example a mapped file). Never written.
  static Tensor Borrow(DType dtype, Dims dims, const void* data, std::shared_ptr<const void> owner);
  template <class T>
  static Tensor From(Dims dims, std::span<const T> values);
  template <class T>
  static Tensor From(Dims dims, std::initializer_list<T> values) {
    return From<T>(std::move(dims), std::span<const T>(values.begin(), values.size()));
  }
  template <class T>
  static Tensor Scalar(T value) {
    return From<T>({}, {value});
  }
  static Tensor FromInts(const std::vector<int64_t>& v) {
    return From<int64_t>({static_cast<int64_t>(v.size())}, std::span<const int64_t>(v));
  }

  bool empty() const { return data_ == nullptr; }  // no storage at all (not: zero elements)
  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t dim(int i) const { return dims_[i]; }
  int64_t num_elements() const { return NumElements(dims_); }
  size_t bytes() const { return static_cast<size_t>(num_elements()) * SizeOf(dtype_); }
  const std::byte* raw() const { return data_; }
  TensorView view() const { return {dtype_, dims_, data_}; }

  // Typed access; precondition: T is the element type.
  template <class T>
  std::span<const T> data() const {
    SULA_CHECK(DTypeOf<T>() == dtype_);
    return {reinterpret_cast<const T*>(data_), static_cast<size_t>(num_elements())};
  }
  // Precondition also: owned storage (made by Tensor(dtype, dims) or From).
  template <class T>
  std::span<T> mutable_data() {
    SULA_CHECK(DTypeOf<T>() == dtype_);
    return {reinterpret_cast<T*>(mutable_raw()), static_cast<size_t>(num_elements())};
  }
  std::byte* mutable_raw() {
    SULA_CHECK(mutable_);
    return const_cast<std::byte*>(data_);
  }

  // The same storage under other sizes with the same number of elements.
  Tensor Reshaped(Dims dims) const;
  Tensor Clone() const;  // own storage
  // Element i as a number, whatever the type. AsInt of a floating-point element truncates, is 0 for
  // NaN and the nearest int64 outside its range.
  double AsDouble(int64_t i) const;
  int64_t AsInt(int64_t i) const;
  // All elements of an integer or bool tensor.
  std::vector<int64_t> ToInts() const;

  // Same type, sizes and bytes.
  friend bool operator==(const Tensor& a, const Tensor& b);

 private:
  DType dtype_ = DType::kFloat32;
  Dims dims_ = {0};
  const std::byte* data_ = nullptr;
  bool mutable_ = false;
  std::shared_ptr<const void> owner_;
};

template <class T>
Tensor Tensor::From(Dims dims, std::span<const T> values) {
  Tensor t(DTypeOf<T>(), std::move(dims));
  SULA_CHECK(t.num_elements() == static_cast<int64_t>(values.size()));
  if (!values.empty()) std::memcpy(t.mutable_raw(), values.data(), values.size_bytes());
  return t;
}

}  // namespace sula
