#include "ops/pixels.h"

#include <algorithm>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr int64_t kMaxChannels = 4;
constexpr int64_t kMaxPictureSide = int64_t{1} << 16;  // of x

int64_t InChannels(const FromPixelsParams& p) {
  return std::ssize(p.mix) / std::max<int64_t>(std::ssize(p.shift), 1);
}

// One form of message for all of them, which keeps their code small.
Status Wrong(std::string_view what, int64_t is, std::string_view expected, int64_t limit) {
  return InvalidModel(what, is, ", expected ", expected, limit);
}

// What no picture makes right.
Status CheckParams(const FromPixelsParams& p) {
  const int64_t outs = std::ssize(p.shift), ins = InChannels(p);
  if (outs < 1 || outs > kMaxChannels)
    return Wrong("the number of shifts is ", outs, "one for each channel of y, from 1 to ",
                 kMaxChannels);
  if (ins < 1 || ins > kMaxChannels || std::ssize(p.mix) != outs * ins)
    return Wrong("the number of elements of mix is ", std::ssize(p.mix),
                 "the channels of x, from 1 to 4, for each channel of y, of which there are ",
                 outs);
  if (!p.fill.empty() && std::ssize(p.fill) != ins)
    return Wrong("the number of levels of fill is ", std::ssize(p.fill),
                 "one for each channel of x, of which there are ", ins);
  const bool own = p.fit == ImageFit::kNone;
  const int64_t least = own ? 0 : 1, most = own ? 0 : kMaxImageSide;
  for (const auto& [side, name] : {std::pair(p.height, "height is "), {p.width, "width is "}})
    if (side < least || side > most)
      return Wrong(name, side, own ? "with fit none " : "1 to ", most);
  if (p.shorter < 0 || p.shorter > (p.fit == ImageFit::kCrop ? kMaxImageSide : 0))
    return Wrong("shorter is ", p.shorter, "0, or with fit crop at most ", kMaxImageSide);
  const int64_t longest = std::max(p.height, p.width);
  if (p.shorter != 0 && std::min(p.height, p.width) > p.shorter)
    return Wrong("shorter is ", p.shorter, "enough to cut y from, whose longer side is ", longest);
  return {};
}

// What this picture, of sizes that may be symbolic, does not fit.
Status CheckPicture(const FromPixelsParams& p, const Shape& x) {
  RETURN_IF_ERROR(CheckParams(p));
  if (x.rank() != 4) return Wrong("the number of axes of x is ", x.rank(), "", 4);
  const int64_t ins = InChannels(p);
  if (!MayEqual(x[3], Dim(ins)))
    return Wrong("the picture's channels, its last axis, are ", x[3].value(), "", ins);
  const int64_t least = p.fit == ImageFit::kNone ? 0 : 1;
  for (int axis : {1, 2}) {
    const int64_t side = x[axis].TryValue().value_or(least);
    if (side < least || side > kMaxPictureSide)
      return Wrong("a side of the picture is ", side, least == 0 ? "0 to " : "1 to ",
                   kMaxPictureSide);
  }
  return {};
}

Status Infer(InferContext& ctx) {
  const auto& p = ctx.params<FromPixelsParams>();
  RETURN_IF_ERROR(CheckParams(p));
  ctx.SetOutput(0, {DType::kFloat32, std::nullopt});
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  RETURN_IF_ERROR(CheckPicture(p, x));
  const bool own = p.fit == ImageFit::kNone;
  ctx.SetOutput(0,
                {DType::kFloat32, Shape({x[0], Dim(std::ssize(p.shift)), own ? x[1] : Dim(p.height),
                                         own ? x[2] : Dim(p.width)})});
  return {};
}

ResizeParams FilterParams(PixelFilter filter) {
  ResizeParams p;
  switch (filter) {
    case PixelFilter::kNearest: p.nearest = NearestMode::kRoundPreferCeil; break;
    case PixelFilter::kNearestFloor:
      p.coordinate = CoordinateMode::kAsymmetric;
      p.nearest = NearestMode::kFloor;
      break;
    case PixelFilter::kLinear: p.mode = ResizeMode::kLinear; break;
    case PixelFilter::kLinearAntialias:
      p.mode = ResizeMode::kLinear;
      p.antialias = p.exclude_outside = true;
      break;
    case PixelFilter::kCubicAntialias:
      p.mode = ResizeMode::kCubic;
      p.cubic_a = -0.5f;
      p.antialias = p.exclude_outside = true;
      break;
  }
  return p;
}

// `in` pixels made `size` ones, of which [first, first + count) are wanted.
ResizeTaps Taps(PixelFilter filter, int64_t in, int64_t size, int64_t first, int64_t count) {
  // As many as before: no filter, whatever it would do.
  const ResizeParams p = FilterParams(in == size ? PixelFilter::kNearestFloor : filter);
  const ResizeAxis axis{.in = in,
                        .out = size,
                        .scale = static_cast<double>(size) / static_cast<double>(in),
                        .width = static_cast<double>(size)};
  return MakeResizeTaps(p, axis, first, count);
}

Status Evaluate(EvalContext& ctx) {
  const auto& p = ctx.params<FromPixelsParams>();
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));  // refuses shapes that don't fit
  if (y->num_elements() == 0) return {};
  ASSIGN_OR_RETURN(const PixelPlan plan, PlanPixels(p, x.dims()));
  const int64_t line = plan.in_width * plan.in_channels;
  const uint8_t* pixels = x.data<uint8_t>().data();
  float* out = y->mutable_data<float>().data();
  std::vector<double> row(line);
  for (int64_t n = 0; n < plan.batch; ++n, pixels += plan.in_height * line) {
    for (int64_t i = 0; i < plan.height; ++i) {
      std::fill(row.begin(), row.end(), 0.0);
      for (int64_t t = plan.rows.begin[i]; t < plan.rows.begin[i + 1]; ++t)
        for (int64_t k = 0; k < line; ++k)
          row[k] += plan.rows.weight[t] * pixels[plan.rows.index[t] * line + k];
      for (int64_t j = 0; j < plan.width; ++j) {
        const int64_t begin = plan.columns.begin[j], end = plan.columns.begin[j + 1];
        const bool beyond = begin == end || plan.rows.begin[i] == plan.rows.begin[i + 1];
        double pixel[kMaxChannels] = {};
        for (int64_t t = begin; t < end; ++t)
          for (int64_t c = 0; c < plan.in_channels; ++c)
            pixel[c] += plan.columns.weight[t] * row[plan.columns.index[t] * plan.in_channels + c];
        for (int64_t o = 0; o < plan.channels; ++o) {
          double sum = p.shift[o];
          for (int64_t c = 0; c < plan.in_channels; ++c)
            sum += double{p.mix[o * plan.in_channels + c]} * pixel[c];
          out[((n * plan.channels + o) * plan.height + i) * plan.width + j] =
              beyond ? plan.beyond[o] : static_cast<float>(sum);
        }
      }
    }
  }
  return {};
}

Cost CostOfPixels(const Node& node, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  // Four pixels each, then the mix.
  const auto channels = static_cast<double>(InChannels(node.As<FromPixelsParams>()));
  return Traffic(inputs, outputs, Elements(outputs[0]) * 2 * (4 + channels));
}

constexpr Field kFields[] = {
    MakeField<&FromPixelsParams::height>("height", "of y; 0 with fit none: the picture's"),
    MakeField<&FromPixelsParams::width>("width", "of y; 0 with fit none: the picture's"),
    MakeField<&FromPixelsParams::fit>(
        "fit",
        "stretch: to the size of y; crop: to cover it, then cut; letterbox: to fit into it; none"),
    MakeField<&FromPixelsParams::shorter>(
        "shorter", "with crop: what the shorter side becomes first; 0: as small as covers y"),
    MakeField<&FromPixelsParams::anchor>("anchor", "where crop cuts and letterbox puts"),
    MakeField<&FromPixelsParams::filter>("filter", "how the picture is resampled"),
    MakeField<&FromPixelsParams::fill>(
        "fill", "levels beyond the picture, one per channel of x; default zeros"),
    MakeField<&FromPixelsParams::mix>("mix", "[channels of y][channels of x]"),
    MakeField<&FromPixelsParams::shift>("shift", "[channels of y]"),
};
constexpr Port kInputs[] = {{"x", "[N, height, width, channels]", Bit(DType::kUInt8)}};
constexpr Port kOutputs[] = {{"y", "[N, channels, height, width]", Bit(DType::kFloat32)}};

}  // namespace

Result<PixelPlan> PlanPixels(const FromPixelsParams& p, const Dims& x) {
  RETURN_IF_ERROR(CheckPicture(p, Shape::Of(x)));
  PixelPlan plan{.batch = x[0], .in_height = x[1], .in_width = x[2], .in_channels = x[3]};
  plan.channels = std::ssize(p.shift);
  const bool own = p.fit == ImageFit::kNone;
  plan.height = own ? x[1] : p.height;
  plan.width = own ? x[2] : p.width;
  const Placement a = PlacePicture(p.fit, p.shorter, p.anchor, x[2], x[1], plan.width, plan.height);
  plan.rows = Taps(p.filter, x[1], a.height, a.top, plan.height);
  plan.columns = Taps(p.filter, x[2], a.width, a.left, plan.width);
  for (int64_t o = 0; o < plan.channels; ++o) {
    double sum = p.shift[o];
    for (int64_t c = 0; c < plan.in_channels && !p.fill.empty(); ++c)
      sum += double{p.mix[o * plan.in_channels + c]} * p.fill[c];
    plan.beyond.push_back(static_cast<float>(sum));
  }
  return plan;
}

namespace op {

constinit const OpDef kFromPixels = {
    .name = "FromPixels",
    .summary =
        "A picture of 8 bits a channel as the input of a network, resampled to r without rounding: "
        "y[n, o, i, j] = shift[o] + sum over c of mix[o, c] * r[n, i, j, c].",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<FromPixelsParams>,
    .build_params = BuildParams<FromPixelsParams>,
    .infer = Infer,
    .evaluate = Evaluate,
    .cost = CostOfPixels,
};

}  // namespace op
}  // namespace sula
