// InstanceNormalization and GroupNormalization of channel-last maps, float32.
#include "backends/cpu/channel_norm.h"

#include "backends/cpu/adapter.h"
#include "backends/cpu/kernels/norm/channel_norm.h"
#include "backends/cpu/strides.h"
#include "ops/norm.h"

namespace sula::cpu {
namespace {

ChannelNormCall CallOf(const KernelRequest& r) {
  const Dims& x = r.inputs[0].dims;
  const bool instance = r.node->op == &op::kInstanceNormalization;
  ChannelNormCall call;
  call.batch = x[0];
  call.channels = x[1];
  call.pixels = NumElements(std::span(x).subspan(2));
  call.groups = instance ? x[1] : r.params<GroupNormParams>().groups;
  call.epsilon = instance ? r.params<NormParams>().epsilon : r.params<GroupNormParams>().epsilon;
  call.in_stride = r.inputs[0].pixel_stride;
  call.out_stride = r.outputs[0].pixel_stride;
  return call;
}

class ChannelNormKernel final : public Kernel {
 public:
  explicit ChannelNormKernel(const ChannelNormCall& call) : call_(call), target_(BestTarget()) {}

  size_t workspace_bytes() const override {
    return static_cast<size_t>(ChannelNormWorkspace(call_)) * sizeof(float);
  }
  void Run(const RunArgs& args) const noexcept override {
    ChannelNormCall call = call_;
    call.in = static_cast<const float*>(args.inputs[0]);
    call.scale = static_cast<const float*>(args.inputs[1]);
    call.shift = static_cast<const float*>(args.inputs[2]);
    call.out = static_cast<float*>(args.outputs[0]);
    call.workspace = static_cast<float*>(args.workspace);
    RunChannelNorm(call, target_, args.parallel);
  }

 private:
  ChannelNormCall call_;
  Target target_;
};

}  // namespace

void ChannelNormLayouts(const KernelRequest&, std::span<LayoutNeed> inputs,
                        std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kChannelLast;
}

Verdict AcceptChannelNorm(const KernelRequest& request) {
  if (Verdict v = AcceptFloat(request); !v) return v;
  if (request.inputs[0].dims.size() < 3) return Verdict::No("no pixels");
  if (request.inputs[1].num_elements() != request.inputs[0].dims[1])
    return Verdict::No("scale is not one number for each channel");
  return Verdict::Yes();
}

double EstimateChannelNorm(const KernelRequest& request) { return 1.5 * StreamSeconds(request, 4); }

Result<std::unique_ptr<Kernel>> CreateChannelNorm(const KernelRequest& request) {
  return std::unique_ptr<Kernel>(std::make_unique<ChannelNormKernel>(CallOf(request)));
}

}  // namespace sula::cpu
