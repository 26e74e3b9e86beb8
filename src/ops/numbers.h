// Tensor elements as one wide type, for Evaluate: read, compute in double (integers: in 64 bits),
// write back rounded to the element type.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace sula {

// All elements of t, converted to Wide (double, int64_t or uint64_t).
template <class Wide>
std::vector<Wide> LoadAs(const Tensor& t) {
  return DispatchDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<const T> data = t.data<T>();
    std::vector<Wide> wide(data.size());
    for (size_t i = 0; i < data.size(); ++i) wide[i] = static_cast<Wide>(data[i]);
    return wide;
  });
}

// Writes `values` into t from element `offset` on, as static_cast converts: floats round to
// nearest, integers wrap. A double that goes to an integer type must fit it.
template <class Wide>
void StoreAs(std::span<const Wide> values, Tensor& t, int64_t offset = 0) {
  DispatchDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* data = t.mutable_data<T>().data() + offset;
    for (size_t i = 0; i < values.size(); ++i) data[i] = static_cast<T>(values[i]);
  });
}

}  // namespace sula
