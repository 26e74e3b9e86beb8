// Convolution: depthwise, planar input, Winograd, implicit GEMM.
#include <array>
#include <utility>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/conv_winograd.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"

namespace sula::cpu {
namespace {

// The planar kernel converts each input row once per band: pays while channels are few.
constexpr int64_t kMaxPlanarChannels = 4;

double ConvFlops(const ConvSpec& s) {
  return 2.0 * static_cast<double>(s.batch * s.window.out_pixels() * s.window.taps()) *
         static_cast<double>(s.out_channels) * static_cast<double>(s.in_channels / s.groups);
}

// ---- implicit GEMM: every convolution

double EstimateGemm(const KernelRequest& request) {
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const ConvSpec& s = *spec;
  const int64_t columns = s.out_channels / s.groups;
  const Target target = TargetForColumns(columns);
  const int64_t lanes = GemmFor(target).lanes;
  const double lane_share =
      static_cast<double>(columns) / static_cast<double>((columns + lanes - 1) / lanes * lanes);
  // Filling and storing a tile costs about as much as 12 values of k.
  const double depth = static_cast<double>(s.in_channels / s.groups * s.window.taps());
  return Seconds({ConvFlops(s), 0.92 * lane_share * depth / (depth + 12), ConvBytes(request)},
                 target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateGemm(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels / spec.groups);
  return MakeConv<ConvGemm>(request, spec, machine);
}

// ---- planar input

Verdict AcceptPlanar(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = ConvSpecOf(request);
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  if (spec->in_channels > kMaxPlanarChannels)
    return Verdict::No(StrCat("more than ", kMaxPlanarChannels, " input channels"));
  if (spec->window.in[0] != 1 || spec->window.kernel[0] != 1)
    return Verdict::No("three spatial axes");
  return Verdict::Yes();
}

void PlanarLayouts(const KernelRequest& request, std::span<LayoutNeed> inputs,
                   std::span<LayoutNeed> outputs) {
  ConvLayouts(request, inputs, outputs);
  inputs[kX] = LayoutNeed::kRowMajor;
}

double EstimatePlanar(const KernelRequest& request) {
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const double taps = static_cast<double>(spec->in_channels * spec->window.taps());
  return Seconds({ConvFlops(*spec), 0.9 * taps / (taps + 12), ConvBytes(request)}, BestTarget(),
                 request.threads);
}

Result<std::unique_ptr<Kernel>> CreatePlanar(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels);
  return MakeConv<ConvPlanar>(request, spec, machine);
}

// ---- depthwise

Verdict AcceptDepthwise(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = ConvSpecOf(request);
  if (spec->groups != spec->in_channels || spec->groups != spec->out_channels)
    return Verdict::No("not one channel in and out of each group");
  return Verdict::Yes();
}

double EstimateDepthwise(const KernelRequest& request) {
  const Result<ConvSpec> spec = ConvSpecOf(request);
  return Seconds({ConvFlops(*spec), 0.4, ConvBytes(request)}, BestTarget(), request.threads);
}

Result<std::unique_ptr<Kernel>> CreateDepthwise(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  return MakeConv<Depthwise>(request, spec, MachineOf(request));
}

// ---- in the order of preference at equal cost

constexpr KernelEntry kDepthwise = {.name = "depthwise",
                                    .layouts = ConvLayouts,
                                    .accept = AcceptDepthwise,
                                    .estimate = EstimateDepthwise,
                                    .create = CreateDepthwise};
constexpr KernelEntry kPlanar = {.name = "planar_input",
                                 .layouts = PlanarLayouts,
                                 .accept = AcceptPlanar,
                                 .estimate = EstimatePlanar,
                                 .create = CreatePlanar};
constexpr KernelEntry kGemm = {.name = "implicit_gemm",
                               .layouts = ConvLayouts,
                               .accept = AcceptConv,
                               .estimate = EstimateGemm,
                               .create = CreateGemm};
constexpr auto kConvKernels = []<int... kI>(std::integer_sequence<int, kI...>) {
  return std::array{kDepthwise, kPlanar,
                    WinogradEntry<&kWinogradForms, kI, AcceptConv, ConvSpecOf>()..., kGemm};
}
(std::make_integer_sequence<int, kNumWinogradForms>());

}  // namespace

std::span<const KernelEntry> ConvKernels() { return kConvKernels; }

}  // namespace sula::cpu
