// Whole tensors as vectors of one wide type, for Evaluate; see ops/elements.h for the conversions.
#pragma once

#include <span>
#include <type_traits>
#include <vector>

#include "ops/elements.h"
#include "tensor/tensor.h"

namespace sula {

// All elements of t. Wide: double, or int64_t or uint64_t (the latter modulo 2^64).
template <class Wide>
std::vector<Wide> LoadAs(const Tensor& t) {
  std::vector<Wide> wide(static_cast<size_t>(t.num_elements()));
  if constexpr (std::is_same_v<Wide, double>) {
    LoadDoubles(t.dtype(), t.raw(), 0, 1, t.num_elements(), wide.data());
  } else {
    static_assert(std::is_same_v<std::make_signed_t<Wide>, int64_t>);
    LoadInts(t.dtype(), t.raw(), 0, 1, t.num_elements(), reinterpret_cast<int64_t*>(wide.data()));
  }
  return wide;
}

// Writes `values` into t from element `offset` on; conversions as in StoreDoubles and StoreInts.
template <class Wide>
void StoreAs(std::span<const Wide> values, Tensor& t, int64_t offset = 0) {
  const int64_t n = static_cast<int64_t>(values.size());
  if constexpr (std::is_same_v<Wide, double>) {
    StoreDoubles(t.dtype(), values.data(), n, t.mutable_raw(), offset);
  } else {
    static_assert(std::is_same_v<std::make_signed_t<Wide>, int64_t>);
    StoreInts(t.dtype(), reinterpret_cast<const int64_t*>(values.data()), n, t.mutable_raw(),
              offset);
  }
}

}  // namespace sula
