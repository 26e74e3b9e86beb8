#include "backend/host.h"

#include <algorithm>
#include <cstdlib>

#include "ops/strided.h"

namespace sula {
namespace {

Dims StridesOf(const TensorDesc& desc) {
  Dims strides(desc.dims.size());
  desc.WriteStrides(strides);
  return strides;
}

}  // namespace

Status CheckCopy(const TensorDesc& from, const TensorDesc& to) {
  if (from.dtype == to.dtype && from.dims == to.dims) return {};
  return Internal("cannot copy ", from.ToString(), " to ", to.ToString(),
                  ": a copy changes the layout only");
}

Status HostCopy(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst) {
  RETURN_IF_ERROR(CheckCopy(from, to));
  if (from.num_elements() == 0) return {};
  CopyStrided(SizeOf(from.dtype), from.dims, src, 0, StridesOf(from), dst, 0, StridesOf(to));
  return {};
}

double HostCopyCost(const TensorDesc& from, const TensorDesc& to, int threads) {
  // Bytes a second of one core, read and written: in long rows, where neighbours that are read are
  // written at least into the same cache line, and where they are not.
  constexpr double kRows = 6e9, kNear = 3e9, kFar = 1.5e9, kCall = 0.5e-6;
  constexpr size_t kLine = 64;
  const size_t element = SizeOf(from.dtype);
  const Dims src = StridesOf(from), dst = StridesOf(to);
  int64_t step = 1;  // in `to`, for one element in `from`
  for (size_t i = 0; i < src.size(); ++i)
    if (from.dims[i] != 1 && src[i] == 1) step = std::abs(dst[i]);
  const double rate = step == 1                                      ? kRows
                      : static_cast<size_t>(step) * element <= kLine ? kNear
                                                                     : kFar;
  const double bytes = static_cast<double>(from.num_elements()) * static_cast<double>(element);
  return kCall + bytes / (rate * std::max(1, threads));
}

Result<DeviceBuffer> HostBackend::AcquireBuffer(size_t bytes, StorageKind kind) {
  // Whoever brings memory of his own for an input or output never touches this one.
  AlignedBuffer memory(std::max<size_t>(bytes, 1), kind == StorageKind::kSeparate
                                                       ? AlignedBuffer::Pages::kOnTouch
                                                       : AlignedBuffer::Pages::kResident);
  if (!memory.data()) return ResourceExhausted("no memory for a block of ", bytes, " bytes");
  DeviceBuffer buffer{memory.data(), bytes, next_handle_++};
  buffers_.emplace(buffer.handle, std::move(memory));
  return buffer;
}

void HostBackend::ReleaseBuffer(const DeviceBuffer& buffer) { buffers_.erase(buffer.handle); }

void HostBackend::ClearBuffer() { buffers_.clear(); }

Status HostBackend::CopyBuffer(const TensorDesc& from, const void* src, const TensorDesc& to,
                               void* dst, const Parallel&) {
  return HostCopy(from, src, to, dst);
}

double HostBackend::CopyCost(const TensorDesc& from, const TensorDesc& to, int threads) const {
  return HostCopyCost(from, to, threads);
}

Result<std::unique_ptr<Kernel>> HostBackend::Create(const KernelEntry& entry,
                                                    const KernelRequest& request) {
  return entry.create(request);
}

}  // namespace sula
