#include "api/convert/preprocess.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "api/convert/pictures.h"
#include "api/graph_facts.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/pixels.h"
#include "sula/image.h"

namespace sula {
namespace {

// Which channel of a picture holds what; -1: none.
struct PixelOrder {
  std::string_view name;
  int channels, red, green, blue;
};
constexpr PixelOrder kOrders[] = {
    {"rgb", 3, 0, 1, 2},  {"bgr", 3, 2, 1, 0},  {"rgba", 4, 0, 1, 2},
    {"bgra", 4, 2, 1, 0}, {"gray", 1, 0, 0, 0},
};
constexpr double kLuma[] = {0.299, 0.587, 0.114};  // of red, green, blue (ITU-R BT.601)

struct Settings {
  PixelOrder from = kOrders[0];
  int64_t width = 0, height = 0;  // of the pictures; 0: any
  std::string rest;               // what sula/image.h reads
};

bool ParseSide(std::string_view text, int64_t& side) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), side);
  return error == std::errc() && end == text.data() + text.size() && side >= 1 &&
         side <= kMaxImageSide;
}

Status ParseOwnField(std::string_view word, Settings& s) {
  const std::string_view name = word.substr(0, word.find('='));
  const std::string_view value = word.substr(name.size() + 1);
  if (name == "from") {
    const auto* found = std::find_if(std::begin(kOrders), std::end(kOrders),
                                     [&](const PixelOrder& o) { return o.name == value; });
    if (found == std::end(kOrders))
      return InvalidArgument("picture settings: from=", value.substr(0, 200),
                             " is not right: want rgb, bgr, rgba, bgra or gray");
    s.from = *found;
    return {};
  }
  const size_t x = value.find('x');
  if (x == std::string_view::npos || !ParseSide(value.substr(0, x), s.width) ||
      !ParseSide(value.substr(x + 1), s.height))
    return InvalidArgument("picture settings: picture=", value.substr(0, 200),
                           " is not right: want WIDTHxHEIGHT, such as 640x480, sides of 1 to ",
                           kMaxImageSide);
  return {};
}

Result<Settings> ParseSettings(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  Settings s;
  bool seen_from = false, seen_picture = false;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.empty()) return s;
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    text.remove_prefix(word.size());
    const bool from = word.starts_with("from="), picture = word.starts_with("picture=");
    if (!from && !picture) {
      s.rest += StrCat(s.rest.empty() ? "" : " ", word);
      continue;
    }
    bool& seen = from ? seen_from : seen_picture;
    if (seen)
      return InvalidArgument("picture settings: ", from ? "from" : "picture", " is given twice");
    seen = true;
    RETURN_IF_ERROR(ParseOwnField(word, s));
  }
}

Result<PixelFilter> FilterOf(ResizeKind kind) {
  switch (kind) {
    case ResizeKind::kNearestPil: return PixelFilter::kNearest;
    case ResizeKind::kNearestOpenCv: return PixelFilter::kNearestFloor;
    case ResizeKind::kBilinearOpenCv: return PixelFilter::kLinear;
    case ResizeKind::kBilinearPil: return PixelFilter::kLinearAntialias;
    case ResizeKind::kBicubicPil: return PixelFilter::kCubicAntialias;
    case ResizeKind::kBoxPil:
    case ResizeKind::kLanczosPil:
    case ResizeKind::kAreaOpenCv: break;
  }
  return Unsupported(
      "this way to resize cannot become part of a model: choose resize=nearest-pil, bilinear-pil, "
      "bicubic-pil, nearest-opencv or bilinear-opencv, or resize before and store the settings "
      "for that (convert --image)");
}

// What the node does, but for its size.
Result<FromPixelsParams> ParamsOf(const ImageInput& spec, const PixelOrder& from) {
  FromPixelsParams p;
  p.fit = spec.fit;
  if (spec.fit == ImageFit::kCrop) p.shorter = spec.shorter;
  p.anchor = spec.anchor;
  if (spec.fit != ImageFit::kNone) {
    ASSIGN_OR_RETURN(p.filter, FilterOf(spec.resize));
  }
  const int sources[] = {from.red, from.green, from.blue};
  if (spec.fit == ImageFit::kLetterbox) {
    std::vector<double> fill(from.channels, 0.0);
    for (int i = 0; i < 3; ++i)
      fill[sources[i]] += from.channels == 1 ? spec.fill[i] / 3.0 : spec.fill[i];
    p.fill.assign(fill.begin(), fill.end());
  }
  const int channels = spec.order == ImageOrder::kGray ? 1 : 3;
  for (int o = 0; o < channels; ++o) {
    const double std = spec.std[spec.std.size() == 1 ? 0 : o];
    const double mean = spec.mean[spec.mean.size() == 1 ? 0 : o];
    std::vector<double> mix(from.channels, 0.0);
    if (spec.order == ImageOrder::kGray) {
      for (int i = 0; i < 3; ++i) mix[sources[i]] += kLuma[i];
    } else {
      mix[sources[spec.order == ImageOrder::kBgr ? 2 - o : o]] = 1;
    }
    for (double m : mix) p.mix.push_back(static_cast<float>(m * spec.scale / std));
    p.shift.push_back(static_cast<float>(-mean / std));
  }
  return p;
}

// The settings for whoever fills the input from now on.
void StoreRemaining(const std::string& name, const ImageInput& spec, const Settings& s,
                    Graph& graph) {
  const std::string key = StrCat(kImageMetadataPrefix, name);
  if (s.from.channels == 4) {  // which files decoded by ReadImage don't have
    graph.metadata.erase(key);
    return;
  }
  ImageInput rest;
  rest.resize = spec.resize;
  rest.fit = s.width > 0 ? ImageFit::kStretch : ImageFit::kNone;
  rest.order = s.from.channels == 1 ? ImageOrder::kGray
               : s.from.red == 2    ? ImageOrder::kBgr
                                    : ImageOrder::kRgb;
  rest.layout = ImageLayout::kNhwc;
  rest.type = DType::kUInt8;
  graph.metadata[key] = ToString(rest);
}

Status InsertFor(const std::string& given, const std::string& text, Graph& graph) {
  ASSIGN_OR_RETURN(const std::string name, PictureInputName(given, graph));
  ASSIGN_OR_RETURN(const Settings settings, ParseSettings(text));
  const ValueId input = *graph.FindValue(name);
  const TensorType type = graph.value(input).type;
  const ValueInfo info = DescribeValue(graph.value(input));
  const ModelInfo carried{.metadata = graph.metadata};
  ASSIGN_OR_RETURN(const std::optional<ImageInput> base, StoredImageInput(carried, name));
  ASSIGN_OR_RETURN(const ImageInput spec, ChooseImageInput(settings.rest, info, base));
  ASSIGN_OR_RETURN(const ImageLayout layout, ImageInputLayout(spec, info));
  if (!IsFloat(type.dtype) || info.dims.size() != 4)
    return InvalidArgument("input '", name, "' (", info.type,
                           ") cannot take pre-processing: it must be of floats and have four axes");
  const bool planar = layout == ImageLayout::kNchw;
  const Shape& shape = *type.shape;
  const Dim &rows = shape[planar ? 2 : 1], &columns = shape[planar ? 3 : 2];
  ASSIGN_OR_RETURN(FromPixelsParams p, ParamsOf(spec, settings.from));
  Shape picture({shape[0], Dim(settings.height), Dim(settings.width), Dim(settings.from.channels)});
  if (spec.fit == ImageFit::kNone) {
    if (settings.width > 0)
      return InvalidArgument(
          "picture settings: picture= has no meaning with fit=none, which takes "
          "pictures of the size of input '",
          name, "' (", info.type, ")");
    picture[1] = rows, picture[2] = columns;
  } else {
    p.width = spec.width > 0 ? spec.width : columns.value();
    p.height = spec.height > 0 ? spec.height : rows.value();
    if (settings.width == 0) {
      picture[1] = Dim::Symbol(StrCat(name, "_height"));
      picture[2] = Dim::Symbol(StrCat(name, "_width"));
    }
  }

  const auto add = [&](const OpDef& op, Params params, ValueId from, std::string_view suffix) {
    return graph.node(graph.AddNode(op, std::move(params), {from}, 1, StrCat(name, "/", suffix)))
        .outputs[0];
  };
  const ValueId first = add(op::kFromPixels, Params::Of(std::move(p)), input, "pixels");
  ValueId last = first;
  if (!planar)
    last = add(op::kTranspose, Params::Of(TransposeParams{{0, 2, 3, 1}}), last, "channel_last");
  if (type.dtype != DType::kFloat32)
    last = add(op::kCast, Params::Of(CastParams{type.dtype}), last, "cast");
  const NodeId node = graph.value(first).producer;
  graph.ReplaceUses(input, last);
  graph.node(node).inputs[0] = input;
  graph.value(input).type = {DType::kUInt8, std::move(picture)};
  StoreRemaining(name, spec, settings, graph);
  return {};
}

}  // namespace

Status InsertPreprocessing(const ConvertOptions& options, Graph& graph) {
  if (options.preprocess.empty()) return {};
  for (const auto& [name, text] : options.preprocess) RETURN_IF_ERROR(InsertFor(name, text, graph));
  return InferShapes(graph).AddContext("with pre-processing as part of the model");
}

}  // namespace sula
