#include "backends/cpu/strides.h"

#include "tensor/shape.h"

namespace sula::cpu {

Dims LogicalStrides(const TensorDesc& desc) {
  if (desc.layout == Layout::kRowMajor) return RowMajorStrides(desc.dims);
  Dims strides(desc.dims.size());
  int64_t step = desc.pixel_stride;
  for (size_t i = desc.dims.size(); i-- > 2;) {
    strides[i] = step;
    step *= desc.dims[i];
  }
  strides[1] = 1;
  strides[0] = step;
  return strides;
}

Dims BroadcastStrides(const TensorDesc& desc, std::span<const int64_t> dims) {
  const Dims own = LogicalStrides(desc);
  Dims strides(dims.size(), 0);
  for (size_t i = 0; i < own.size(); ++i) {
    if (desc.dims[i] != 1) strides[dims.size() - own.size() + i] = own[i];
  }
  return strides;
}

bool FitsBox(const KernelRequest& request) {
  const auto fits = [&](const TensorDesc& d) {
    return static_cast<int>(d.dims.size()) + 1 <= Box<2>::kMaxRank;
  };
  for (const TensorDesc& d : request.inputs)
    if (!fits(d)) return false;
  for (const TensorDesc& d : request.outputs)
    if (!fits(d)) return false;
  return true;
}

double StreamSeconds(const KernelRequest& request, double operations) {
  constexpr double kBytesPerSecond = 20e9, kOperationsPerSecond = 20e9, kStart = 0.3e-6;
  double bytes = 0, elements = 0;
  for (const TensorDesc& d : request.inputs)
    if (d.present) bytes += static_cast<double>(d.num_elements()) * SizeOf(d.dtype);
  for (const TensorDesc& d : request.outputs) {
    if (!d.present) continue;
    bytes += static_cast<double>(d.num_elements()) * SizeOf(d.dtype);
    elements += static_cast<double>(d.num_elements());
  }
  return kStart +
         (bytes / kBytesPerSecond + operations * elements / kOperationsPerSecond) / request.threads;
}

}  // namespace sula::cpu
