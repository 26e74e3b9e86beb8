#include "backends/cpu/cpu_backend.h"

#include <array>
#include <optional>

#include "backend/host.h"
#include "backends/cpu/kernel_table.h"
#include "backends/cpu/kernels/copy/strided_copy.h"
#include "backends/cpu/strides.h"
#include "base/denormals.h"

namespace sula {
namespace {

class CpuBackend : public HostBackend {
 public:
  std::string_view name() const override { return "cpu"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override { return CpuKernels(op); }
  std::span<const ChainEntry> Chains() const override { return CpuChains(); }
  Status CopyBuffer(const TensorDesc& from, const void* src, const TensorDesc& to, void* dst,
                    const Parallel& parallel) override;
  double CopyCost(const TensorDesc& from, const TensorDesc& to, int threads) const override {
    return cpu::CopySeconds(from, to, threads);
  }
  // The caller computes too; the pool does the same for its workers.
  void ExecuteBegin() override { flush_.emplace(); }
  void ExecuteEnd() override { flush_.reset(); }

 private:
  std::optional<ScopedFlushDenormals> flush_;
};

Status CpuBackend::CopyBuffer(const TensorDesc& from, const void* src, const TensorDesc& to,
                              void* dst, const Parallel& parallel) {
  RETURN_IF_ERROR(CheckCopy(from, to));
  constexpr size_t kMaxRank = cpu::CopyRegion::kMaxRank;
  const size_t rank = from.dims.size();
  if (rank > kMaxRank) return HostCopy(from, src, to, dst);
  std::array<int64_t, kMaxRank> read, written;
  from.WriteStrides({read.data(), rank});
  to.WriteStrides({written.data(), rank});
  cpu::CopyRegion region;
  for (size_t i = 0; i < rank; ++i) region.AddAxis(from.dims[i], {written[i], read[i]});
  cpu::RunCopy(Simplify(region), src, dst, SizeOf(from.dtype), parallel);
  return {};
}

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend() { return std::make_unique<CpuBackend>(); }

}  // namespace sula
