#include "ops/window.h"

#include <tuple>

namespace sula {
Status CheckAxisList(std::string_view name, std::span<const int64_t> list, int spatial,
                     int64_t least) {
  if (!list.empty() && static_cast<int>(list.size()) != spatial)
    return InvalidModel(name, " has ", list.size(), " entries, expected ", spatial);
  for (int64_t v : list)
    if (v < least || v > kMaxWindowSize)
      return InvalidModel(name, " contains ", v, ", expected a value from ", least, " to ",
                          kMaxWindowSize);
  return {};
}

Result<std::vector<WindowAxis>> ResolveAxes(std::span<const int64_t> strides,
                                            std::span<const int64_t> dilations,
                                            std::span<const int64_t> pads, AutoPad auto_pad,
                                            int spatial) {
  if (spatial < 1 || spatial > kMaxSpatial)
    return Unsupported(spatial, " spatial axes; 1 to ", kMaxSpatial, " are supported");
  RETURN_IF_ERROR(CheckAxisList("strides", strides, spatial, 1));
  RETURN_IF_ERROR(CheckAxisList("dilations", dilations, spatial, 1));
  RETURN_IF_ERROR(CheckAxisList("pads", pads, 2 * spatial, 0));
  std::vector<WindowAxis> axes(spatial);
  for (int i = 0; i < spatial; ++i) {
    if (!strides.empty()) axes[i].stride = strides[i];
    if (!dilations.empty()) axes[i].dilation = dilations[i];
    if (!pads.empty() && auto_pad == AutoPad::kExplicit) {
      axes[i].pad_begin = pads[i];
      axes[i].pad_end = pads[spatial + i];
    }
  }
  return axes;
}

Status CheckWindowSize(const Dim& d, std::string_view what) {
  if (d.is_const() && (d.value() < 0 || d.value() > kMaxWindowSize))
    return InvalidModel(what, " is ", d.value(), ", expected a size from 0 to ", kMaxWindowSize);
  return {};
}

Dim WindowExtent(const WindowAxis& axis, const Dim& kernel) {
  return (kernel - 1) * axis.dilation + 1;
}

Result<Dim> WindowCount(const WindowAxis& axis, const Dim& in, const Dim& kernel, AutoPad auto_pad,
                        bool ceil_mode) {
  RETURN_IF_ERROR(CheckWindowSize(in, "an input size"));
  RETURN_IF_ERROR(CheckWindowSize(kernel, "a kernel size"));
  if (kernel.is_const() && kernel.value() == 0) return InvalidModel("a kernel size is 0");
  const Dim extent = WindowExtent(axis, kernel);
  Dim count;
  if (auto_pad == AutoPad::kSameUpper || auto_pad == AutoPad::kSameLower) {
    count = CeilDiv(in, axis.stride);
  } else if (ceil_mode && auto_pad == AutoPad::kExplicit) {
    // ceil((in + pads - extent) / stride) + 1 windows, of which at most
    // ceil((in + pad_begin) / stride) start where they may: the smaller of two quotients by the
    // same number is the quotient of the smaller numerator.
    const Dim behind = Min(Dim(axis.pad_end + axis.stride) - extent, 0);
    count = CeilDiv(in + axis.pad_begin + behind, axis.stride);
  } else {
    count = FloorDiv(in + (axis.pad_begin + axis.pad_end) - extent, axis.stride) + 1;
  }
  if (count.is_const() && count.value() < 1)
    return InvalidModel("no window fits: an input size of ", in.ToString(), " with padding ",
                        axis.pad_begin, "+", axis.pad_end, " is smaller than the kernel's extent ",
                        extent.ToString());
  return count;
}

WindowAxis ResolvePadding(WindowAxis axis, int64_t in, int64_t kernel, int64_t out,
                          AutoPad auto_pad) {
  const int64_t reach = (out - 1) * axis.stride + (kernel - 1) * axis.dilation + 1;
  if (auto_pad == AutoPad::kSameUpper || auto_pad == AutoPad::kSameLower) {
    std::tie(axis.pad_begin, axis.pad_end) =
        SplitPadding(std::max<int64_t>(reach - in, 0), auto_pad == AutoPad::kSameUpper);
  } else {
    axis.pad_end = std::max(axis.pad_end, reach - in - axis.pad_begin);
  }
  return axis;
}

WindowWalk::WindowWalk(const ConvGeometry& g, bool transposed) {
  const int lead = kMaxSpatial - g.spatial;
  for (int i = 0; i < g.spatial; ++i) {
    small[lead + i] = transposed ? g.in[i] : g.out[i];
    big[lead + i] = transposed ? g.out[i] : g.in[i];
    kernel[lead + i] = g.kernel[i];
    stride[lead + i] = g.stride[i];
    dilation[lead + i] = g.dilation[i];
    pad[lead + i] = g.pad_begin[i];
  }
}

}  // namespace sula
