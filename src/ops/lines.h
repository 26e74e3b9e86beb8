// Walk over the lines of a tensor along one axis.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace sula {

// Hands every line of `values` (of these sizes, row-major) along `axis` to fn(std::span<double>),
// which changes it in place. Lines are contiguous copies. None if there are no elements.
template <class Fn>
void ForEachLine(std::span<const int64_t> dims, int axis, std::span<double> values, Fn&& fn) {
  if (values.empty()) return;
  const int64_t inner = NumElements(dims.subspan(axis + 1)), length = dims[axis];
  const int64_t size = inner * length;
  std::vector<double> line(length);
  for (int64_t base = 0; base < static_cast<int64_t>(values.size()); base += size) {
    for (int64_t i = base; i < base + inner; ++i) {
      for (int64_t j = 0; j < length; ++j) line[j] = values[i + j * inner];
      fn(std::span<double>(line));
      for (int64_t j = 0; j < length; ++j) values[i + j * inner] = line[j];
    }
  }
}

}  // namespace sula
