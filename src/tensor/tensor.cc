#include "tensor/tensor.h"

#include <algorithm>
#include <limits>

#include "base/aligned_buffer.h"

namespace sula {
namespace {

int64_t Truncate(double v) {
  if (v != v) return 0;
  if (v >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (v < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(v);
}

}  // namespace

Tensor::Tensor(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)) {
  // A tensor of zero elements has storage too: empty() tells whether there is a tensor at all.
  auto buffer = std::make_shared<AlignedBuffer>(std::max<size_t>(bytes(), 1));
  if (buffer->data() == nullptr) {
    dims_ = {0};
    return;
  }
  data_ = buffer->data();
  mutable_ = true;
  owner_ = std::move(buffer);
}

Result<Tensor> Tensor::Create(DType dtype, Dims dims) {
  if (std::any_of(dims.begin(), dims.end(), [](int64_t d) { return d < 0; })) {
    return InvalidArgument("a tensor cannot have the negative size in ", ToString(dims));
  }
  Tensor tensor(dtype, dims);
  if (tensor.empty()) {
    return ResourceExhausted("no memory for a tensor ", Name(dtype), ToString(dims));
  }
  return tensor;
}

Tensor Tensor::Borrow(DType dtype, Dims dims, const void* data, std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.dims_ = std::move(dims);
  tensor.data_ = static_cast<const std::byte*>(data);
  tensor.owner_ = std::move(owner);
  return tensor;
}

Tensor Tensor::Reshaped(Dims dims) const {
  SULA_CHECK(NumElements(dims) == num_elements());
  Tensor tensor = *this;
  tensor.dims_ = std::move(dims);
  return tensor;
}

Tensor Tensor::Clone() const {
  if (empty()) return *this;
  Tensor copy(dtype_, dims_);
  if (!copy.empty() && bytes() > 0) std::memcpy(copy.mutable_raw(), data_, bytes());
  return copy;
}

double Tensor::AsDouble(int64_t i) const {
  // A borrowed byte may be neither 0 nor 1, which is no bool to C++.
  if (dtype_ == DType::kBool) return data_[i] != std::byte{0};
  return DispatchDType(dtype_, [&](auto zero) {
    using T = decltype(zero);
    return static_cast<double>(data<T>()[static_cast<size_t>(i)]);
  });
}

int64_t Tensor::AsInt(int64_t i) const {
  if (IsFloat(dtype_) || dtype_ == DType::kBool) return Truncate(AsDouble(i));
  return DispatchDType(dtype_, [&](auto zero) {
    using T = decltype(zero);
    return static_cast<int64_t>(data<T>()[static_cast<size_t>(i)]);
  });
}

std::vector<int64_t> Tensor::ToInts() const {
  std::vector<int64_t> values(static_cast<size_t>(num_elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = AsInt(static_cast<int64_t>(i));
  return values;
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (a.dtype_ != b.dtype_ || a.dims_ != b.dims_ || a.empty() != b.empty()) return false;
  return a.empty() || a.bytes() == 0 || std::memcmp(a.data_, b.data_, a.bytes()) == 0;
}

}  // namespace sula
