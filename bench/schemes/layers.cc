#include "layers.h"

#include <algorithm>
#include <span>
#include <tuple>

#include "base/status.h"

namespace sula {
namespace {

// groups of kDepthwise: as many as channels.
constexpr int kDepthwise = -1;

struct Row {
  int in, out, size, kernel_rows = 1, kernel_columns = 1, stride = 1, groups = 1, dilation = 1;
};

constexpr Row kMobileNet1[] = {
    {3, 32, 224, 3, 3, 2}, {32, 32, 112, 3, 3, 1, kDepthwise},
    {32, 64, 112},         {64, 64, 112, 3, 3, 2, kDepthwise},
    {64, 128, 56},         {128, 128, 56, 3, 3, 1, kDepthwise},
    {128, 128, 56},        {128, 128, 56, 3, 3, 2, kDepthwise},
    {128, 256, 28},        {256, 256, 28, 3, 3, 1, kDepthwise},
    {256, 256, 28},        {256, 256, 28, 3, 3, 2, kDepthwise},
    {256, 512, 14},        {512, 512, 14, 3, 3, 1, kDepthwise},
    {512, 512, 14},        {512, 512, 14, 3, 3, 2, kDepthwise},
    {512, 1024, 7},        {1024, 1024, 7, 3, 3, 1, kDepthwise},
    {1024, 1024, 7},
};
constexpr Row kMobileNet2[] = {
    {32, 16, 112},
    {16, 96, 112},
    {96, 96, 112, 3, 3, 2, kDepthwise},
    {96, 24, 56},
    {24, 144, 56},
    {144, 144, 56, 3, 3, 1, kDepthwise},
    {144, 24, 56},
    {144, 144, 56, 3, 3, 2, kDepthwise},
    {144, 32, 28},
    {32, 192, 28},
    {192, 192, 28, 3, 3, 1, kDepthwise},
    {192, 32, 28},
    {192, 64, 14},
    {64, 384, 14},
    {384, 384, 14, 3, 3, 1, kDepthwise},
    {384, 64, 14},
    {384, 96, 14},
    {96, 576, 14},
    {576, 576, 14, 3, 3, 2, kDepthwise},
    {576, 160, 7},
    {160, 960, 7},
    {960, 960, 7, 3, 3, 1, kDepthwise},
    {960, 320, 7},
    {320, 1280, 7},
};
constexpr Row kMobileNet3[] = {
    {3, 16, 224, 3, 3, 2},
    {16, 72, 56},
    {72, 24, 28},
    {24, 88, 28},
    {96, 96, 28, 5, 5, 2, kDepthwise},
    {40, 240, 14},
    {240, 240, 14, 5, 5, 1, kDepthwise},
    {240, 40, 14},
    {120, 48, 14},
    {288, 288, 14, 5, 5, 2, kDepthwise},
    {288, 96, 7},
    {576, 576, 7, 5, 5, 1, kDepthwise},
    {96, 576, 7},
    {576, 1024, 1},
};
constexpr Row kSqueezeNet[] = {
    {3, 64, 224, 3, 3, 2}, {64, 16, 55},        {16, 64, 55},        {16, 64, 55, 3, 3},
    {128, 32, 27},         {32, 128, 27},       {32, 128, 27, 3, 3}, {256, 48, 13},
    {48, 192, 13},         {48, 192, 13, 3, 3}, {384, 64, 13},       {64, 256, 13},
    {64, 256, 13, 3, 3},   {512, 1000, 13},
};
constexpr Row kShuffleNet[] = {
    {3, 24, 224, 3, 3, 2}, {24, 58, 56},
    {58, 58, 28},          {58, 58, 28, 3, 3, 1, kDepthwise},
    {116, 116, 14},        {116, 116, 14, 3, 3, 1, kDepthwise},
    {232, 232, 7},         {232, 232, 7, 3, 3, 1, kDepthwise},
    {464, 1024, 7},
};
constexpr Row kEfficientNet[] = {
    {144, 144, 56, 5, 5, 2, kDepthwise},  {144, 40, 28},  {40, 240, 28},
    {240, 240, 28, 5, 5, 1, kDepthwise},  {240, 80, 14},  {80, 480, 14},
    {480, 480, 14, 5, 5, 1, kDepthwise},  {480, 112, 14}, {112, 672, 14},
    {672, 672, 14, 5, 5, 2, kDepthwise},  {672, 192, 7},  {192, 1152, 7},
    {1152, 1152, 7, 5, 5, 1, kDepthwise}, {1152, 320, 7},
};
constexpr Row kResNet[] = {
    {3, 64, 224, 7, 7, 2},   {64, 64, 56, 3, 3},   {64, 128, 56, 3, 3, 2},
    {64, 128, 56, 1, 1, 2},  {128, 128, 28, 3, 3}, {128, 256, 28, 3, 3, 2},
    {128, 256, 28, 1, 1, 2}, {256, 256, 14, 3, 3}, {256, 512, 14, 3, 3, 2},
    {256, 512, 14, 1, 1, 2}, {512, 512, 7, 3, 3},
};
constexpr Row kResNet50[] = {
    {64, 64, 56},
    {64, 256, 56},
    {256, 64, 56},
    {256, 128, 56},
    {128, 512, 28},
    {512, 128, 28},
    {256, 512, 56, 1, 1, 2},
    {512, 256, 28},
    {256, 1024, 14},
    {1024, 256, 14},
    {512, 1024, 28, 1, 1, 2},
    {1024, 512, 14},
    {512, 2048, 7},
    {2048, 512, 7},
    {1024, 2048, 14, 1, 1, 2},
    {128, 128, 56, 3, 3, 2},
    {256, 256, 28, 3, 3, 2},
    {512, 512, 14, 3, 3, 2},
};
constexpr Row kResNext[] = {
    {128, 128, 56, 3, 3, 1, 32},  {256, 256, 28, 3, 3, 1, 32}, {512, 512, 14, 3, 3, 1, 32},
    {1024, 1024, 7, 3, 3, 1, 32}, {256, 256, 56, 3, 3, 2, 32}, {48, 48, 56, 3, 3, 1, 6},
    {120, 120, 28, 3, 3, 1, 15},  {336, 336, 14, 3, 3, 1, 21},
};
constexpr Row kInception[] = {
    {3, 32, 299, 3, 3, 2},   {32, 32, 149, 3, 3},  {32, 64, 147, 3, 3},  {64, 80, 73},
    {80, 192, 73, 3, 3},     {192, 64, 35},        {192, 48, 35},        {48, 64, 35, 5, 5},
    {64, 96, 35, 3, 3},      {96, 96, 35, 3, 3},   {256, 64, 35},        {288, 384, 35, 3, 3, 2},
    {768, 192, 17},          {768, 128, 17},       {128, 128, 17, 1, 7}, {128, 192, 17, 7, 1},
    {160, 160, 17, 1, 7},    {160, 160, 17, 7, 1}, {192, 192, 17, 1, 7}, {192, 192, 17, 7, 1},
    {192, 320, 17, 3, 3, 2}, {1280, 320, 8},       {1280, 448, 8},       {448, 384, 8, 3, 3},
    {384, 384, 8, 1, 3},     {384, 384, 8, 3, 1},  {2048, 320, 8},       {2048, 192, 8},
};
constexpr Row kVgg[] = {
    {3, 64, 224, 3, 3},    {64, 64, 224, 3, 3},  {64, 128, 112, 3, 3},
    {128, 128, 112, 3, 3}, {128, 256, 56, 3, 3}, {256, 256, 56, 3, 3},
    {256, 512, 28, 3, 3},  {512, 512, 28, 3, 3}, {512, 512, 14, 3, 3},
};
constexpr Row kUnet[] = {
    {3, 32, 256, 3, 3},   {32, 32, 256, 3, 3},  {32, 64, 128, 3, 3},  {64, 64, 128, 3, 3},
    {64, 128, 64, 3, 3},  {128, 128, 64, 3, 3}, {256, 256, 32, 3, 3}, {256, 512, 16, 3, 3},
    {512, 512, 16, 3, 3}, {512, 256, 32, 3, 3}, {256, 128, 64, 3, 3}, {128, 64, 128, 3, 3},
    {64, 32, 256, 3, 3},  {32, 2, 256},
};
constexpr Row kYolo[] = {
    {3, 16, 416, 3, 3},   {16, 32, 208, 3, 3},     {32, 64, 104, 3, 3},   {64, 128, 52, 3, 3},
    {128, 256, 26, 3, 3}, {256, 512, 13, 3, 3},    {512, 1024, 13, 3, 3}, {1024, 256, 13},
    {512, 255, 13},       {384, 256, 26, 3, 3},    {256, 255, 26},        {32, 64, 208, 3, 3, 2},
    {64, 32, 208},        {64, 128, 104, 3, 3, 2}, {128, 64, 104},
};
constexpr Row kStyle[] = {
    {3, 32, 256, 9, 9},   {32, 64, 256, 3, 3, 2}, {64, 128, 128, 3, 3, 2}, {128, 128, 64, 3, 3},
    {128, 64, 128, 3, 3}, {64, 32, 256, 3, 3},    {32, 3, 256, 9, 9},      {1, 64, 224, 5, 5},
    {64, 32, 224, 3, 3},  {64, 64, 224, 3, 3},
};
constexpr Row kGoogleNet[] = {
    {64, 192, 56, 3, 3},  {16, 32, 28, 5, 5},   {96, 128, 28, 3, 3},  {32, 96, 28, 5, 5},
    {128, 192, 28, 3, 3}, {16, 48, 14, 5, 5},   {24, 64, 14, 5, 5},   {112, 224, 14, 3, 3},
    {160, 320, 7, 3, 3},  {48, 128, 7, 5, 5},   {480, 192, 14},       {832, 384, 7},
    {64, 192, 27, 5, 5},  {192, 384, 13, 3, 3}, {384, 256, 13, 3, 3},
};
constexpr Row kDenseNet[] = {
    {128, 32, 56, 3, 3}, {128, 32, 28, 3, 3}, {128, 32, 14, 3, 3}, {128, 32, 7, 3, 3},
    {160, 128, 56},      {320, 128, 28},      {640, 128, 14},      {768, 128, 7},
};
constexpr Row kSegmentation[] = {
    {64, 64, 128, 1, 3},
    {64, 64, 128, 3, 1},
    {128, 128, 64, 1, 3},
    {128, 128, 64, 3, 1},
    {256, 256, 28, 3, 3, 1, 1, 2},
    {512, 256, 28, 3, 3, 1, 1, 6},
    {96, 96, 56, 7, 7, 1, kDepthwise},
    {192, 192, 28, 7, 7, 1, kDepthwise},
    {384, 384, 14, 7, 7, 1, kDepthwise},
    {32, 32, 64, 7, 7},
    {64, 64, 32, 7, 7},
};

void Add(std::string net, std::span<const Row> rows, double scale, int64_t batch,
         std::vector<Layer>& to) {
  for (const Row& r : rows) {
    Layer l;
    l.net = net;
    l.in = r.in, l.out = r.out;
    l.size = std::max<int64_t>(1, static_cast<int64_t>(r.size * scale + 0.5));
    l.kernel_rows = r.kernel_rows, l.kernel_columns = r.kernel_columns;
    l.stride = r.stride, l.dilation = r.dilation;
    l.groups = r.groups == kDepthwise ? r.in : r.groups;
    l.batch = batch;
    const bool known = std::any_of(to.begin(), to.end(),
                                   [&](const Layer& other) { return other.Name() == l.Name(); });
    if (!known) to.push_back(std::move(l));
  }
}

}  // namespace

double Layer::flops() const {
  const int64_t side = (size - 1) / stride + 1;
  return 2.0 * static_cast<double>(batch * side * side * out) *
         static_cast<double>(in / groups * kernel_rows * kernel_columns);
}

std::string Layer::Name() const {
  std::string name = StrCat(kernel_rows, "x", kernel_columns);
  if (stride > 1) name += StrCat(" s", stride);
  if (dilation > 1) name += StrCat(" d", dilation);
  if (groups > 1 && groups == in) {
    name += StrCat(" depthwise ", in);
  } else {
    if (groups > 1) name += StrCat(" g", groups);
    name += StrCat(" ", in, ">", out);
  }
  name += StrCat(" @", size);
  if (batch > 1) name += StrCat(" b", batch);
  return name;
}

std::vector<Layer> NetLayers() {
  std::vector<Layer> r;
  const auto add = [&](const char* net, std::span<const Row> rows,
                       std::initializer_list<std::pair<double, int64_t>> forms) {
    for (const auto& [scale, batch] : forms) Add(net, rows, scale, batch, r);
  };
  // As published; two thirds and 3/2 of that; with a batch.
  add("mobilenet_v1", kMobileNet1, {{1, 1}, {0.714, 1}, {1, 4}});
  add("mobilenet_v2", kMobileNet2, {{1, 1}, {0.714, 1}});
  add("mobilenet_v3", kMobileNet3, {{1, 1}, {1, 4}});
  add("squeezenet", kSqueezeNet, {{1, 1}, {1, 4}});
  add("shufflenet", kShuffleNet, {{1, 1}});
  add("efficientnet", kEfficientNet, {{1, 1}, {1.25, 1}});
  add("resnet", kResNet, {{1, 1}, {0.714, 1}, {1.43, 1}, {1, 4}});
  add("resnet50", kResNet50, {{1, 1}, {1, 4}});
  add("resnext", kResNext, {{1, 1}});
  add("inception", kInception, {{1, 1}});
  add("vgg", kVgg, {{1, 1}, {0.571, 1}});
  add("unet", kUnet, {{1, 1}, {0.5, 1}});
  add("yolo", kYolo, {{1, 1}, {0.769, 1}});
  add("style", kStyle, {{1, 1}});
  add("googlenet", kGoogleNet, {{1, 1}, {1, 4}});
  add("densenet", kDenseNet, {{1, 1}});
  add("segmentation", kSegmentation, {{1, 1}});
  return r;
}

}  // namespace sula
