#include "backends/cpu/conv_adapter.h"

namespace sula::cpu {

Verdict AcceptConvInputs(const KernelRequest& request) {
  if (Verdict v = AcceptFloat(request); !v) return v;
  if (!request.IsConstant(kW)) return Verdict::No("weights not constant");
  if (request.HasInput(kBias) && !request.IsConstant(kBias))
    return Verdict::No("bias not constant");
  const size_t rank = request.inputs[kX].dims.size();
  if (rank < 3 || rank > 5) return Verdict::No(StrCat(rank, " axes"));
  return Verdict::Yes();
}

Result<ConvSpec> ConvSpecOf(const KernelRequest& request) {
  const auto& p = request.params<ConvParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g,
                   ResolveConv(p, request.inputs[kX].dims, request.inputs[kW].dims));
  return ConvSpec{g.batch, g.in_channels, g.out_channels,
                  g.group, WindowOf(g),   EpilogueOf(p.Fused())};
}

Machine MachineFor(const KernelRequest& request, const ConvSpec& spec) {
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels / spec.groups);
  return machine;
}

Verdict AcceptConv(const KernelRequest& request) {
  if (Verdict v = AcceptConvInputs(request); !v) return v;
  if (Result<ConvSpec> spec = ConvSpecOf(request); !spec.has_value())
    return Verdict::No(spec.error().message());
  return Verdict::Yes();
}

void ConvLayouts(const KernelRequest&, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  inputs[kX] = outputs[0] = LayoutNeed::kChannelLast;
  if (inputs.size() > kResidual) inputs[kResidual] = LayoutNeed::kChannelLast;
}

double ConvBytes(const KernelRequest& request) {
  double bytes = BytesOf(request.outputs[0]);
  for (const TensorDesc& t : request.inputs) bytes += BytesOf(t);
  return bytes;
}

double ActivationBytes(const KernelRequest& request) {
  return BytesOf(request.inputs[kX]) + BytesOf(request.outputs[0]) +
         (request.HasInput(kResidual) ? BytesOf(request.inputs[kResidual]) : 0);
}

}  // namespace sula::cpu
