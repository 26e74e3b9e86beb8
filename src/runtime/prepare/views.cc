#include "runtime/prepare/views.h"

#include <algorithm>

namespace sula {
namespace {

// One loop of a region as one side sees it: along `axis` by `step`, while the other side's memory
// is walked by `stride`.
struct Loop {
  int64_t count = 1, step = 1, stride = 0;
  int axis = 0;
};

// The strides of a side of sizes `dims` whose loops are these; nothing unless they walk all of it.
std::optional<Dims> StridesOfLoops(const Dims& dims, std::vector<Loop> loops) {
  std::sort(loops.begin(), loops.end(),
            [](const Loop& a, const Loop& b) { return a.step < b.step; });
  Dims strides(dims.size(), 1), walked(dims.size(), 1);
  for (const Loop& loop : loops) {
    int64_t& reached = walked[loop.axis];
    if (loop.step != reached) return std::nullopt;
    if (reached == 1) strides[loop.axis] = loop.stride;
    if (loop.stride != strides[loop.axis] * reached) return std::nullopt;
    reached *= loop.count;
  }
  if (walked != dims) return std::nullopt;
  return strides;
}

int64_t OffsetOf(const Dims& index, const Dims& strides) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) offset += index[i] * strides[i];
  return offset;
}

}  // namespace

Dims StridesOf(const Dims& dims, Layout layout, int64_t pixel_stride) {
  TensorDesc desc = DenseDesc(DType::kFloat32, dims, layout);
  if (pixel_stride != 0) desc.pixel_stride = pixel_stride;
  Dims strides(dims.size());
  desc.WriteStrides(strides);
  return strides;
}

std::optional<TensorDesc> FitLayout(DType dtype, const Dims& dims, const Dims& strides,
                                    Layout layout) {
  TensorDesc desc{true, dtype, dims, layout, 0, {}};
  const bool empty = NumElements(dims) == 0;
  const int rank = static_cast<int>(dims.size());
  if (layout == Layout::kStrided) {
    if (rank > kMaxStridedRank) return std::nullopt;
    desc.strides = strides;
    return desc;
  }
  if (layout == Layout::kRowMajor) {
    if (!empty && !SameStrides(dims, strides, RowMajorStrides(dims))) return std::nullopt;
    return desc;
  }
  if (rank < 2) return std::nullopt;
  desc.pixel_stride = dims[1];
  if (empty) return desc;
  // The innermost axis of pixels tells how far apart they are: the last spatial one or the batch.
  for (int axis = rank; axis-- > 0;) {
    if (axis == 1 || dims[axis] == 1) continue;
    desc.pixel_stride = strides[axis];
    break;
  }
  if (desc.pixel_stride < dims[1]) return std::nullopt;
  if (!SameStrides(dims, strides, StridesOf(dims, layout, desc.pixel_stride))) return std::nullopt;
  return desc;
}

std::optional<TensorDesc> FitAny(DType dtype, const Dims& dims, const Dims& strides) {
  for (Layout layout : {Layout::kRowMajor, Layout::kChannelLast, Layout::kStrided})
    if (auto desc = FitLayout(dtype, dims, strides, layout)) return desc;
  return std::nullopt;
}

bool SameStrides(const Dims& dims, const Dims& a, const Dims& b) {
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] != 1 && a[i] != b[i]) return false;
  return true;
}

int64_t Extent(const Dims& dims, const Dims& strides) {
  int64_t last = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0) return 0;
    last += (dims[i] - 1) * strides[i];
  }
  return last + 1;
}

std::optional<Dims> ReshapeStrides(const Dims& from, const Dims& strides, const Dims& to) {
  if (NumElements(from) == 0) return RowMajorStrides(to);
  // Groups of axes with equal products; within a group of `from` every axis must step over the
  // whole of the next one.
  Dims result(to.size(), 1);
  size_t i = 0, k = 0;
  while (i < from.size() && k < to.size()) {
    size_t i_end = i + 1, k_end = k + 1;
    int64_t a = from[i], b = to[k];
    while (a != b) {
      if (a < b) {
        if (i_end == from.size()) return std::nullopt;
        a *= from[i_end++];
      } else {
        if (k_end == to.size()) return std::nullopt;
        b *= to[k_end++];
      }
    }
    int64_t inner = 0;  // stride of the innermost axis of the group that is not of size 1
    int64_t expected = 0;
    for (size_t x = i_end; x-- > i;) {
      if (from[x] == 1) continue;
      if (inner == 0)
        inner = strides[x];
      else if (strides[x] != expected)
        return std::nullopt;
      expected = strides[x] * from[x];
    }
    int64_t stride = inner == 0 ? 1 : inner;
    for (size_t x = k_end; x-- > k;) {
      result[x] = stride;
      stride *= to[x];
    }
    i = i_end;
    k = k_end;
  }
  return result;  // what is left on either side has size 1
}

std::optional<Strided> ViewThrough(const Region& region, const Dims& dims, const Strided& source) {
  std::vector<Loop> loops;
  for (const RegionAxis& a : region.axes)
    loops.push_back(
        {a.count, a.to_step, a.from < 0 ? 0 : a.from_step * source.strides[a.from], a.to});
  std::optional<Dims> strides = StridesOfLoops(dims, std::move(loops));
  if (!strides) return std::nullopt;
  return Strided{source.offset + OffsetOf(region.from_begin, source.strides), *std::move(strides)};
}

std::optional<Strided> PartThrough(const Region& region, const Dims& dims, const Strided& whole) {
  std::vector<Loop> loops;
  for (const RegionAxis& a : region.axes) {
    if (a.from < 0) return std::nullopt;
    loops.push_back({a.count, a.from_step, a.to_step * whole.strides[a.to], a.from});
  }
  std::optional<Dims> strides = StridesOfLoops(dims, std::move(loops));
  if (!strides) return std::nullopt;
  return Strided{whole.offset + OffsetOf(region.to_begin, whole.strides), *std::move(strides)};
}

RegionLoops LoopsOf(const Region& region, const Dims& to_strides, const Dims& from_strides) {
  RegionLoops loops;
  loops.to.offset = OffsetOf(region.to_begin, to_strides);
  loops.from.offset = OffsetOf(region.from_begin, from_strides);
  for (const RegionAxis& a : region.axes) {
    loops.dims.push_back(a.count);
    loops.to.strides.push_back(a.to_step * to_strides[a.to]);
    loops.from.strides.push_back(a.from < 0 ? 0 : a.from_step * from_strides[a.from]);
  }
  return loops;
}

}  // namespace sula
