// Layers that move elements, or give them another shape.
#include "ops/movement.h"

#include <algorithm>
#include <numeric>

#include "frontends/caffe/inputs.h"
#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

void Concat(LayerImport& n) {
  const ConcatParameter& c = n.layer().concat_param();
  if (c.has_axis() && c.has_concat_dim())
    return n.Fail(InvalidModel("both axis and concat_dim are given"));
  const int axis = n.Axis(c.has_concat_dim() ? static_cast<int64_t>(c.concat_dim()) : c.axis(),
                          n.Rank(n.Bottom()));
  if (n.ok()) n.Emit(op::kConcat, ConcatParams{.axis = axis}, n.bottoms());
}

// Parts that begin at the slice points, or of equal size.
void Slice(LayerImport& n) {
  const SliceParameter& c = n.layer().slice_param();
  const ValueId x = n.Bottom();
  if (c.has_axis() && c.has_slice_dim())
    return n.Fail(InvalidModel("both axis and slice_dim are given"));
  const int axis =
      n.Axis(c.has_slice_dim() ? static_cast<int64_t>(c.slice_dim()) : c.axis(), n.Rank(x));
  const int64_t size = n.KnownSize(x, axis, "the sliced axis");
  if (!n.ok()) return;
  std::vector<int64_t> parts(n.num_tops(), size / n.num_tops());
  if (c.slice_point_size() > 0) {
    if (c.slice_point_size() != n.num_tops() - 1)
      return n.Fail(InvalidModel(c.slice_point_size(), " slice points for ", n.num_tops(),
                                 " tops; one less is needed"));
    int64_t begin = 0;
    for (int i = 0; i < n.num_tops(); ++i) {
      const int64_t end = i < c.slice_point_size() ? c.slice_point(i) : size;
      parts[i] = end - begin;
      if (parts[i] < 1)
        return n.Fail(InvalidModel("slice points have to rise and to lie between 0 and the size ",
                                   size, " of axis ", axis));
      begin = end;
    }
  } else if (size % n.num_tops() != 0) {
    return n.Fail(
        InvalidModel("axis ", axis, " of size ", size, " has no ", n.num_tops(), " equal parts"));
  }
  if (n.num_tops() == 1) return n.EmitValue(x);
  n.EmitAll(op::kSplit, SplitParams{.axis = axis}, {x, n.Constant(parts, "parts")});
}

// The axes from `axis` to `end_axis`, both included, become one.
void Flatten(LayerImport& n) {
  const FlattenParameter& c = n.layer().flatten_param();
  const Shape from = n.Sizes(n.Bottom());
  const int begin = n.Axis(c.axis(), from.rank()), end = n.Axis(c.end_axis(), from.rank());
  if (!n.ok()) return;
  if (begin == 1 && end == from.rank() - 1)
    return n.Emit(op::kFlatten, FlattenParams{.axis = 1}, {n.Bottom()});
  std::vector<Dim> to(from.begin(), from.begin() + begin);
  Dim merged = 1;
  for (int i = begin; i <= end; ++i) merged = merged * from[i];
  to.push_back(merged);
  if (begin <= end) to.insert(to.end(), from.begin() + end + 1, from.end());
  if (begin > end)
    return n.Fail(InvalidModel("axis ", c.axis(), " lies behind end_axis ", c.end_axis()));
  n.EmitReshape(n.Bottom(), Shape(std::move(to)));
}

// Replaces `num_axes` axes from `axis` on by the given sizes, where 0 copies the size of the axis
// in this place and -1 is what is left.
void Reshape(LayerImport& n) {
  const ReshapeParameter& c = n.layer().reshape_param();
  const Shape from = n.Sizes(n.Bottom());
  // One behind the last axis is allowed: sizes are then appended.
  const int64_t begin = c.axis() < 0 ? c.axis() + from.rank() + 1 : c.axis();
  const int64_t end = c.num_axes() < 0 ? from.rank() : begin + c.num_axes();
  if (begin < 0 || begin > from.rank() || c.num_axes() < -1 || end > from.rank())
    return n.Fail(InvalidModel("axis ", c.axis(), " and num_axes ", c.num_axes(),
                               " lie outside of the bottom's shape ", from.ToString()));
  std::vector<Dim> to(from.begin(), from.begin() + begin);
  std::optional<size_t> open;
  Dim known = 1, total = 1;
  for (int64_t i = begin; i < end; ++i) total = total * from[static_cast<int>(i)];
  for (int64_t d : c.shape().dim()) {
    if (d < -1 || (d == -1 && open))
      return n.Fail(InvalidModel("a size is negative, or more than one is -1"));
    if (d == 0 && static_cast<int>(to.size()) >= from.rank())
      return n.Fail(InvalidModel("size ", to.size() - begin, " is 0, but the bottom's shape ",
                                 from.ToString(), " has no such axis"));
    if (d == -1) open = to.size();
    to.push_back(d == 0 ? from[static_cast<int>(to.size())] : Dim(d));
    if (d != -1) known = known * to.back();
  }
  if (open) {
    const auto elements = total.TryValue(), others = known.TryValue();
    if (elements && others && (*others < 1 || *elements % *others != 0))
      return n.Fail(InvalidModel(*elements, " elements of the bottom's shape ", from.ToString(),
                                 " don't divide by ", *others));
    to[*open] = FloorDiv(total, known);
  }
  to.insert(to.end(), from.begin() + end, from.end());
  n.EmitReshape(n.Bottom(), Shape(std::move(to)));
}

// Axes that the order does not name follow in their own order.
void Permute(LayerImport& n) {
  TransposeParams p;
  const auto& order = n.layer().permute_param().order();
  p.perm.assign(order.begin(), order.end());
  for (int64_t axis = 0; axis < n.Rank(n.Bottom()); ++axis)
    if (std::find(p.perm.begin(), p.perm.end(), axis) == p.perm.end()) p.perm.push_back(axis);
  n.Emit(op::kTranspose, p, {n.Bottom()});
}

// The part of bottom 0 that has the sizes of bottom 1 along the axes from `axis` on, and begins at
// the offsets: none, one for all axes, or one each.
void Crop(LayerImport& n) {
  const CropParameter& c = n.layer().crop_param();
  const Shape from = n.Sizes(n.Bottom(0)), like = n.Sizes(n.Bottom(1));
  const int axis = n.Axis(c.axis(), from.rank());
  if (!n.ok()) return;
  const int count = from.rank() - axis;
  if (like.rank() != from.rank() || (c.offset_size() > 1 && c.offset_size() != count))
    return n.Fail(InvalidModel("bottoms of shapes ", from.ToString(), " and ", like.ToString(),
                               " with ", c.offset_size(), " offsets from axis ", axis, " on"));
  std::vector<int64_t> begins(count), ends(count), axes(count);
  for (int i = 0; i < count; ++i) {
    const int64_t offset = c.offset_size() == 0 ? 0 : c.offset(c.offset_size() == 1 ? 0 : i);
    const int64_t size = n.KnownSize(n.Bottom(1), axis + i, "cropping");
    const int64_t whole = n.KnownSize(n.Bottom(0), axis + i, "cropping");
    if (!n.ok()) return;
    if (offset + size > whole)
      return n.Fail(InvalidModel("cropping ", from.ToString(), " to ", like.ToString(),
                                 " from axis ", axis, " on with offset ", offset,
                                 " leaves the input"));
    begins[i] = offset;
    ends[i] = offset + size;
    axes[i] = axis + i;
  }
  n.Emit(op::kSlice, NoParams{},
         {n.Bottom(0), n.Constant(begins, "begins"), n.Constant(ends, "ends"),
          n.Constant(axes, "axes")});
}

void Tile(LayerImport& n) {
  const TileParameter& c = n.layer().tile_param();
  const int axis = n.Axis(c.axis(), n.Rank(n.Bottom()));
  if (!n.ok()) return;
  if (c.tiles() < 1) return n.Fail(InvalidModel("tiles is ", c.tiles()));
  std::vector<int64_t> repeats(n.Rank(n.Bottom()), 1);
  repeats[axis] = c.tiles();
  n.Emit(op::kTile, NoParams{}, {n.Bottom(), n.Constant(repeats, "repeats")});
}

// Channels as [group, channels / group] are written as [channels / group, group].
void ShuffleChannel(LayerImport& n) {
  const ValueId x = n.Bottom();
  const int64_t group = n.layer().shuffle_channel_param().group();
  n.CheckRank(x, 4, 4);
  const int64_t channels = n.ok() ? n.KnownSize(x, 1, "groups of channels") : 0;
  if (!n.ok()) return;
  if (group < 1 || channels % group != 0)
    return n.Fail(
        InvalidModel("group is ", group, ", which does not divide ", channels, " channels"));
  const Shape from = n.Sizes(x);
  const Shape split = {from[0], group, channels / group, from[2] * from[3]};
  const ValueId grouped = n.Reshape(x, split, "grouped");
  const ValueId moved =
      n.Add(op::kTranspose, TransposeParams{.perm = {0, 2, 1, 3}}, {grouped}, "shuffled");
  if (from.IsConcrete()) return n.EmitReshape(moved, from);
  const ValueId shape = n.Add(op::kShape, ShapeParams{}, {x}, "shape");
  n.Emit(op::kReshape, ReshapeParams{}, {moved, shape});
}

// YOLO's reorganisation of stride x stride pixels into channels, in the order that its authors'
// code gives: that of a [C, H, W] read as [C * H / stride^2, stride, W, stride].
// Source: Redmon and Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, and its darknet.
void Reorg(LayerImport& n) {
  const ReorgParameter& c = n.layer().reorg_param();
  const ValueId x = n.Bottom();
  const int64_t s = c.stride();
  n.CheckRank(x, 4, 4);
  if (c.reverse()) return n.Fail(Unsupported("Reorg layers with reverse: true"));
  if (!n.ok()) return;
  const int64_t channels = n.KnownSize(x, 1, "the order of pixels"),
                height = n.KnownSize(x, 2, "the order of pixels"),
                width = n.KnownSize(x, 3, "the order of pixels");
  if (!n.ok()) return;
  if (s < 1 || s > 1 << 15 || height % s != 0 || width % s != 0 || channels * height % (s * s) != 0)
    return n.Fail(
        InvalidModel("stride ", s, " does not divide the bottom's shape ", n.Sizes(x).ToString()));
  const Dim batch = n.Sizes(x)[0];
  const ValueId split = n.Reshape(x, {batch, channels * height / (s * s), s, width, s}, "split");
  const ValueId moved =
      n.Add(op::kTranspose, TransposeParams{.perm = {0, 2, 4, 1, 3}}, {split}, "moved");
  n.EmitReshape(moved, {batch, channels * s * s, height / s, width / s});
}

// A blob that was learned, as it is.
void Parameter(LayerImport& n) {
  const auto& dim = n.layer().parameter_param().shape().dim();
  n.EmitValue(n.Weights(0, Dims(dim.begin(), dim.end()), "value"));
}

// Constants; random ones are inputs.
void DummyData(LayerImport& n) {
  const DummyDataParameter& c = n.layer().dummy_data_param();
  Result<std::vector<InputBlob>> tops = InputsOf(n.layer());
  if (!tops) return n.Fail(tops.error());
  const int fillers = c.data_filler_size();
  if (fillers != 1 && fillers != n.num_tops())
    return n.Fail(InvalidModel(fillers, " fillers for ", n.num_tops(), " tops"));
  for (int i = 0; n.ok() && i < n.num_tops(); ++i) {
    const auto& shape = (*tops)[i].shape;
    if (!shape) return n.Fail(InvalidModel("top ", i, " has no shape"));
    const ValueId value =
        n.Constant(Tensor::From<float>({1}, {c.data_filler(fillers == 1 ? 0 : i).value()}),
                   StrCat("value", i));
    const ValueId sizes = n.Constant(shape->Concrete(), StrCat("shape", i));
    n.Emit(op::kConstantOfShape, NoParams{}, {sizes, value}, i);
  }
}

constexpr LayerHandler kHandlers[] = {
    {"Concat", Concat, 1, kAny},
    {"Crop", Crop, 2, 2},
    {"DummyData", DummyData, 0, 0, 1, kAny},
    {"Flatten", Flatten},
    {"Parameter", Parameter, 0, 0, 1, 1, true},
    {"Permute", Permute},
    {"Reorg", Reorg},
    {"Reshape", Reshape},
    {"ShuffleChannel", ShuffleChannel},
    {"Slice", Slice, 1, 1, 1, kAny},
    {"Tile", Tile},
};

}  // namespace

std::span<const LayerHandler> MovementHandlers() { return kHandlers; }

}  // namespace sula::caffe
