#include "backends/cpu/conv_adapter.h"

#include <optional>

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
  // Every kernel asks about a node, once to accept it and once to estimate: the last answer is
  // kept.
  struct Answer {
    ConvParams params;
    Dims x, w;
    ConvSpec spec;
  };
  static thread_local std::optional<Answer> last;
  const auto& p = request.params<ConvParams>();
  const Dims &x = request.inputs[kX].dims, &w = request.inputs[kW].dims;
  if (last && last->x == x && last->w == w && last->params == p) return last->spec;
  ASSIGN_OR_RETURN(const ConvGeometry g, ResolveConv(p, x, w));
  const ConvSpec spec{g.batch, g.in_channels, g.out_channels,
                      g.group, WindowOf(g),   EpilogueOf(p.Fused())};
  last = Answer{p, x, w, spec};
  return spec;
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

ConvStrides StridesOf(const KernelRequest& request) {
  return {request.inputs[kX].pixel_stride, request.outputs[0].pixel_stride,
          request.HasInput(kResidual) ? request.inputs[kResidual].pixel_stride : 0};
}

double ActivationBytes(const KernelRequest& request) {
  return BytesOf(request.inputs[kX]) + BytesOf(request.outputs[0]) +
         (request.HasInput(kResidual) ? BytesOf(request.inputs[kResidual]) : 0);
}

}  // namespace sula::cpu
