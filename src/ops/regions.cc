#include "ops/regions.h"

#include <algorithm>

#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"
#include "tensor/shape.h"

namespace sula {
namespace {

struct Request {
  const Node& node;
  std::span<const Dims> inputs, outputs;
  std::span<const Tensor* const> constants;

  bool Has(size_t i) const { return i < node.inputs.size() && node.inputs[i] != kNoValue; }
  // The value of input i: nothing if it is absent, an error if only the run knows it.
  Result<std::optional<std::vector<int64_t>>> Ints(size_t i) const {
    if (!Has(i)) return std::optional<std::vector<int64_t>>();
    if (i >= constants.size() || !constants[i]) return Unsupported("input ", i, " is not constant");
    return std::optional(constants[i]->ToInts());
  }
};
using Lists = std::vector<RegionList>;

Status NoBox(std::string_view why) { return Unsupported("no list of boxes: ", why); }

int Wrapped(int64_t axis, size_t rank) {
  return static_cast<int>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
}

Region Whole(int source, const Dims& from, size_t to_rank) {
  return {source, Dims(to_rank, 0), Dims(from.size(), 0), {}};
}

// x as it is, along the same axes of an output of the same rank.
Region Same(int source, const Dims& dims) {
  Region region = Whole(source, dims, dims.size());
  for (int i = 0; i < static_cast<int>(dims.size()); ++i)
    region.axes.push_back({dims[i], i, 1, i, 1});
  return region;
}

// ---- Reshape and the like

Result<Lists> Reinterpreted(const Request& r) {
  const Dims &from = r.inputs[0], &to = r.outputs[0];
  Region region = Whole(0, from, to.size());
  if (NumElements(from) == 0) return Lists{{region}};
  // From the innermost axes on: the smaller of what is left of either is an axis of the box, and
  // must divide the larger.
  int i = static_cast<int>(from.size()) - 1, k = static_cast<int>(to.size()) - 1;
  int64_t from_left = i < 0 ? 1 : from[i], to_left = k < 0 ? 1 : to[k];
  int64_t from_step = 1, to_step = 1;
  while (i >= 0 && k >= 0) {
    const int64_t count = std::min(from_left, to_left);
    if (from_left == 1 || to_left == 1) {
      if (from_left == 1) from_left = --i < 0 ? 1 : from[i], from_step = 1;
      if (to_left == 1 && k >= 0) to_left = --k < 0 ? 1 : to[k], to_step = 1;
      continue;
    }
    if (from_left % count != 0 || to_left % count != 0) return NoBox("axes are cut across");
    region.axes.push_back({count, k, to_step, i, from_step});
    from_left /= count, to_left /= count;
    from_step *= count, to_step *= count;
  }
  return Lists{{region}};
}

// ---- one axis after the other

// A stretch of an output axis whose elements come from the input at equal steps, or from the fill.
struct Stretch {
  int64_t to = 0, count = 0, from = 0, step = 1;
  bool fill = false;
};
using Stretches = std::vector<Stretch>;

// The product of the axes' stretches, from input 0; filled ones from `fill`, one element.
Result<Lists> Product(const Request& r, std::span<const Stretches> axes, int fill) {
  size_t total = 1;
  for (const Stretches& a : axes) {
    total *= a.size();
    if (total > kMaxRegions) return NoBox("too many pieces");
  }
  RegionList list;
  for (size_t index = 0; index < total; ++index) {
    size_t rest = index;
    bool filled = false;
    for (const Stretches& a : axes) {
      filled |= a[rest % a.size()].fill;
      rest /= a.size();
    }
    const bool zeros = filled && fill == Region::kZeros;
    const int source = filled ? fill : 0;
    Region region = Whole(source, zeros ? Dims() : r.inputs[source], axes.size());
    rest = index;
    for (int i = 0; i < static_cast<int>(axes.size()); ++i) {
      const Stretch& s = axes[i][rest % axes[i].size()];
      rest /= axes[i].size();
      region.to_begin[i] = s.to;
      if (filled || s.step == 0) {
        region.axes.push_back({s.count, i, 1, -1, 0});
      } else {
        region.axes.push_back({s.count, i, 1, i, s.step});
      }
      if (!filled) region.from_begin[i] = s.from;
    }
    list.push_back(std::move(region));
  }
  return Lists{std::move(list)};
}

Stretches WholeAxis(int64_t count) { return {{.count = count}}; }

// Cuts index[o], the input position of each output position, into stretches.
Stretches Cut(std::span<const int64_t> index) {
  Stretches r;
  for (int64_t o = 0; o < static_cast<int64_t>(index.size()); ++o) {
    if (!r.empty()) {
      Stretch& s = r.back();
      if (s.count == 1) s.step = index[o] - s.from;
      if (index[o] == s.from + s.count * s.step) {
        ++s.count;
        continue;
      }
    }
    r.push_back({.to = o, .count = 1, .from = index[o]});
  }
  return r;
}

// ---- Slice

Result<Lists> Sliced(const Request& r) {
  const Dims& x = r.inputs[0];
  ASSIGN_OR_RETURN(const auto starts, r.Ints(1));
  ASSIGN_OR_RETURN(const auto ends, r.Ints(2));
  ASSIGN_OR_RETURN(const auto which, r.Ints(3));
  ASSIGN_OR_RETURN(const auto steps, r.Ints(4));
  const auto fits = [&](const auto& list) { return !list || list->size() == starts->size(); };
  if (!starts || !ends || !fits(ends) || !fits(which) || !fits(steps))
    return NoBox("lists of different lengths");
  std::vector<Stretches> axes;
  for (int64_t d : x) axes.push_back(WholeAxis(d));
  for (size_t k = 0; k < starts->size(); ++k) {
    const int axis = which ? Wrapped((*which)[k], x.size()) : static_cast<int>(k);
    ASSIGN_OR_RETURN(const SliceRange range,
                     ResolveSlice(x[axis], (*starts)[k], (*ends)[k], steps ? (*steps)[k] : 1));
    axes[axis] = {{.count = range.count, .from = range.begin, .step = range.step}};
  }
  return Product(r, axes, Region::kZeros);
}

// ---- Pad

// What a border of `count` elements shows of `left` elements, its first at position `first` of
// them (below 0 or from `left` on).
Status AddBorder(PadMode mode, int64_t first, int64_t count, int64_t left, Stretches& stretches) {
  // Position p of an endless row of copies, each second one mirrored where the mode says so.
  const int64_t period = mode == PadMode::kReflect ? std::max<int64_t>(1, 2 * (left - 1)) : left;
  while (count > 0) {
    Stretch s;
    if (mode == PadMode::kConstant) {
      s = {.count = count, .fill = true};
    } else if (mode == PadMode::kEdge || left == 1) {
      s = {.count = count, .from = first < 0 ? 0 : left - 1, .step = 0};
    } else if (const int64_t p = (first % period + period) % period; p < left) {
      s = {.count = left - p, .from = p};
    } else {
      s = {.count = period - p, .from = period - p, .step = -1};
    }
    s.count = std::min(s.count, count);
    first += s.count;
    count -= s.count;
    stretches.push_back(s);
    if (stretches.size() > kMaxRegions) return NoBox("too many pieces");
  }
  return {};
}

// One axis of `size` elements with `before` and `behind` added, which cut if they are negative.
Result<Stretches> PadAxis(int64_t size, int64_t before, int64_t behind, PadMode mode) {
  const int64_t low = std::max<int64_t>(0, -before);
  const int64_t left = size - low - std::max<int64_t>(0, -behind);
  Stretches all;
  if (left <= 0) {
    const int64_t count = size + before + behind;
    if (mode != PadMode::kConstant && count > 0) return NoBox("padding of nothing");
    return Stretches{{.count = count, .fill = true}};
  }
  RETURN_IF_ERROR(AddBorder(mode, -before, std::max<int64_t>(0, before), left, all));
  all.push_back({.count = left});
  RETURN_IF_ERROR(AddBorder(mode, left, behind, left, all));
  int64_t to = 0;
  for (Stretch& s : all) {
    s.to = to;
    to += s.count;
    if (!s.fill) s.from += low;
  }
  return all;
}

Result<Lists> Padded(const Request& r) {
  const Dims& x = r.inputs[0];
  ASSIGN_OR_RETURN(const auto pads, r.Ints(1));
  ASSIGN_OR_RETURN(const auto which, r.Ints(3));
  std::vector<Stretches> axes;
  for (int64_t d : x) axes.push_back(WholeAxis(d));
  const size_t count = which ? which->size() : x.size();
  if (!pads || pads->size() != 2 * count) return NoBox("lists of different lengths");
  for (size_t k = 0; k < count; ++k) {
    const int axis = which ? Wrapped((*which)[k], x.size()) : static_cast<int>(k);
    ASSIGN_OR_RETURN(axes[axis],
                     PadAxis(x[axis], (*pads)[k], (*pads)[k + count], r.node.As<PadParams>().mode));
  }
  return Product(r, axes, r.Has(2) ? 2 : Region::kZeros);
}

// ---- Transpose, Expand, Tile, Concat, Split

Result<Lists> Transposed(const Request& r) {
  const Dims &x = r.inputs[0], &y = r.outputs[0];
  const int rank = static_cast<int>(x.size());
  ASSIGN_OR_RETURN(const std::vector<int> perm,
                   ResolvePerm(r.node.As<TransposeParams>().perm, rank));
  Region region = Whole(0, x, y.size());
  for (int i = 0; i < rank; ++i) region.axes.push_back({y[i], i, 1, perm[i], 1});
  return Lists{{region}};
}

Result<Lists> Expanded(const Request& r) {
  const Dims &x = r.inputs[0], &y = r.outputs[0];
  Region region = Whole(0, x, y.size());
  const int missing = static_cast<int>(y.size() - x.size());
  for (int i = 0; i < static_cast<int>(y.size()); ++i) {
    const int from = i - missing;
    const bool stays = from < 0 || x[from] == 1;
    region.axes.push_back({y[i], i, 1, stays ? -1 : from, stays ? 0 : 1});
  }
  return Lists{{region}};
}

Result<Lists> Tiled(const Request& r) {
  const Dims &x = r.inputs[0], &y = r.outputs[0];
  Region region = Whole(0, x, y.size());
  for (int i = 0; i < static_cast<int>(x.size()); ++i) {
    region.axes.push_back({x[i] == 0 ? 0 : y[i] / x[i], i, x[i], -1, 0});
    region.axes.push_back({x[i], i, 1, i, 1});
  }
  return Lists{{region}};
}

Result<Lists> Concatenated(const Request& r) {
  const int axis = Wrapped(r.node.As<ConcatParams>().axis, r.outputs[0].size());
  if (r.inputs.size() > kMaxRegions) return NoBox("too many pieces");
  RegionList list;
  int64_t at = 0;
  for (size_t k = 0; k < r.inputs.size(); ++k) {
    list.push_back(Same(static_cast<int>(k), r.inputs[k]));
    list.back().to_begin[axis] = at;
    at += r.inputs[k][axis];
  }
  return Lists{std::move(list)};
}

Result<Lists> Cut(const Request& r) {
  const int axis = Wrapped(r.node.As<SplitParams>().axis, r.inputs[0].size());
  Lists lists;
  int64_t at = 0;
  for (const Dims& y : r.outputs) {
    if (y.size() != r.inputs[0].size()) return NoBox("an output is absent");
    Region region = Same(0, y);
    region.from_begin[axis] = at;
    at += y[axis];
    lists.push_back({std::move(region)});
  }
  return lists;
}

// ---- DepthToSpace, SpaceToDepth

// Element (c, h b + i, w b + j) of space is channel (i b + j) C + c of depth, or, in order CRD,
// channel c b b + i b + j.
Result<Lists> Blocks(const Request& r, bool to_space) {
  const BlockParams& p = r.node.As<BlockParams>();
  const Dims& depth = to_space ? r.inputs[0] : r.outputs[0];
  const int64_t b = p.block, c = to_space ? r.outputs[0][1] : r.inputs[0][1];
  Region region = Whole(0, r.inputs[0], 4);
  const auto add = [&](int64_t count, int space, int64_t in_space, int deep, int64_t in_depth) {
    if (to_space) {
      region.axes.push_back({count, space, in_space, deep, in_depth});
    } else {
      region.axes.push_back({count, deep, in_depth, space, in_space});
    }
  };
  add(depth[0], 0, 1, 0, 1);
  add(c, 1, 1, 1, p.crd ? b * b : 1);
  add(depth[2], 2, b, 2, 1);
  add(b, 2, 1, 1, p.crd ? b : b * c);
  add(depth[3], 3, b, 3, 1);
  add(b, 3, 1, 1, p.crd ? 1 : c);
  return Lists{{region}};
}

// ---- Gather

// Indices without order are better looked up one by one.
constexpr size_t kMaxStretches = 16;

Result<Lists> Gathered(const Request& r) {
  const Dims &x = r.inputs[0], &indices = r.inputs[1];
  const int axis = Wrapped(r.node.As<AxisParams>().axis, x.size());
  ASSIGN_OR_RETURN(auto given, r.Ints(1));
  std::vector<int64_t> index = std::move(given).value_or(std::vector<int64_t>());
  for (int64_t& i : index) {
    if (i < 0) i += x[axis];
    if (i < 0 || i >= x[axis]) return NoBox("an index is out of range");
  }
  // The last axis of indices in stretches, row by row.
  const int64_t row = indices.empty() ? 1 : indices.back();
  const int64_t rows = row == 0 ? 0 : static_cast<int64_t>(index.size()) / row;
  const int added = static_cast<int>(indices.size());
  RegionList list;
  for (int64_t i = 0; i < rows; ++i) {
    for (const Stretch& s : Cut(std::span(index).subspan(i * row, row))) {
      Region region = Whole(0, x, x.size() - 1 + indices.size());
      for (int a = 0; a < static_cast<int>(x.size()); ++a)
        if (a != axis) region.axes.push_back({x[a], a < axis ? a : a - 1 + added, 1, a, 1});
      region.from_begin[axis] = s.from;
      int64_t rest = i;
      for (int a = added - 2; a >= 0; --a) {
        region.to_begin[axis + a] = rest % indices[a];
        rest /= indices[a];
      }
      if (added > 0) {
        region.to_begin[axis + added - 1] = s.to;
        region.axes.push_back({s.count, axis + added - 1, 1, s.step == 0 ? -1 : axis, s.step});
      }
      list.push_back(std::move(region));
      if (list.size() > kMaxStretches) return NoBox("too many pieces");
    }
  }
  return Lists{std::move(list)};
}

Result<Lists> ListsOf(const Request& r) {
  const OpDef* op = r.node.op;
  if (op->Has(kReinterpret)) return Reinterpreted(r);
  if (op == &op::kTranspose) return Transposed(r);
  if (op == &op::kSlice) return Sliced(r);
  if (op == &op::kSplit) return Cut(r);
  if (op == &op::kConcat) return Concatenated(r);
  if (op == &op::kPad) return Padded(r);
  if (op == &op::kExpand) return Expanded(r);
  if (op == &op::kTile) return Tiled(r);
  if (op == &op::kDepthToSpace || op == &op::kSpaceToDepth)
    return Blocks(r, op == &op::kDepthToSpace);
  if (op == &op::kGather) return Gathered(r);
  return NoBox("another operator");
}

}  // namespace

int64_t Region::num_elements() const {
  int64_t n = 1;
  for (const RegionAxis& a : axes) n *= a.count;
  return n;
}

std::string Region::ToString() const {
  std::string text = StrCat(sula::ToString(to_begin), " <- ");
  text += source == kZeros ? "zeros" : StrCat(source, sula::ToString(from_begin));
  for (const RegionAxis& a : axes)
    text += StrCat("; ", a.count, " x ", a.to, ":", a.to_step, " <- ", a.from, ":", a.from_step);
  return text;
}

void Normalize(Region& region) {
  std::vector<RegionAxis>& axes = region.axes;
  std::erase_if(axes, [](const RegionAxis& a) { return a.count == 1; });
  for (RegionAxis& a : axes) {
    if (a.from >= 0 && a.from_step == 0) a.from = -1;
    if (a.to_step >= 0) continue;
    region.to_begin[a.to] += (a.count - 1) * a.to_step;
    if (a.from >= 0) region.from_begin[a.from] += (a.count - 1) * a.from_step;
    a.to_step = -a.to_step;
    a.from_step = -a.from_step;
  }
  std::stable_sort(axes.begin(), axes.end(), [](const RegionAxis& a, const RegionAxis& b) {
    return a.to != b.to ? a.to < b.to : a.to_step > b.to_step;
  });
  size_t kept = 0;
  for (size_t i = 1; i < axes.size(); ++i) {
    RegionAxis& outer = axes[kept];
    const RegionAxis& inner = axes[i];
    if (outer.to == inner.to && outer.from == inner.from &&
        outer.to_step == inner.to_step * inner.count &&
        outer.from_step == inner.from_step * inner.count) {
      outer.count *= inner.count;
      outer.to_step = inner.to_step;
      outer.from_step = inner.from_step;
    } else {
      axes[++kept] = inner;
    }
  }
  if (!axes.empty()) axes.resize(kept + 1);
}

Result<std::vector<RegionList>> RegionsOf(const Node& node, std::span<const Dims> input_dims,
                                          std::span<const Dims> output_dims,
                                          std::span<const Tensor* const> constants) {
  ASSIGN_OR_RETURN(Lists lists, ListsOf({node, input_dims, output_dims, constants}));
  for (size_t i = 0; i < lists.size(); ++i) {
    std::erase_if(lists[i], [](const Region& region) { return region.num_elements() == 0; });
    if (NumElements(output_dims[i]) == 0) lists[i].clear();
    for (Region& region : lists[i]) Normalize(region);
  }
  return lists;
}

}  // namespace sula
