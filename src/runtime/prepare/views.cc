#include "runtime/prepare/views.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/movement.h"

namespace sula {
namespace {

std::vector<Strided> TransposeView(const Node& node, const Strided& input) {
  const std::vector<int64_t>& perm = node.As<TransposeParams>().perm;
  Strided view = input;
  const size_t rank = input.strides.size();
  for (size_t i = 0; i < rank; ++i)
    view.strides[i] = input.strides[perm.empty() ? rank - 1 - i : static_cast<size_t>(perm[i])];
  return {view};
}

std::optional<std::vector<Strided>> SliceView(const Dims& dims, const Strided& input,
                                              std::span<const Tensor* const> constants) {
  const int rank = static_cast<int>(dims.size());
  auto given = [&](size_t i) { return i < constants.size() && constants[i]; };
  if (!given(1) || !given(2)) return std::nullopt;
  const std::vector<int64_t> starts = constants[1]->ToInts(), ends = constants[2]->ToInts();
  std::vector<int64_t> axes(starts.size()), steps(starts.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (given(3)) axes = constants[3]->ToInts();
  if (given(4)) steps = constants[4]->ToInts();
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    return std::nullopt;
  Strided view = input;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return std::nullopt;
    const Result<SliceRange> range = ResolveSlice(dims[axis], starts[i], ends[i], steps[i]);
    if (!range) return std::nullopt;
    if (range->count > 0) view.offset += range->begin * input.strides[axis];
    if (range->count > 1) view.strides[axis] = input.strides[axis] * range->step;
  }
  return std::vector<Strided>{view};
}

std::vector<Strided> SplitView(const Node& node, const Dims& dims, const Strided& input,
                               std::span<const Dims> outputs) {
  const int64_t given = node.As<SplitParams>().axis;
  const int64_t axis = given < 0 ? given + static_cast<int64_t>(dims.size()) : given;
  std::vector<Strided> views;
  Strided view = input;
  for (const Dims& output : outputs) {
    views.push_back(view);
    view.offset += output[axis] * input.strides[axis];
  }
  return views;
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

bool IsViewOperator(const Node& node) {
  return node.op->Has(kReinterpret) || node.Is(op::kIdentity) || node.Is(op::kTranspose) ||
         node.Is(op::kSlice) || node.Is(op::kSplit);
}

std::optional<std::vector<Strided>> ViewsOf(const Node& node, const Dims& dims,
                                            const Strided& input, std::span<const Dims> output_dims,
                                            std::span<const Tensor* const> constants) {
  if (node.Is(op::kIdentity)) return std::vector<Strided>{input};
  if (node.op->Has(kReinterpret)) {
    std::optional<Dims> strides = ReshapeStrides(dims, input.strides, output_dims[0]);
    if (!strides) return std::nullopt;
    return std::vector<Strided>{{input.offset, std::move(*strides)}};
  }
  if (node.Is(op::kTranspose)) return TransposeView(node, input);
  if (node.Is(op::kSlice)) return SliceView(dims, input, constants);
  if (node.Is(op::kSplit)) return SplitView(node, dims, input, output_dims);
  return std::nullopt;
}

Strided PartOf(const Strided& whole, std::span<const Dims> parts, int axis, int i) {
  Strided part = whole;
  for (int k = 0; k < i; ++k) part.offset += parts[k][axis] * whole.strides[axis];
  return part;
}

}  // namespace sula
