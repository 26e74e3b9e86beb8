#include "backends/cpu/cpu_backend.h"

#include <optional>

#include "backend/host.h"
#include "backends/cpu/kernel_table.h"
#include "base/denormals.h"

namespace sula {
namespace {

class CpuBackend : public HostBackend {
 public:
  std::string_view name() const override { return "cpu"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override { return CpuKernels(op); }
  // The caller computes too; the pool does the same for its workers.
  void ExecuteBegin() override { flush_.emplace(); }
  void ExecuteEnd() override { flush_.reset(); }

 private:
  std::optional<ScopedFlushDenormals> flush_;
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend() { return std::make_unique<CpuBackend>(); }

}  // namespace sula
