// What backends whose memory is the host's have in common: buffers and layout copies.
#pragma once

#include <map>

#include "backend/backend.h"
#include "base/aligned_buffer.h"

namespace sula {

// Copies between two descriptions of the same logical tensor. Errors: other element types or dims.
// Copies row-major <-> channel-last in square blocks; allocates nothing.
Status HostCopy(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst,
                const Parallel& parallel);
// Expected seconds of HostCopy.
double HostCopyCost(const TensorDesc& from, const TensorDesc& to, int threads);

// A Backend with memory and copies on the host; kernels are left to the derived class.
class HostBackend : public Backend {
 public:
  Result<DeviceBuffer> AcquireBuffer(size_t bytes, StorageKind kind) override;
  void ReleaseBuffer(const DeviceBuffer& buffer) override;
  void ClearBuffer() override;
  Status CopyBuffer(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst,
                    const Parallel& parallel) override;
  double CopyCost(const TensorDesc& from, const TensorDesc& to, int threads) const override;
  // Calls entry.create.
  Result<std::unique_ptr<Kernel>> Create(const KernelEntry& entry,
                                         const KernelRequest& request) override;

 private:
  std::map<uint64_t, AlignedBuffer> buffers_;  // by handle
  uint64_t next_handle_ = 1;
};

}  // namespace sula
