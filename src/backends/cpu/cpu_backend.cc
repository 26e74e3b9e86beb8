#include "backends/cpu/cpu_backend.h"

#include "backend/host.h"
#include "backends/cpu/kernel_table.h"

namespace sula {
namespace {

class CpuBackend : public HostBackend {
 public:
  std::string_view name() const override { return "cpu"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override { return CpuKernels(op); }
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend() { return std::make_unique<CpuBackend>(); }

}  // namespace sula
