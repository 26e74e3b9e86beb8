// ImageInput as one line of text, and the named settings.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "base/status.h"
#include "image/spec.h"

namespace sula {
namespace {

template <class T>
struct Named {
  std::string_view name;
  T value;
};

constexpr Named<ResizeKind> kResizeKinds[] = {
    {"nearest-pil", ResizeKind::kNearestPil},
    {"box-pil", ResizeKind::kBoxPil},
    {"bilinear-pil", ResizeKind::kBilinearPil},
    {"bicubic-pil", ResizeKind::kBicubicPil},
    {"lanczos-pil", ResizeKind::kLanczosPil},
    {"nearest-opencv", ResizeKind::kNearestOpenCv},
    {"bilinear-opencv", ResizeKind::kBilinearOpenCv},
    {"area-opencv", ResizeKind::kAreaOpenCv},
};
constexpr Named<ImageAnchor> kAnchors[] = {{"center", ImageAnchor::kCenter},
                                           {"top-left", ImageAnchor::kTopLeft}};
constexpr Named<ImageOrder> kOrders[] = {
    {"rgb", ImageOrder::kRgb}, {"bgr", ImageOrder::kBgr}, {"gray", ImageOrder::kGray}};
constexpr Named<ImageLayout> kLayouts[] = {{"nchw", ImageLayout::kNchw},
                                           {"nhwc", ImageLayout::kNhwc}};
constexpr Named<DType> kTypes[] = {{"float32", DType::kFloat32},
                                   {"float16", DType::kFloat16},
                                   {"uint8", DType::kUInt8},
                                   {"int8", DType::kInt8}};

template <class T, size_t N>
std::optional<T> Find(const Named<T> (&names)[N], std::string_view name) {
  for (const Named<T>& n : names)
    if (n.name == name) return n.value;
  return std::nullopt;
}

template <class T, size_t N>
std::string_view NameOf(const Named<T> (&names)[N], T value) {
  for (const Named<T>& n : names)
    if (n.value == value) return n.name;
  return "?";
}

template <class T, size_t N, class To>
bool Set(const Named<T> (&names)[N], std::string_view text, To& to) {
  std::optional<T> value = Find(names, text);
  if (value) to = *value;
  return value.has_value();
}

template <class T>
bool Number(std::string_view text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// "0.5" or "1/255"
bool Ratio(std::string_view text, double& value) {
  double a = 0, b = 1;
  const size_t slash = text.find('/');
  if (!Number(text.substr(0, slash), a)) return false;
  if (slash != std::string_view::npos && !Number(text.substr(slash + 1), b)) return false;
  value = a / b;
  return std::isfinite(value);
}

// Numbers with commas between: at least one, at most `most`.
template <class T>
bool Numbers(std::string_view text, size_t most, std::vector<T>& values) {
  values.clear();
  for (;;) {
    const size_t comma = text.find(',');
    T v{};
    if (!Number(text.substr(0, comma), v) || values.size() == most) return false;
    values.push_back(v);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

bool Reals(std::string_view text, std::vector<double>& values) {
  if (!Numbers(text, 3, values)) return false;
  for (double v : values)
    if (!std::isfinite(v)) return false;
  return true;
}

bool ParseSize(std::string_view text, ImageInput& spec) {
  const size_t x = text.find('x');
  int width = 0, height = 0;
  if (x == std::string_view::npos || !Number(text.substr(0, x), width) ||
      !Number(text.substr(x + 1), height))
    return false;
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide) return false;
  spec.width = width;
  spec.height = height;
  return true;
}

// "crop", "crop(256)", "letterbox(114,114,114)", ...
bool ParseFit(std::string_view text, ImageInput& spec) {
  std::string_view name = text.substr(0, text.find('('));
  std::vector<int> numbers;
  if (name.size() < text.size()) {
    std::string_view inner = text.substr(name.size() + 1);
    if (!inner.ends_with(')') || !Numbers(inner.substr(0, inner.size() - 1), 3, numbers))
      return false;
  }
  spec.shorter = 0;
  spec.fill = ImageInput().fill;
  if (name == "crop" && numbers.size() <= 1) {
    spec.fit = ImageFit::kCrop;
    if (numbers.empty()) return true;
    spec.shorter = numbers[0];
    return spec.shorter >= 1 && spec.shorter <= kMaxImageSide;
  }
  if (name == "letterbox" && (numbers.empty() || numbers.size() == 3)) {
    spec.fit = ImageFit::kLetterbox;
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i] < 0 || numbers[i] > 255) return false;
      spec.fill[i] = static_cast<uint8_t>(numbers[i]);
    }
    return true;
  }
  if (!numbers.empty() || (name != "stretch" && name != "none")) return false;
  spec.fit = name == "none" ? ImageFit::kNone : ImageFit::kStretch;
  return true;
}

struct SpecField {
  std::string_view name, form;
  bool (*parse)(std::string_view text, ImageInput& spec);
};

constexpr SpecField kFields[] = {
    {"resize",
     "one of nearest-pil, box-pil, bilinear-pil, bicubic-pil, lanczos-pil, nearest-opencv, "
     "bilinear-opencv, area-opencv",
     [](std::string_view t, ImageInput& s) { return Set(kResizeKinds, t, s.resize); }},
    {"size", "WIDTHxHEIGHT, such as 224x224, sides of 1 to 32768", ParseSize},
    {"fit", "stretch, crop, crop(SHORTER SIDE), letterbox, letterbox(R,G,B) or none", ParseFit},
    {"anchor", "center or top-left",
     [](std::string_view t, ImageInput& s) { return Set(kAnchors, t, s.anchor); }},
    {"order", "rgb, bgr or gray",
     [](std::string_view t, ImageInput& s) { return Set(kOrders, t, s.order); }},
    {"scale", "a number other than 0, or a ratio such as 1/255",
     [](std::string_view t, ImageInput& s) { return Ratio(t, s.scale) && s.scale != 0; }},
    {"mean", "one number, or one per channel such as 0.485,0.456,0.406",
     [](std::string_view t, ImageInput& s) { return Reals(t, s.mean); }},
    {"std", "one number other than 0, or one per channel such as 0.229,0.224,0.225",
     [](std::string_view t, ImageInput& s) {
       return Reals(t, s.std) && std::count(s.std.begin(), s.std.end(), 0.0) == 0;
     }},
    {"layout", "nchw or nhwc",
     [](std::string_view t, ImageInput& s) { return Set(kLayouts, t, s.layout); }},
    {"type", "float32, float16, uint8 or int8",
     [](std::string_view t, ImageInput& s) { return Set(kTypes, t, s.type); }},
};

constexpr ImagePreset kPresets[] = {
    {"raw", "resize=bilinear-pil fit=stretch order=rgb scale=1", "RGB, 0 to 255"},
    {"unit", "resize=bilinear-pil fit=stretch order=rgb scale=1/255", "RGB, 0 to 1"},
    {"imagenet",
     "resize=bilinear-pil fit=crop(256) order=rgb scale=1/255 mean=0.485,0.456,0.406 "
     "std=0.229,0.224,0.225",
     "torchvision's classifiers, also in the ONNX model zoo"},
    {"caffe", "resize=bilinear-opencv fit=stretch order=bgr scale=1 mean=104,117,123",
     "Caffe's ImageNet networks: BGR less the mean colour"},
    {"tf", "resize=bilinear-opencv fit=stretch order=rgb scale=1/127.5 mean=1",
     "TensorFlow's MobileNet and Inception: RGB, -1 to 1"},
    {"yolo", "resize=bilinear-opencv fit=letterbox(114,114,114) order=rgb scale=1/255",
     "YOLO v5 and later: the whole picture on grey, 0 to 1"},
};

bool IsSet(uint32_t fields, std::string_view name) {
  for (size_t i = 0; i < std::size(kFields); ++i)
    if (kFields[i].name == name) return fields >> i & 1;
  return false;
}

// `seen` gets a bit for each of kFields that the text sets itself.
Status ParseFields(std::string_view text, ImageInput& spec, uint32_t& seen) {
  constexpr std::string_view kBlanks = " \t\r\n";
  seen = 0;
  bool first = true;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.empty()) return {};
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    text.remove_prefix(word.size());
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      const ImagePreset* preset =
          std::find_if(std::begin(kPresets), std::end(kPresets),
                       [&](const ImagePreset& p) { return p.name == word; });
      if (preset == std::end(kPresets) || !first) {
        std::string known;
        for (const ImagePreset& p : kPresets) known += StrCat(known.empty() ? "" : ", ", p.name);
        return InvalidArgument("picture settings: '", word.substr(0, 200),
                               "' is neither FIELD=VALUE nor, as the first word, one of ", known);
      }
      spec = {};
      uint32_t of_preset;
      RETURN_IF_ERROR(ParseFields(preset->text, spec, of_preset));
    } else {
      const SpecField* field =
          std::find_if(std::begin(kFields), std::end(kFields),
                       [&](const SpecField& f) { return f.name == word.substr(0, equals); });
      if (field == std::end(kFields)) {
        std::string known;
        for (const SpecField& f : kFields) known += StrCat(known.empty() ? "" : ", ", f.name);
        return InvalidArgument("picture settings: no field '",
                               word.substr(0, equals).substr(0, 200), "'; there are ", known);
      }
      const uint32_t bit = 1u << (field - kFields);
      if (seen & bit) return InvalidArgument("picture settings: ", field->name, " is given twice");
      seen |= bit;
      const std::string_view value = word.substr(equals + 1);
      if (!field->parse(value, spec))
        return InvalidArgument("picture settings: ", field->name, "=", value.substr(0, 200),
                               " is not right: want ", field->form);
    }
    first = false;
  }
}

std::string Shortest(double v) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), v).ptr};
}

std::string List(const std::vector<double>& values) {
  std::string text;
  for (double v : values) text += (text.empty() ? "" : ",") + Shortest(v);
  return text;
}

// "1/255" where that is what was meant.
std::string RatioText(double v) {
  const double inverse = std::round(2 / v) / 2;
  if (inverse >= 1.5 && inverse < 1e6 && 1 / inverse == v) return "1/" + Shortest(inverse);
  return Shortest(v);
}

std::string FitText(const ImageInput& spec) {
  switch (spec.fit) {
    case ImageFit::kStretch: return "stretch";
    case ImageFit::kCrop: return spec.shorter > 0 ? StrCat("crop(", spec.shorter, ")") : "crop";
    case ImageFit::kLetterbox:
      return StrCat("letterbox(", int{spec.fill[0]}, ",", int{spec.fill[1]}, ",", int{spec.fill[2]},
                    ")");
    case ImageFit::kNone: break;
  }
  return "none";
}

}  // namespace

Result<ImageInput> ParseImageInput(std::string_view text, const ImageInput& base) {
  ImageInput spec = base;
  uint32_t seen;
  RETURN_IF_ERROR(ParseFields(text, spec, seen));
  if (spec.fit == ImageFit::kNone && IsSet(seen, "size") && !IsSet(seen, "fit"))
    spec.fit = ImageFit::kStretch;
  RETURN_IF_ERROR(CheckSpec(spec));
  return spec;
}

std::string ToString(const ImageInput& spec) {
  std::string text = StrCat("resize=", NameOf(kResizeKinds, spec.resize));
  if (spec.width > 0) text += StrCat(" size=", spec.width, "x", spec.height);
  text += " fit=" + FitText(spec);
  if (spec.anchor != ImageAnchor::kCenter)
    text += StrCat(" anchor=", NameOf(kAnchors, spec.anchor));
  text += StrCat(" order=", NameOf(kOrders, spec.order), " scale=", RatioText(spec.scale));
  if (spec.mean != std::vector<double>{0}) text += " mean=" + List(spec.mean);
  if (spec.std != std::vector<double>{1}) text += " std=" + List(spec.std);
  if (spec.layout) text += StrCat(" layout=", NameOf(kLayouts, *spec.layout));
  if (spec.type) text += StrCat(" type=", NameOf(kTypes, *spec.type));
  return text;
}

bool IsImageField(std::string_view name) {
  return std::any_of(std::begin(kFields), std::end(kFields),
                     [&](const SpecField& f) { return f.name == name; });
}

std::span<const ImagePreset> ImagePresets() { return kPresets; }

}  // namespace sula
