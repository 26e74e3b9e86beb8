// Convolution, also transposed, over one to three spatial axes.
#include "ops/conv.h"

#include <optional>

#include "frontends/caffe/layer_import.h"

namespace sula::caffe {
namespace {

using List = google::protobuf::RepeatedField<uint32_t>;
using Number = std::optional<int64_t>;  // of a field that may be missing

// One number for each spatial axis: from `list`, which has one for all axes or one for each, or
// for two axes from the fields of height and width; `otherwise` where neither is given.
std::vector<int64_t> PerAxis(LayerImport& n, std::string_view what, const List& list, Number height,
                             Number width, Number otherwise, int spatial) {
  if (height || width) {
    if (!list.empty()) n.Fail(InvalidModel(what, " is given both as list and as _h and _w"));
    if (spatial != 2)
      n.Fail(InvalidModel(what, "_h and ", what, "_w need two spatial axes, there are ", spatial));
    if (!otherwise && !(height && width))
      n.Fail(InvalidModel(what, "_h and ", what, "_w have to be given both"));
    return {height.value_or(otherwise.value_or(1)), width.value_or(otherwise.value_or(1))};
  }
  if (list.size() == spatial) return {list.begin(), list.end()};
  if (list.size() > 1)
    n.Fail(InvalidModel(what, " has ", list.size(), " values for ", spatial, " spatial axes"));
  if (list.empty() && !otherwise) n.Fail(InvalidModel(what, " is missing"));
  return std::vector<int64_t>(spatial, list.empty() ? otherwise.value_or(1) : list[0]);
}

// The window of a convolution over x, for ConvParams or ConvTransposeParams; returns the kernel.
template <class P>
std::vector<int64_t> ReadWindow(LayerImport& n, ValueId x, P& p) {
  const ConvolutionParameter& c = n.layer().convolution_param();
  n.CheckRank(x, 3, 5);
  if (n.ok() && n.Axis(c.axis(), n.Rank(x)) != 1)
    n.Fail(Unsupported(n.type(), " layers with channels on axis ", c.axis()));
  if (!n.ok()) return {};
  const int spatial = n.Rank(x) - 2;
  auto number = [](bool given, uint32_t value) { return given ? Number(value) : std::nullopt; };
  p.strides = PerAxis(n, "stride", c.stride(), number(c.has_stride_h(), c.stride_h()),
                      number(c.has_stride_w(), c.stride_w()), 1, spatial);
  p.dilations = PerAxis(n, "dilation", c.dilation(), std::nullopt, std::nullopt, 1, spatial);
  p.pads = PerAxis(n, "pad", c.pad(), number(c.has_pad_h(), c.pad_h()),
                   number(c.has_pad_w(), c.pad_w()), 0, spatial);
  p.pads.insert(p.pads.end(), p.pads.begin(), p.pads.begin() + spatial);
  return PerAxis(n, "kernel_size", c.kernel_size(), number(c.has_kernel_h(), c.kernel_h()),
                 number(c.has_kernel_w(), c.kernel_w()), std::nullopt, spatial);
}

// Channels of x; -1 where the user gave a name for their number.
int64_t Channels(LayerImport& n, ValueId x) { return n.Sizes(x)[1].TryValue().value_or(-1); }

// channels / group; -1 if the channels are not known.
int64_t PerGroup(LayerImport& n, int64_t channels, int64_t group, std::string_view what) {
  if (channels < 0) return channels;
  if (group >= 1 && channels % group == 0) return channels / group;
  n.Fail(InvalidModel("group is ", group, ", which does not divide ", channels, " ", what));
  return 1;
}

// Every bottom goes through the same weights to a top of its own.
void CheckTops(LayerImport& n) {
  if (n.num_tops() != n.num_bottoms())
    n.Fail(InvalidModel(n.num_bottoms(), " bottoms and ", n.num_tops(), " tops"));
}

// [M, C / group, kernel...] and [M].
void Convolve(LayerImport& n, bool depthwise) {
  const ConvolutionParameter& c = n.layer().convolution_param();
  CheckTops(n);
  for (int i = 0; n.ok() && i < n.num_bottoms(); ++i) {
    const ValueId x = n.Bottom(i);
    ConvParams p;
    Dims kernel = ReadWindow(n, x, p);
    if (!n.ok()) return;
    p.group = c.group();
    if (depthwise && !c.has_group()) p.group = n.KnownSize(x, 1, "one group per channel");
    const int64_t outputs = c.has_num_output() ? c.num_output() : depthwise ? p.group : 0;
    PerGroup(n, outputs, p.group, "outputs");
    Dims sizes = {outputs, PerGroup(n, Channels(n, x), p.group, "channels")};
    sizes.insert(sizes.end(), kernel.begin(), kernel.end());
    std::vector<ValueId> inputs = {x, n.Weights(0, sizes, "weights")};
    if (c.bias_term()) inputs.push_back(n.Weights(1, {outputs}, "bias"));
    if (n.ok()) n.Emit(op::kConv, p, std::move(inputs), i);
  }
}
void Convolution(LayerImport& n) { Convolve(n, false); }
void DepthwiseConvolution(LayerImport& n) { Convolve(n, true); }

// [C, M / group, kernel...] and [M].
void Deconvolution(LayerImport& n) {
  const ConvolutionParameter& c = n.layer().convolution_param();
  CheckTops(n);
  for (int i = 0; n.ok() && i < n.num_bottoms(); ++i) {
    const ValueId x = n.Bottom(i);
    ConvTransposeParams p;
    Dims kernel = ReadWindow(n, x, p);
    if (!n.ok()) return;
    p.group = c.group();
    PerGroup(n, Channels(n, x), p.group, "channels");
    Dims sizes = {Channels(n, x), PerGroup(n, c.num_output(), p.group, "outputs")};
    sizes.insert(sizes.end(), kernel.begin(), kernel.end());
    std::vector<ValueId> inputs = {x, n.Weights(0, sizes, "weights")};
    if (c.bias_term()) inputs.push_back(n.Weights(1, {c.num_output()}, "bias"));
    if (n.ok()) n.Emit(op::kConvTranspose, p, std::move(inputs), i);
  }
}

constexpr LayerHandler kHandlers[] = {
    {"Convolution", Convolution, 1, kAny, 1, kAny, true},
    {"ConvolutionDepthwise", DepthwiseConvolution, 1, kAny, 1, kAny, true},
    {"Deconvolution", Deconvolution, 1, kAny, 1, kAny, true},
    {"DepthwiseConvolution", DepthwiseConvolution, 1, kAny, 1, kAny, true},
};

}  // namespace

std::span<const LayerHandler> ConvHandlers() { return kHandlers; }

}  // namespace sula::caffe
