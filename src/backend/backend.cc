#include "backend/backend.h"

#include <algorithm>

namespace sula {

std::string_view Name(Layout layout) {
  switch (layout) {
    case Layout::kChannelLast: return "channel-last";
    case Layout::kStrided: return "strided";
    case Layout::kRowMajor: break;
  }
  return "row-major";
}

size_t TensorDesc::SpanBytes() const {
  const int64_t elements = num_elements();
  if (elements == 0) return 0;
  if (layout == Layout::kStrided) {
    int64_t last = 0;
    for (size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
    return static_cast<size_t>(last + 1) * SizeOf(dtype);
  }
  if (layout == Layout::kRowMajor) return static_cast<size_t>(elements) * SizeOf(dtype);
  const int64_t channels = dims[1];
  const int64_t pixels = elements / channels;
  return static_cast<size_t>((pixels - 1) * pixel_stride + channels) * SizeOf(dtype);
}

void TensorDesc::WriteStrides(std::span<int64_t> out) const {
  SULA_CHECK(out.size() == dims.size());
  int64_t stride = 1;
  switch (layout) {
    case Layout::kRowMajor:
      for (size_t i = dims.size(); i-- > 0;) {
        out[i] = stride;
        stride *= dims[i];
      }
      break;
    case Layout::kChannelLast:
      stride = pixel_stride;
      for (size_t i = dims.size(); i-- > 2;) {
        out[i] = stride;
        stride *= dims[i];
      }
      out[1] = 1;
      out[0] = stride;
      break;
    case Layout::kStrided: std::copy(strides.begin(), strides.end(), out.begin()); break;
  }
}

std::string TensorDesc::ToString() const {
  if (!present) return "absent";
  std::string text = StrCat(Name(dtype), sula::ToString(dims));
  if (layout == Layout::kChannelLast) {
    text += " channel-last";
    if (pixel_stride != dims[1]) text += StrCat(" stride ", pixel_stride);
  } else if (layout == Layout::kStrided) {
    text += StrCat(" strides ", sula::ToString(strides));
  }
  return text;
}

TensorDesc DenseDesc(DType dtype, Dims dims, Layout layout) {
  SULA_CHECK(layout != Layout::kChannelLast || dims.size() >= 2);
  TensorDesc desc{true, dtype, std::move(dims), Layout::kRowMajor, 0, {}};
  if (layout == Layout::kStrided) {
    desc.strides.resize(desc.dims.size());
    desc.WriteStrides(desc.strides);
  }
  if (layout == Layout::kChannelLast) desc.pixel_stride = desc.dims[1];
  desc.layout = layout;
  return desc;
}

size_t ChainRequest::InputPort(size_t node, size_t i) const {
  size_t port = i;
  for (size_t n = 0; n < node; ++n) port += nodes[n].inputs.size() - (n > 0);
  return port - (node > 0);
}

}  // namespace sula
