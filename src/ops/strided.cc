#include "ops/strided.h"

#include <cstring>
#include <vector>

#include "tensor/shape.h"

namespace sula {
namespace {

// The walk after merging: axes of size 1 are gone, neighbours that every array walks as one axis
// are one.
struct MergedAxes {
  Dims dims;
  std::vector<Dims> strides;  // by array, then axis
};

MergedAxes Merge(std::span<const int64_t> dims, std::span<const Dims> strides) {
  MergedAxes m;
  m.strides.resize(strides.size());
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 1) continue;
    bool merges = !m.dims.empty();
    for (size_t k = 0; merges && k < strides.size(); ++k)
      merges = m.strides[k].back() == strides[k][axis] * dims[axis];
    if (merges) {
      m.dims.back() *= dims[axis];
      for (size_t k = 0; k < strides.size(); ++k) m.strides[k].back() = strides[k][axis];
    } else {
      m.dims.push_back(dims[axis]);
      for (size_t k = 0; k < strides.size(); ++k) m.strides[k].push_back(strides[k][axis]);
    }
  }
  if (m.dims.empty()) {
    m.dims.push_back(1);
    for (auto& s : m.strides) s.push_back(1);
  }
  return m;
}

// Moves n elements of kSize bytes, whatever their type.
template <size_t kSize>
void CopyRow(const std::byte* src, int64_t src_step, std::byte* dst, int64_t dst_step, int64_t n) {
  constexpr int64_t kBytes = kSize;
  for (int64_t i = 0; i < n; ++i)
    std::memcpy(dst + i * dst_step * kBytes, src + i * src_step * kBytes, kSize);
}

}  // namespace

void ForEachRow(std::span<const int64_t> dims, std::span<const Dims> strides, RowFn fn) {
  for (int64_t d : dims)
    if (d == 0) return;
  const MergedAxes m = Merge(dims, strides);
  const size_t arrays = strides.size();
  const int outer = static_cast<int>(m.dims.size()) - 1;
  std::vector<int64_t> offsets(arrays, 0), steps(arrays);
  for (size_t k = 0; k < arrays; ++k) steps[k] = m.strides[k][outer];
  Dims index(outer, 0);
  while (true) {
    fn(offsets, steps, m.dims[outer]);
    int axis = outer - 1;
    for (; axis >= 0; --axis) {
      const bool carry = ++index[axis] == m.dims[axis];
      for (size_t k = 0; k < arrays; ++k)
        offsets[k] += carry ? m.strides[k][axis] * (1 - m.dims[axis]) : m.strides[k][axis];
      if (!carry) break;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

void ForEachRow(std::span<const int64_t> dims, std::initializer_list<Dims> strides, RowFn fn) {
  ForEachRow(dims, std::span<const Dims>(strides.begin(), strides.size()), fn);
}

Dims BroadcastStrides(std::span<const int64_t> from, std::span<const int64_t> to) {
  const Dims dense = RowMajorStrides(from);
  const size_t missing = to.size() - from.size();
  Dims strides(to.size(), 0);
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] != 1) strides[missing + i] = dense[i];
  return strides;
}

void CopyStrided(size_t element_size, std::span<const int64_t> dims, const void* src,
                 int64_t src_begin, const Dims& src_strides, void* dst, int64_t dst_begin,
                 const Dims& dst_strides) {
  const auto copy = element_size == 8   ? CopyRow<8>
                    : element_size == 4 ? CopyRow<4>
                    : element_size == 2 ? CopyRow<2>
                                        : CopyRow<1>;
  const int64_t bytes = static_cast<int64_t>(element_size);
  ForEachRow(dims, {src_strides, dst_strides},
             [&](std::span<const int64_t> offsets, std::span<const int64_t> steps, int64_t n) {
               const auto* from =
                   static_cast<const std::byte*>(src) + (src_begin + offsets[0]) * bytes;
               auto* to = static_cast<std::byte*>(dst) + (dst_begin + offsets[1]) * bytes;
               if (steps[0] == 1 && steps[1] == 1) {
                 std::memcpy(to, from, n * bytes);
               } else {
                 copy(from, steps[0], to, steps[1], n);
               }
             });
}

}  // namespace sula
