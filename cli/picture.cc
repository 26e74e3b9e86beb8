#include "picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_MAX_DIMENSIONS 16384
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace sula::cli {
namespace {

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

// For each output position along one axis: where its inputs begin, and their weights.
struct Taps {
  int first = 0;
  std::vector<float> weights;  // sum 1
};

std::vector<Taps> TriangleFilter(int from, int to) {
  double step = static_cast<double>(from) / to;
  double radius = std::max(step, 1.0);
  std::vector<Taps> taps(to);
  for (int i = 0; i < to; ++i) {
    double centre = (i + 0.5) * step;
    int first = std::max(0, static_cast<int>(std::floor(centre - radius)));
    int last = std::min(from - 1, static_cast<int>(std::ceil(centre + radius)));
    double sum = 0;
    std::vector<double> weights;
    for (int k = first; k <= last; ++k) {
      double w = std::max(0.0, 1 - std::abs(k + 0.5 - centre) / radius);
      weights.push_back(w);
      sum += w;
    }
    taps[i].first = first;
    for (double w : weights) taps[i].weights.push_back(static_cast<float>(w / sum));
  }
  return taps;
}

// Which axes of the input are what.
struct Placement {
  bool channel_first = true, batch = true;
  int channels = 3;
  int64_t height = -1, width = -1;  // -1: any
};

Result<Placement> Place(const ValueInfo& input, const PictureOptions& options) {
  const std::vector<int64_t>& d = input.dims;
  if (!input.ranked || (d.size() != 4 && d.size() != 3))
    return Invalid(fmt::format("input '{}' ({}) does not take a picture: give an .npy file",
                               input.name, input.type));
  Placement p;
  p.batch = d.size() == 4;
  size_t at = p.batch ? 1 : 0;
  int64_t first = d[at], last = d[at + 2];
  auto plausible = [](int64_t c) { return c == 1 || c == 3; };
  if (options.layout.empty()) {
    if (!plausible(first) && !plausible(last))
      return Invalid(
          fmt::format("cannot tell which axis of input '{}' ({}) holds the channels: give --layout",
                      input.name, input.type));
    p.channel_first = plausible(first);
  } else {
    p.channel_first = options.layout == "nchw";
  }
  int64_t channels = p.channel_first ? first : last;
  bool gray = options.channels == ChannelOrder::kGray;
  if (channels < 0) channels = gray ? 1 : 3;
  if (!plausible(channels) || (options.channels && gray != (channels == 1)))
    return Invalid(fmt::format("input '{}' ({}) takes {} channel{}", input.name, input.type,
                               channels, channels == 1 ? "" : "s, not what --channels says"));
  p.channels = static_cast<int>(channels);
  p.height = p.channel_first ? d[at + 1] : d[at];
  p.width = p.channel_first ? d[at + 2] : d[at + 1];
  return p;
}

Result<std::vector<double>> PerChannel(const std::vector<double>& values, double fallback,
                                       int channels, std::string_view option) {
  if (values.empty()) return std::vector<double>(channels, fallback);
  if (values.size() == 1) return std::vector<double>(channels, values[0]);
  if (static_cast<int>(values.size()) != channels)
    return Invalid(
        fmt::format("{} has {} numbers for {} channels", option, values.size(), channels));
  return values;
}

}  // namespace

bool LooksLikePicture(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  char start[8] = {};
  in.read(start, sizeof(start));
  std::string_view head(start, static_cast<size_t>(in.gcount()));
  return head.starts_with("\x89PNG") || head.starts_with("\xff\xd8\xff") || head.starts_with("BM");
}

Result<Picture> ReadPicture(const std::string& path, int channels) {
  Picture p{.channels = channels};
  int stored = 0;
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load(path.c_str(), &p.width, &p.height, &stored, channels), stbi_image_free);
  if (!pixels)
    return Status(Code::kInvalidModel,
                  fmt::format("cannot read the picture '{}': {}", path, stbi_failure_reason()));
  p.pixels.assign(pixels.get(), pixels.get() + size_t{1} * p.width * p.height * channels);
  return p;
}

Picture Resize(const Picture& picture, int width, int height) {
  if (picture.width == width && picture.height == height) return picture;
  const int c = picture.channels;
  std::vector<Taps> columns = TriangleFilter(picture.width, width);
  std::vector<Taps> rows = TriangleFilter(picture.height, height);
  std::vector<float> narrow(size_t{1} * picture.height * width * c);
  for (int y = 0; y < picture.height; ++y) {
    const uint8_t* src = &picture.pixels[size_t{1} * y * picture.width * c];
    for (int x = 0; x < width; ++x) {
      float* dst = &narrow[(size_t{1} * y * width + x) * c];
      for (size_t k = 0; k < columns[x].weights.size(); ++k)
        for (int i = 0; i < c; ++i)
          dst[i] += columns[x].weights[k] * src[(columns[x].first + k) * c + i];
    }
  }
  Picture out{.width = width, .height = height, .channels = c, .pixels = {}};
  out.pixels.resize(size_t{1} * width * height * c);
  const size_t line = size_t{1} * width * c;
  std::vector<float> sum(line);
  for (int y = 0; y < height; ++y) {
    std::fill(sum.begin(), sum.end(), 0.5f);
    for (size_t k = 0; k < rows[y].weights.size(); ++k) {
      const float* src = &narrow[(rows[y].first + k) * line];
      for (size_t i = 0; i < line; ++i) sum[i] += rows[y].weights[k] * src[i];
    }
    for (size_t i = 0; i < line; ++i)
      out.pixels[y * line + i] = static_cast<uint8_t>(std::clamp(sum[i], 0.0f, 255.0f));
  }
  return out;
}

Result<Array> PictureInput(const std::string& path, const ValueInfo& input,
                           const PictureOptions& options) {
  if (input.dtype != DType::kFloat32 && input.dtype != DType::kUInt8)
    return Invalid(fmt::format("input '{}' ({}) does not take a picture: give an .npy file",
                               input.name, input.type));
  Result<Placement> place = Place(input, options);
  if (!place) return place.error();
  const int c = place->channels;
  Result<Picture> picture = ReadPicture(path, c);
  if (!picture) return picture.error();
  int width = picture->width, height = picture->height;
  if (options.size) {
    width = (*options.size)[0], height = (*options.size)[1];
  } else if (!options.keep_size) {
    if (place->width > 0) width = static_cast<int>(std::min<int64_t>(place->width, 1 << 15));
    if (place->height > 0) height = static_cast<int>(std::min<int64_t>(place->height, 1 << 15));
  }
  Picture sized = Resize(*picture, width, height);

  Result<std::vector<double>> mean = PerChannel(options.mean, 0, c, "--mean");
  if (!mean) return mean.error();
  Result<std::vector<double>> std = PerChannel(options.std, 1, c, "--std");
  if (!std) return std.error();
  bool floating = input.dtype == DType::kFloat32;
  double scale = options.scale != 0 ? options.scale : floating ? 1.0 / 255 : 1.0;

  Dims dims = place->channel_first ? Dims{c, height, width} : Dims{height, width, c};
  if (place->batch) dims.insert(dims.begin(), 1);
  Array array = Array::Make(input.dtype, dims);
  if (!array.data) return Status(Code::kResourceExhausted, "no memory for the picture");
  const size_t count = size_t{1} * width * height;
  for (int i = 0; i < c; ++i) {
    int from = options.channels == ChannelOrder::kBgr ? c - 1 - i : i;
    for (size_t pixel = 0; pixel < count; ++pixel) {
      double v = (sized.pixels[pixel * c + from] * scale - (*mean)[i]) / (*std)[i];
      size_t to = place->channel_first ? i * count + pixel : pixel * c + i;
      if (floating) {
        array.as<float>()[to] = static_cast<float>(v);
      } else {
        array.as<uint8_t>()[to] = static_cast<uint8_t>(std::clamp(v + 0.5, 0.0, 255.0));
      }
    }
  }
  return array;
}

}  // namespace sula::cli
