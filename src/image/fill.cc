// From pictures to the elements of an input.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/half.h"
#include "image/geometry.h"
#include "image/spec.h"
#include "tensor/placement.h"

namespace sula {
namespace {

// Which axis of an input is what; -1: a size that is left open.
struct Axes {
  bool batched = true, channel_first = true;
  int64_t count = 1, height = -1, width = -1;
};

bool TakesPixels(DType type) {
  return type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kUInt8 ||
         type == DType::kInt8;
}

// `what` names the input in errors.
Result<Axes> AxesOf(const ImageInput& spec, DType type, const Dims& dims, std::string_view what) {
  if (!TakesPixels(type))
    return InvalidArgument(what, " does not take a picture: pictures become float32, float16, ",
                           "uint8 or int8");
  if (spec.type && *spec.type != type)
    return InvalidArgument(
        what, " is not of the type that the picture settings say (type=", Name(*spec.type), ")");
  if (dims.size() != 3 && dims.size() != 4)
    return InvalidArgument(what, " does not take a picture: it has not three or four axes");
  Axes axes{.batched = dims.size() == 4};
  const size_t at = axes.batched ? 1 : 0;
  if (axes.batched) axes.count = dims[0];
  const int64_t first = dims[at], last = dims[at + 2], channels = ChannelsOf(spec);
  if (spec.layout) {
    axes.channel_first = *spec.layout == ImageLayout::kNchw;
  } else if (first == channels || last == channels) {
    axes.channel_first = first == channels;
  } else if (first < 0 || last < 0) {
    return InvalidArgument("cannot tell which axis of ", what,
                           " holds the channels: add layout=nchw or layout=nhwc to the picture "
                           "settings");
  }
  const int64_t have = axes.channel_first ? first : last;
  if (have >= 0 && have != channels)
    return InvalidArgument(what, " has no axis of ", channels, " channel", channels == 1 ? "" : "s",
                           " in its place; the picture settings say order=",
                           channels == 1                    ? "gray"
                           : spec.order == ImageOrder::kBgr ? "bgr"
                                                            : "rgb",
                           spec.layout ? axes.channel_first ? " layout=nchw" : " layout=nhwc" : "");
  axes.height = axes.channel_first ? dims[at + 1] : dims[at];
  axes.width = axes.channel_first ? dims[at + 2] : dims[at + 1];
  return axes;
}

std::string Describe(const ValueInfo& input) {
  return StrCat("input '", input.name, "' (", input.type, ")");
}

Status CheckCut(const ImageInput& spec, int64_t width, int64_t height) {
  if (spec.fit != ImageFit::kCrop || spec.shorter == 0 ||
      (width <= spec.shorter && height <= spec.shorter))
    return {};
  return InvalidArgument("picture settings: fit=crop(", spec.shorter, ") leaves too little to cut ",
                         width, "x", height, " from; the shorter side must be at least as long");
}

// ---- one picture into one rectangle

// The picture's pixels in the input's channels and size, in the order red, green, blue.
Result<Image> Fit(const ImageInput& spec, const Image& image, const Placement& a, int64_t width,
                  int64_t height) {
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  const Image converted = ChannelsOf(spec) == 1 ? ToGray(image) : ToRgb(image);
  ASSIGN_OR_RETURN(Image sized, Resize(converted, static_cast<int>(std::min(a.width, kMost)),
                                       static_cast<int>(std::min(a.height, kMost)), spec.resize));
  if (sized.width == width && sized.height == height) return sized;
  return Crop(sized, static_cast<int>(a.left), static_cast<int>(a.top), static_cast<int>(width),
              static_cast<int>(height), spec.fill);
}

template <class T>
T Element(double v) {
  if constexpr (std::is_integral_v<T>) {
    constexpr double kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
    return static_cast<T>(std::nearbyint(std::clamp(v, kLow, kHigh)));
  } else {
    return T(static_cast<float>(v));
  }
}

// Every level of every channel is computed once, in double.
template <class T>
void Write(const Image& image, const ImageInput& spec, bool channel_first, T* dst) {
  const size_t channels = static_cast<size_t>(image.channels);
  const size_t count = size_t{1} * image.width * image.height;
  for (size_t c = 0; c < channels; ++c) {
    const double mean = spec.mean[spec.mean.size() == 1 ? 0 : c];
    const double std = spec.std[spec.std.size() == 1 ? 0 : c];
    T level[256];
    for (int p = 0; p < 256; ++p) level[p] = Element<T>((p * spec.scale - mean) / std);
    const uint8_t* src = image.pixels.data() + (spec.order == ImageOrder::kBgr ? 2 - c : c);
    T* to = channel_first ? dst + c * count : dst + c;
    const size_t step = channel_first ? 1 : channels;
    for (size_t i = 0; i < count; ++i) to[i * step] = level[src[i * channels]];
  }
}

}  // namespace

Status CheckSpec(const ImageInput& spec) {
  const size_t channels = static_cast<size_t>(ChannelsOf(spec));
  auto fits = [&](const std::vector<double>& values) {
    return values.size() == 1 || values.size() == channels;
  };
  auto finite = [](const std::vector<double>& values, bool zero) {
    return std::all_of(values.begin(), values.end(),
                       [&](double v) { return std::isfinite(v) && (zero || v != 0); });
  };
  if (!fits(spec.mean) || !finite(spec.mean, true))
    return InvalidArgument("picture settings: mean needs one number or one for each of ", channels,
                           " channels, not ", spec.mean.size());
  if (!fits(spec.std) || !finite(spec.std, false))
    return InvalidArgument("picture settings: std needs one number or one for each of ", channels,
                           " channels, none of them 0, not ", spec.std.size());
  if (!std::isfinite(spec.scale) || spec.scale == 0)
    return InvalidArgument("picture settings: scale must be a number other than 0");
  auto side = [](int v) { return v >= 0 && v <= kMaxImageSide; };
  if (!side(spec.width) || !side(spec.height) || !side(spec.shorter) ||
      (spec.width == 0) != (spec.height == 0))
    return InvalidArgument("picture settings: a size of ", spec.width, "x", spec.height,
                           " and a shorter side of ", spec.shorter, "; sides are 1 to ",
                           kMaxImageSide);
  if (spec.type && !TakesPixels(*spec.type))
    return InvalidArgument("picture settings: pictures don't become ", Name(*spec.type));
  return CheckCut(spec, spec.width, spec.height);
}

Result<ImageInput> DefaultImageInput(const ValueInfo& input) {
  ImageInput spec;
  const Dims& d = input.dims;
  const bool ranked = d.size() == 3 || d.size() == 4;
  const int64_t first = ranked ? d[d.size() - 3] : 0, last = ranked ? d.back() : 0;
  if (first == 1 || (first != 3 && last == 1)) spec.order = ImageOrder::kGray;
  if (input.dtype == DType::kFloat32 || input.dtype == DType::kFloat16) spec.scale = 1.0 / 255;
  if (input.dtype == DType::kInt8) spec.mean = {128};
  ASSIGN_OR_RETURN(Axes axes, AxesOf(spec, input.dtype, d, Describe(input)));
  if (axes.height < 0 || axes.width < 0) spec.fit = ImageFit::kNone;
  return spec;
}

Result<ImageInput> ChooseImageInput(std::string_view text, const ValueInfo& input,
                                    const std::optional<ImageInput>& base) {
  ImageInput start;
  if (base) {
    start = *base;
  } else if (Result<ImageInput> guess = DefaultImageInput(input); guess) {
    start = std::move(guess).value();
  }
  return ParseImageInput(text, start);
}

Status CheckImageInput(const ImageInput& spec, const ValueInfo& input) {
  RETURN_IF_ERROR(CheckSpec(spec));
  ASSIGN_OR_RETURN(Axes axes, AxesOf(spec, input.dtype, input.dims, Describe(input)));
  if (spec.fit == ImageFit::kNone) return {};
  const bool sized = spec.width > 0;
  if (sized && ((axes.width >= 0 && axes.width != spec.width) ||
                (axes.height >= 0 && axes.height != spec.height)))
    return InvalidArgument(Describe(input),
                           " has another size than the picture settings say: ", "size=", spec.width,
                           "x", spec.height);
  if (!sized && (axes.width < 0 || axes.height < 0))
    return InvalidArgument(Describe(input),
                           " leaves its width or height open: add size=WIDTHxHEIGHT to the picture "
                           "settings, or fit=none for the picture's own");
  return CheckCut(spec, sized ? spec.width : axes.width, sized ? spec.height : axes.height);
}

Result<ImageLayout> ImageInputLayout(const ImageInput& spec, const ValueInfo& input) {
  RETURN_IF_ERROR(CheckImageInput(spec, input));
  ASSIGN_OR_RETURN(Axes axes, AxesOf(spec, input.dtype, input.dims, Describe(input)));
  return axes.channel_first ? ImageLayout::kNchw : ImageLayout::kNhwc;
}

Result<Dims> ImageInputDims(const ImageInput& spec, const ValueInfo& input,
                            std::span<const Image> images) {
  RETURN_IF_ERROR(CheckSpec(spec));
  ASSIGN_OR_RETURN(Axes axes, AxesOf(spec, input.dtype, input.dims, Describe(input)));
  const int64_t count = static_cast<int64_t>(images.size());
  if (count == 0) return InvalidArgument(Describe(input), ": no picture given");
  if (axes.count >= 0 && axes.count != count)
    return InvalidArgument(Describe(input), " takes ", axes.count, " picture",
                           axes.count == 1 ? "" : "s", " at a time, not ", count);
  int64_t width = spec.width > 0 ? spec.width : axes.width;
  int64_t height = spec.height > 0 ? spec.height : axes.height;
  if (spec.fit == ImageFit::kNone) {
    width = images[0].width;
    height = images[0].height;
  } else if (width < 0 || height < 0) {
    return InvalidArgument(Describe(input),
                           " leaves its width or height open: add size=WIDTHxHEIGHT to the picture "
                           "settings, or fit=none for the picture's own");
  }
  const int64_t channels = ChannelsOf(spec);
  Dims dims = axes.channel_first ? Dims{channels, height, width} : Dims{height, width, channels};
  if (axes.batched) dims.insert(dims.begin(), count);
  return dims;
}

Result<std::vector<ImageMap>> FillInput(std::span<const Image> images, const ImageInput& spec,
                                        DType dtype, const Dims& dims, void* data) {
  RETURN_IF_ERROR(CheckSpec(spec));
  const std::string what = StrCat("an input of ", Name(dtype), ToString(dims));
  ASSIGN_OR_RETURN(Axes axes, AxesOf(spec, dtype, dims, what));
  if (axes.count != static_cast<int64_t>(images.size()))
    return InvalidArgument(what, " takes ", axes.count, " pictures, not ", images.size());
  const int64_t width = axes.width, height = axes.height;
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide)
    return InvalidArgument(what, " does not take a picture: sides must be 1 to ", kMaxImageSide);
  if (spec.fit != ImageFit::kNone && spec.width > 0 &&
      (spec.width != width || spec.height != height))
    return InvalidArgument(what,
                           " has another size than the picture settings say: size=", spec.width,
                           "x", spec.height);
  RETURN_IF_ERROR(CheckCut(spec, width, height));
  const size_t bytes =
      static_cast<size_t>(width * height) * static_cast<size_t>(ChannelsOf(spec)) * SizeOf(dtype);
  std::vector<ImageMap> maps;
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    RETURN_IF_ERROR(CheckImage(image));
    if (spec.fit == ImageFit::kNone && (image.width != width || image.height != height))
      return InvalidArgument("a picture of ", image.width, "x", image.height,
                             " pixels does not fit ", what, ": choose another fit= in the picture ",
                             "settings");
    const Placement a =
        PlacePicture(spec.fit, spec.shorter, spec.anchor, image.width, image.height, width, height);
    ASSIGN_OR_RETURN(Image ready, Fit(spec, image, a, width, height));
    void* to = static_cast<std::byte*>(data) + i * bytes;
    switch (dtype) {
      case DType::kFloat32: Write(ready, spec, axes.channel_first, static_cast<float*>(to)); break;
      case DType::kFloat16: Write(ready, spec, axes.channel_first, static_cast<Half*>(to)); break;
      case DType::kUInt8: Write(ready, spec, axes.channel_first, static_cast<uint8_t*>(to)); break;
      default: Write(ready, spec, axes.channel_first, static_cast<int8_t*>(to)); break;
    }
    maps.push_back({static_cast<double>(a.width) / image.width,
                    static_cast<double>(a.height) / image.height, static_cast<double>(-a.left),
                    static_cast<double>(-a.top)});
  }
  return maps;
}

}  // namespace sula
