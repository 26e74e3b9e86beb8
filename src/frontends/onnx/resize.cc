// Resampling.
#include "ops/resize.h"

#include <algorithm>

#include "frontends/onnx/node_import.h"

namespace sula::onnx {
namespace {

ResizeMode Mode(NodeImport& n) {
  return n.Choice<ResizeMode>("mode", "nearest",
                              {{"nearest", ResizeMode::kNearest},
                               {"linear", ResizeMode::kLinear},
                               {"bilinear", ResizeMode::kLinear},  // Upsample of opset 1
                               {"cubic", ResizeMode::kCubic}});
}

// A constant without elements, or a value declared with a size of 0, stands for "not given".
ValueId NotEmpty(NodeImport& n, int i) {
  if (!n.HasInput(i)) return kNoValue;
  const auto& shape = n.ShapeOf(n.Input(i));
  bool empty = shape && shape->rank() == 1 && (*shape)[0] == Dim(0);
  return empty ? kNoValue : n.Input(i);
}

// What Upsample and the Resize of opset 10 do: output position / scale, rounded down.
ResizeParams Plain(NodeImport& n) {
  ResizeParams p;
  p.mode = Mode(n);
  p.coordinate = CoordinateMode::kAsymmetric;
  p.nearest = NearestMode::kFloor;
  return p;
}

void Upsample(NodeImport& n) {
  ResizeParams p = Plain(n);
  ValueId scales = n.Input(1);
  if (n.opset() < 7) {
    scales = n.Constant(
        Tensor::From<float>({4}, {1, 1, n.Float("height_scale", 1), n.Float("width_scale", 1)}),
        "scales");
  } else if (n.opset() < 9) {
    std::vector<float> s = n.Floats("scales");
    scales = n.Constant(
        Tensor::From<float>({static_cast<int64_t>(s.size())}, std::span<const float>(s)), "scales");
  }
  if (scales == kNoValue) return n.Fail(InvalidModel("input 1 ('scales') is missing"));
  n.Emit(op::kResize, p, {n.Input(0), kNoValue, scales});
}

// Opset 10: nearest rounds down where it enlarges, and up where it shrinks. Axes are independent,
// so that a mixture is one step of each.
void Resize10(NodeImport& n) {
  ResizeParams p = Plain(n);
  ValueId x = n.Input(0);
  if (!n.HasInput(1)) return n.Fail(InvalidModel("input 1 ('scales') is missing"));
  if (p.mode != ResizeMode::kNearest) return n.Emit(op::kResize, p, {x, kNoValue, n.Input(1)});
  std::optional<Tensor> scales = n.Known(n.Input(1));
  if (!scales || scales->dtype() != DType::kFloat32)
    return n.Fail(Unsupported("operator Resize of opset 10 (nearest) with computed scales"));
  std::span<const float> all = scales->data<float>();
  std::vector<float> up(all.begin(), all.end()), down(all.begin(), all.end());
  for (float& s : up) s = std::max(s, 1.0f);
  for (float& s : down) s = std::min(s, 1.0f);
  auto constant = [&](const std::vector<float>& s, std::string_view suffix) {
    return n.Constant(Tensor::From<float>(scales->dims(), std::span<const float>(s)), suffix);
  };
  auto is_one = [](float s) { return s == 1; };
  bool enlarges = !std::all_of(up.begin(), up.end(), is_one);
  bool shrinks = !std::all_of(down.begin(), down.end(), is_one);
  ResizeParams ceil = p;
  ceil.nearest = NearestMode::kCeil;
  if (!shrinks) return n.Emit(op::kResize, p, {x, kNoValue, n.Input(1)});
  if (enlarges) x = n.Add(op::kResize, p, {x, kNoValue, constant(up, "scales_up")}, "enlarged");
  n.Emit(op::kResize, ceil, {x, kNoValue, constant(down, "scales_down")});
}

void Resize(NodeImport& n) {
  if (n.opset() < 11) return Resize10(n);
  ResizeParams p;
  p.mode = Mode(n);
  p.nearest = n.Choice<NearestMode>("nearest_mode", "round_prefer_floor",
                                    {{"round_prefer_floor", NearestMode::kRoundPreferFloor},
                                     {"round_prefer_ceil", NearestMode::kRoundPreferCeil},
                                     {"floor", NearestMode::kFloor},
                                     {"ceil", NearestMode::kCeil}});
  std::string coordinate = n.String("coordinate_transformation_mode", "half_pixel");
  if (coordinate == "tf_half_pixel_for_nn") {
    // Opset 11 and 12: (x + 1/2) / scale. Rounded down, that is half_pixel, (x + 1/2) / scale -
    // 1/2, rounded to the nearest with ties up.
    if (p.mode != ResizeMode::kNearest || p.nearest != NearestMode::kFloor)
      return n.Fail(
          Unsupported("operator Resize with tf_half_pixel_for_nn, mode other than nearest "
                      "and floor"));
    p.nearest = NearestMode::kRoundPreferCeil;
  } else {
    p.coordinate =
        n.Choice<CoordinateMode>("coordinate_transformation_mode", "half_pixel",
                                 {{"half_pixel", CoordinateMode::kHalfPixel},
                                  {"half_pixel_symmetric", CoordinateMode::kHalfPixelSymmetric},
                                  {"pytorch_half_pixel", CoordinateMode::kPytorchHalfPixel},
                                  {"align_corners", CoordinateMode::kAlignCorners},
                                  {"asymmetric", CoordinateMode::kAsymmetric},
                                  {"tf_crop_and_resize", CoordinateMode::kTfCropAndResize}});
  }
  p.policy = n.Choice<AspectPolicy>("keep_aspect_ratio_policy", "stretch",
                                    {{"stretch", AspectPolicy::kStretch},
                                     {"not_larger", AspectPolicy::kNotLarger},
                                     {"not_smaller", AspectPolicy::kNotSmaller}});
  p.cubic_a = n.Float("cubic_coeff_a", -0.75f);
  p.exclude_outside = n.Flag("exclude_outside", false);
  p.antialias = n.Flag("antialias", false);
  p.extrapolation = n.Float("extrapolation_value", 0);
  p.axes = n.Ints("axes");
  // The region is given by habit where nothing reads it.
  ValueId roi = p.coordinate == CoordinateMode::kTfCropAndResize ? NotEmpty(n, 1) : kNoValue;
  ValueId scales = NotEmpty(n, 2), sizes = NotEmpty(n, 3);
  if ((scales == kNoValue) == (sizes == kNoValue))
    return n.Fail(InvalidModel("exactly one of scales and sizes must be given"));
  n.Emit(op::kResize, p, {n.Input(0), roi, scales, sizes});
}

void GridSample(NodeImport& n) {
  GridSampleParams p;
  p.mode = n.Choice<ResizeMode>("mode", "linear",
                                {{"linear", ResizeMode::kLinear},
                                 {"bilinear", ResizeMode::kLinear},  // so called up to opset 19
                                 {"nearest", ResizeMode::kNearest},
                                 {"cubic", ResizeMode::kCubic},
                                 {"bicubic", ResizeMode::kCubic}});
  p.padding = n.Choice<GridPadding>("padding_mode", "zeros",
                                    {{"zeros", GridPadding::kZeros},
                                     {"border", GridPadding::kBorder},
                                     {"reflection", GridPadding::kReflection}});
  p.align_corners = n.Flag("align_corners", false);
  n.Emit(op::kGridSample, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"GridSample", GridSample, 2, 2},
    {"Resize", Resize, 1, 4},
    {"Upsample", Upsample, 1, 2},
};

}  // namespace

std::span<const OpHandler> ResizeHandlers() { return kHandlers; }

}  // namespace sula::onnx
