// What backends whose memory is the host's have in common: buffers and layout copies.
#pragma once

#include <map>

#include "backend/backend.h"
#include "base/aligned_buffer.h"

namespace sula {

// An error unless both describe the same logical tensor.
Status CheckCopy(const TensorDesc& from, const TensorDesc& to);
// Copies between two descriptions of the same logical tensor, element by element: the meaning of
// Backend::CopyBuffer. Errors as CheckCopy.
Status HostCopy(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst);
// Expected seconds of a copy on the host that moves rows where both sides have them and transposes
// in blocks otherwise.
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
