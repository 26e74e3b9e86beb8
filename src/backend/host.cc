#include "backend/host.h"

#include <algorithm>
#include <cstring>

namespace sula {
namespace {

// Pixels per task: enough work for a wake-up, few enough to share out evenly.
constexpr int64_t kPixelsPerTask = 512;
constexpr int64_t kBlock = 16;  // a block of 16 x 16 floats fits L1 on both sides

// One way between planar (element (c, s) at c * pixels + s) and channel-last (at s * stride + c)
// for pixels [begin, end) of one image. kToChannelLast: src is the planar side.
template <class T, bool kToChannelLast>
void TransposePixels(const T* src, T* dst, int64_t channels, int64_t pixels, int64_t stride,
                     int64_t begin, int64_t end) {
  for (int64_t s0 = begin; s0 < end; s0 += kBlock) {
    const int64_t s1 = std::min(s0 + kBlock, end);
    for (int64_t c0 = 0; c0 < channels; c0 += kBlock) {
      const int64_t c1 = std::min(c0 + kBlock, channels);
      for (int64_t s = s0; s < s1; ++s) {
        for (int64_t c = c0; c < c1; ++c) {
          if constexpr (kToChannelLast)
            dst[s * stride + c] = src[c * pixels + s];
          else
            dst[c * pixels + s] = src[s * stride + c];
        }
      }
    }
  }
}

template <class T>
void CopyTyped(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst,
               const Parallel& parallel) {
  const int64_t batch = from.dims[0], channels = from.dims[1];
  const int64_t pixels = from.num_elements() / (batch * channels);
  const bool from_last = from.layout == Layout::kChannelLast;
  const bool to_last = to.layout == Layout::kChannelLast;
  const int64_t parts = (pixels + kPixelsPerTask - 1) / kPixelsPerTask;
  parallel.For(batch * parts, [&](int64_t task, int) {
    const int64_t n = task / parts;
    const int64_t begin = task % parts * kPixelsPerTask;
    const int64_t end = std::min(begin + kPixelsPerTask, pixels);
    const T* s =
        static_cast<const T*>(src) + n * pixels * (from_last ? from.pixel_stride : channels);
    T* d = static_cast<T*>(dst) + n * pixels * (to_last ? to.pixel_stride : channels);
    if (from_last && to_last) {
      for (int64_t p = begin; p < end; ++p)
        std::memcpy(d + p * to.pixel_stride, s + p * from.pixel_stride, channels * sizeof(T));
    } else if (to_last) {
      TransposePixels<T, true>(s, d, channels, pixels, to.pixel_stride, begin, end);
    } else {
      TransposePixels<T, false>(s, d, channels, pixels, from.pixel_stride, begin, end);
    }
  });
}

// True if both describe the same bytes, all of them the tensor's.
bool SameDenseBytes(const TensorDesc& a, const TensorDesc& b) {
  auto dense = [](const TensorDesc& d) {
    return d.layout == Layout::kRowMajor || d.pixel_stride == d.dims[1];
  };
  if (!dense(a) || !dense(b)) return false;
  if (a.layout == b.layout) return true;
  const int64_t batch_channels = a.dims[0] * a.dims[1];
  return a.dims[1] == 1 || a.num_elements() == batch_channels;
}

}  // namespace

Status HostCopy(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst,
                const Parallel& parallel) {
  if (from.dtype != to.dtype || from.dims != to.dims)
    return Internal("cannot copy ", from.ToString(), " to ", to.ToString(),
                    ": a copy changes the layout only");
  if (from.num_elements() == 0) return {};
  if (SameDenseBytes(from, to)) {
    std::memcpy(dst, src, from.SpanBytes());
    return {};
  }
  switch (SizeOf(from.dtype)) {
    case 8: CopyTyped<uint64_t>(from, src, to, dst, parallel); break;
    case 4: CopyTyped<uint32_t>(from, src, to, dst, parallel); break;
    case 2: CopyTyped<uint16_t>(from, src, to, dst, parallel); break;
    default: CopyTyped<uint8_t>(from, src, to, dst, parallel); break;
  }
  return {};
}

double HostCopyCost(const TensorDesc& from, const TensorDesc& to, int threads) {
  // One core moves about 6 GB/s read plus written by memcpy, a quarter of it when it transposes.
  constexpr double kStraight = 6e9, kTransposed = 1.5e9, kCall = 0.5e-6;
  const double bytes = static_cast<double>(from.num_elements()) * SizeOf(from.dtype);
  const bool straight = from.layout == to.layout || SameDenseBytes(from, to);
  return kCall + bytes / (straight ? kStraight : kTransposed * std::max(1, threads));
}

Result<DeviceBuffer> HostBackend::AcquireBuffer(size_t bytes, StorageKind) {
  AlignedBuffer memory(std::max<size_t>(bytes, 1));
  if (!memory.data()) return ResourceExhausted("no memory for a block of ", bytes, " bytes");
  DeviceBuffer buffer{memory.data(), bytes, next_handle_++};
  buffers_.emplace(buffer.handle, std::move(memory));
  return buffer;
}

void HostBackend::ReleaseBuffer(const DeviceBuffer& buffer) { buffers_.erase(buffer.handle); }

void HostBackend::ClearBuffer() { buffers_.clear(); }

Status HostBackend::CopyBuffer(const TensorDesc& from, const void* src, const TensorDesc& to,
                               void* dst, const Parallel& parallel) {
  return HostCopy(from, src, to, dst, parallel);
}

double HostBackend::CopyCost(const TensorDesc& from, const TensorDesc& to, int threads) const {
  return HostCopyCost(from, to, threads);
}

Result<std::unique_ptr<Kernel>> HostBackend::Create(const KernelEntry& entry,
                                                    const KernelRequest& request) {
  return entry.create(request);
}

}  // namespace sula
