// Layers that enlarge or shrink images.
#include "ops/resize.h"

#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

// Far beyond any image; keeps products of sizes and factors inside int64_t.
constexpr int64_t kMaxSide = int64_t{1} << 30;

bool CheckSides(LayerImport& n, const Dims& sides) {
  for (int64_t side : sides)
    if (side < 1 || side > kMaxSide)
      n.Fail(InvalidModel("the output's height and width would be ", ToString(sides)));
  return n.ok();
}

Dims Sides(LayerImport& n, ValueId x) {
  return {n.KnownSize(x, 2, "resizing"), n.KnownSize(x, 3, "resizing")};
}

// Bilinear between the centres of the corner pixels.
void EmitBilinear(LayerImport& n, ValueId x, const Dims& sides) {
  ResizeParams p;
  p.mode = ResizeMode::kLinear;
  p.coordinate = CoordinateMode::kAlignCorners;
  p.axes = {2, 3};
  n.Emit(op::kResize, p, {x, kNoValue, kNoValue, n.Constant(sides, "sizes")});
}

// Sizes as DeepLab and PSPNet give them: height and width, or a factor about the centres of the
// corner pixels, after padding, which may be negative only: cropping.
void Interp(LayerImport& n) {
  const InterpParameter& c = n.layer().interp_param();
  ValueId x = n.Bottom();
  n.CheckRank(x, 4, 4);
  if (c.pad_beg() > 0 || c.pad_end() > 0 || c.zoom_factor() < 1 || c.shrink_factor() < 1)
    n.Fail(InvalidModel("pad_beg and pad_end must not be positive, factors must be"));
  if (!n.ok()) return;
  Dims in = Sides(n, x);
  for (int64_t& side : in) side += int64_t{c.pad_beg()} + c.pad_end();
  if (!n.ok() || !CheckSides(n, in)) return;
  if (c.pad_beg() < 0 || c.pad_end() < 0) {
    const int64_t begin = -int64_t{c.pad_beg()};
    x = n.Add(op::kSlice, NoParams{},
              {x, n.Constant({begin, begin}, "begins"),
               n.Constant({begin + in[0], begin + in[1]}, "ends"), n.Constant({2, 3}, "axes")},
              "cropped");
  }
  Dims out = in;
  if (n.num_bottoms() > 1) {
    n.CheckRank(n.Bottom(1), 4, 4);
    if (n.ok()) out = Sides(n, n.Bottom(1));
  } else if (c.has_shrink_factor() || c.has_zoom_factor()) {
    for (int64_t& side : out) {
      side = (side - 1) / c.shrink_factor() + 1;
      side += (side - 1) * (c.zoom_factor() - 1);
    }
  } else {
    out = {c.height(), c.width()};
  }
  if (n.ok() && CheckSides(n, out)) EmitBilinear(n, x, out);
}

// The sizes that the layer's parameters give for a bottom of sizes `in`.
Dims UpsampledSides(const UpsampleParameter& c, const Dims& in) {
  if (c.has_upsample_h() && c.has_upsample_w()) return {c.upsample_h(), c.upsample_w()};
  return {in[0] * (c.has_scale_h() ? c.scale_h() : c.scale()),
          in[1] * (c.has_scale_w() ? c.scale_w() : c.scale())};
}

// With one bottom every pixel is repeated. With two, the second holds the places in the larger
// plane at which the first's pixels are put, all others being 0: SegNet's inverse of max pooling.
void Upsample(LayerImport& n) {
  const UpsampleParameter& c = n.layer().upsample_param();
  const ValueId x = n.Bottom();
  n.CheckRank(x, 4, 4);
  const Dims in = n.ok() ? Sides(n, x) : Dims{0, 0};
  if (!n.ok() || !CheckSides(n, in)) return;
  const Dims out = UpsampledSides(c, in);
  if (!CheckSides(n, out)) return;
  if (n.num_bottoms() == 1) {
    ResizeParams p;
    p.mode = ResizeMode::kNearest;
    p.coordinate = CoordinateMode::kAsymmetric;
    p.nearest = NearestMode::kFloor;
    p.axes = {2, 3};
    return n.Emit(op::kResize, p, {x, kNoValue, kNoValue, n.Constant(out, "sizes")});
  }
  const Shape from = n.Sizes(x);
  if (n.Sizes(n.Bottom(1)) != from)
    return n.Fail(InvalidModel("the mask has shape ", n.Sizes(n.Bottom(1)).ToString(),
                               ", the data have ", from.ToString()));
  if (!from.IsConcrete())
    return n.Fail(Unsupported("Upsample layers with a mask and sizes that are not numbers"));
  const Shape rows = {from[0], from[1], in[0] * in[1]};
  const Shape planes = {from[0], from[1], out[0] * out[1]};
  const ValueId data = n.Reshape(x, rows, "data");
  const ValueId places = n.Reshape(n.Bottom(1), rows, "places");
  const ValueId index = n.Add(op::kCast, CastParams{.to = DType::kInt64}, {places}, "index");
  const ValueId sizes = n.Constant(planes.Concrete(), "planes");
  const ValueId empty = n.Add(op::kConstantOfShape, NoParams{}, {sizes}, "empty");
  const ValueId full =
      n.Add(op::kScatterElements, ScatterParams{.axis = 2}, {empty, index, data}, "full");
  n.EmitReshape(full, {from[0], from[1], out[0], out[1]});
}

constexpr LayerHandler kHandlers[] = {
    {"Interp", Interp, 1, 2},
    {"Upsample", Upsample, 1, 2},
};

}  // namespace

std::span<const LayerHandler> ResizeHandlers() { return kHandlers; }

}  // namespace sula::caffe
