#include "backend/backend.h"

namespace sula {

std::string_view Name(Layout layout) {
  return layout == Layout::kChannelLast ? "channel-last" : "row-major";
}

size_t TensorDesc::SpanBytes() const {
  const int64_t elements = num_elements();
  if (elements == 0) return 0;
  if (layout == Layout::kRowMajor) return static_cast<size_t>(elements) * SizeOf(dtype);
  const int64_t channels = dims[1];
  const int64_t pixels = elements / channels;
  return static_cast<size_t>((pixels - 1) * pixel_stride + channels) * SizeOf(dtype);
}

std::string TensorDesc::ToString() const {
  if (!present) return "absent";
  std::string text = StrCat(Name(dtype), sula::ToString(dims));
  if (layout == Layout::kChannelLast) {
    text += " channel-last";
    if (pixel_stride != dims[1]) text += StrCat(" stride ", pixel_stride);
  }
  return text;
}

TensorDesc DenseDesc(DType dtype, Dims dims, Layout layout) {
  SULA_CHECK(layout == Layout::kRowMajor || dims.size() >= 2);
  const int64_t pixel_stride = layout == Layout::kChannelLast ? dims[1] : 0;
  return {true, dtype, std::move(dims), layout, pixel_stride};
}

}  // namespace sula
