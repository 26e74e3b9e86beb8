#include "backends/null/null_backend.h"

#include <algorithm>

#include "backend/host.h"
#include "ops/conv.h"
#include "ops/pool.h"

namespace sula {
namespace {

class NullKernel : public Kernel {
 public:
  bool ReadsConstant(int) const override { return false; }
  void Run(const RunArgs&) const noexcept override {}
};

Result<std::unique_ptr<Kernel>> CreateNull(const KernelRequest&) {
  return std::unique_ptr<Kernel>(std::make_unique<NullKernel>());
}

double EstimateNull(const KernelRequest&) { return 0; }

void ChannelLast(const KernelRequest& request, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kChannelLast;
  // The residual of a convolution lies as its output does.
  if (inputs.size() > 3 && request.HasInput(3)) inputs[3] = LayoutNeed::kChannelLast;
}

void Follow(const KernelRequest& request, std::span<LayoutNeed> inputs,
            std::span<LayoutNeed> outputs) {
  outputs[0] = LayoutNeed::kFollow;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (request.HasInput(i) && request.inputs[i].dims == request.outputs[0].dims)
      inputs[i] = LayoutNeed::kFollow;
}

constexpr KernelEntry kChannelLast[] = {
    {.name = "null", .layouts = ChannelLast, .estimate = EstimateNull, .create = CreateNull}};
constexpr KernelEntry kFollow[] = {{.name = "null",
                                    .layouts = Follow,
                                    .estimate = EstimateNull,
                                    .create = CreateNull,
                                    .in_place = true}};
constexpr KernelEntry kRowMajor[] = {
    {.name = "null", .estimate = EstimateNull, .create = CreateNull}};

class NullBackend : public HostBackend {
 public:
  std::string_view name() const override { return "null"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override {
    const OpDef* const spatial[] = {
        &op::kConv,        &op::kConvTranspose,     &op::kMaxPool,
        &op::kAveragePool, &op::kGlobalAveragePool, &op::kGlobalMaxPool};
    if (std::find(std::begin(spatial), std::end(spatial), &op) != std::end(spatial))
      return kChannelLast;
    if (op.Has(kElementwise)) return kFollow;
    return kRowMajor;
  }
  Status CopyBuffer(const TensorDesc& from, const void*, const TensorDesc& to, void*,
                    const Parallel&) override {
    return CheckCopy(from, to);
  }
};

}  // namespace

std::unique_ptr<Backend> MakeNullBackend() { return std::make_unique<NullBackend>(); }

}  // namespace sula
