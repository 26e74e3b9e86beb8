// Transposed convolution.
#include <array>
#include <utility>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/conv_winograd.h"

namespace sula::cpu {
namespace {

// One product per phase of the stride; so many of them would be very small.
constexpr int64_t kMaxPhases = 4096;

Result<ConvSpec> SpecOf(const KernelRequest& request) {
  const auto& p = request.params<ConvTransposeParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g,
                   ResolveConvTranspose(p, request.inputs[kX].dims, request.inputs[kW].dims));
  return ConvSpec{g.batch, g.in_channels, g.out_channels,
                  g.group, WindowOf(g),   EpilogueOf(p.Fused())};
}

Verdict Accept(const KernelRequest& request) {
  if (Verdict v = AcceptConvInputs(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
  if (!spec.has_value()) return Verdict::No(spec.error().message());
  int64_t phases = 1;
  for (int64_t s : spec->window.stride) {
    if (s > kMaxPhases || phases * s > kMaxPhases) return Verdict::No("too large a stride");
    phases *= s;
  }
  return Verdict::Yes();
}

double Estimate(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const double flops =
      2.0 * static_cast<double>(spec->batch * spec->window.in_pixels() * spec->window.taps()) *
      static_cast<double>(spec->out_channels) *
      static_cast<double>(spec->in_channels / spec->groups);
  // Phases have fewer taps each than the kernel, so the tiles' fixed costs weigh more.
  Work work{.flops = flops, .efficiency = 0.8, .bytes = ActivationBytes(request)};
  work.streams[0] = ColdStream(BytesOf(request.inputs[kW]));
  return Seconds(work, TargetForColumns(spec->out_channels / spec->groups), request.threads);
}

Result<std::unique_ptr<Kernel>> Create(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels / spec.groups);
  return MakeConv<ConvTransposed>(request, spec, machine);
}

constexpr KernelEntry kPhases = {.name = "phases",
                                 .layouts = ConvLayouts,
                                 .accept = Accept,
                                 .estimate = Estimate,
                                 .create = Create};
constexpr auto kKernels = []<int... kI>(std::integer_sequence<int, kI...>) {
  return std::array{WinogradEntry<&kWinogradTransposedForms, kI, Accept, SpecOf>()..., kPhases};
}
(std::make_integer_sequence<int, kNumWinogradTransposedForms>());

}  // namespace

std::span<const KernelEntry> ConvTransposeKernels() { return kKernels; }

}  // namespace sula::cpu
