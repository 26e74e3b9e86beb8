// Convolution: depthwise, planar input, Winograd, implicit GEMM.
#include "ops/conv.h"

#include <cmath>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/conv/plan.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/winograd/winograd.h"

namespace sula::cpu {
namespace {

// The planar kernel converts each input row once per band: pays while channels are few.
constexpr int64_t kMaxPlanarChannels = 4;
// Winograd forms beyond this noise gain are refused: the largest error stays below 1e-5 of the
// largest output, an order of magnitude above a direct convolution's.
constexpr double kMaxNoiseGain = 10;

// Vector operations for each float that the planar kernel copies into strips.
constexpr double kStripOperations = 0.25;

Verdict AcceptConv(const KernelRequest& request) {
  if (Verdict v = AcceptConvInputs(request); !v) return v;
  if (Result<ConvSpec> spec = SpecOf(request); !spec.has_value())
    return Verdict::No(spec.error().message());
  return Verdict::Yes();
}

double ConvFlops(const ConvSpec& s) {
  return 2.0 * static_cast<double>(s.batch * s.window.out_pixels() * s.window.taps()) *
         static_cast<double>(s.out_channels) * static_cast<double>(s.in_channels / s.groups);
}

// ---- implicit GEMM: every convolution

// The machine, with the instruction set that fits the columns of the product.
Machine MachineFor(const KernelRequest& request, const ConvSpec& spec) {
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels / spec.groups);
  return machine;
}

double EstimateGemm(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const Window& w = spec->window;
  const Machine machine = MachineFor(request, *spec);
  const ConvGemmPlan plan = PlanConvGemm(*spec, machine);
  const int64_t pixels = spec->batch * w.out_pixels();
  // Fresh input: what the windows of neighbouring pixels don't share.
  const double row_bytes = static_cast<double>(spec->batch * w.in_pixels() * spec->in_channels) *
                           sizeof(float) / static_cast<double>(pixels);
  Work work = ProductWork(machine.target, plan.panels, plan.blocks, pixels,
                          plan.shape.taps * plan.shape.k, row_bytes);
  work.bytes = ActivationBytes(request);
  return Seconds(work, machine.target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateGemm(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  return MakeConv<ConvGemm>(request, spec, MachineFor(request, spec));
}

// ---- planar input

Verdict AcceptPlanar(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
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
  const Result<ConvSpec> spec = SpecOf(request);
  const Window& w = spec->window;
  const Machine machine = MachineFor(request, *spec);
  const GemmKernels& kernels = GemmFor(machine.target);
  const int64_t taps = spec->in_channels * w.taps();
  const std::vector<Panel> panels =
      SplitColumns({spec->out_channels, taps, 1, 1}, kernels.lanes, kernels.registers);
  const int64_t rows = spec->batch * w.out[1];
  const auto band = static_cast<double>(PlanarBandRows(*spec, machine.threads));
  const double bands =
      std::ceil(static_cast<double>(w.out[1]) / band) * static_cast<double>(spec->batch);
  Work work;
  work.tasks = bands;
  // Each output row is a product of its own; each band copies the input rows it needs.
  work.seconds = static_cast<double>(rows) * GemmSeconds(machine.target, panels, w.out[2], taps);
  const double strip_rows = (band - 1) * static_cast<double>(w.stride[1]) +
                            static_cast<double>((w.kernel[1] - 1) * w.dilation[1] + 1);
  const double copied = bands * strip_rows * static_cast<double>(w.in[2] * spec->in_channels);
  work.seconds += VectorSeconds(machine.target, kStripOperations * copied);
  work.bytes = ActivationBytes(request);
  return Seconds(work, machine.target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreatePlanar(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  return MakeConv<ConvPlanar>(request, spec, MachineFor(request, spec));
}

// ---- depthwise

Verdict AcceptDepthwise(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
  if (spec->groups != spec->in_channels || spec->groups != spec->out_channels)
    return Verdict::No("not one channel in and out of each group");
  return Verdict::Yes();
}

double EstimateDepthwise(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  Work work{.flops = ConvFlops(*spec), .efficiency = 0.4, .bytes = ActivationBytes(request)};
  work.tasks = static_cast<double>(CutDepthwise(*spec, request.threads).count);
  return Seconds(work, BestTarget(), request.threads);
}

Result<std::unique_ptr<Kernel>> CreateDepthwise(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  return MakeConv<Depthwise>(request, spec, MachineOf(request));
}

// ---- Winograd

template <int kForm>
Verdict AcceptWinograd(const KernelRequest& request) {
  constexpr WinogradForm kF = kWinogradForms[kForm];
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
  const Window& w = spec->window;
  if (w.kernel != Axes{1, kF.kernel_rows, kF.kernel_columns})
    return Verdict::No(StrCat("a kernel other than ", kF.kernel_rows, "x", kF.kernel_columns));
  if (w.in[0] != 1 || w.pad[0] != 0) return Verdict::No("three spatial axes");
  if (w.stride != Axes{1, 1, 1}) return Verdict::No("a stride");
  if (w.dilation != Axes{1, 1, 1}) return Verdict::No("a dilation");
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  if (const double gain = NoiseGain(kF); gain > kMaxNoiseGain)
    return Verdict::No(StrCat("rounding noise grows by ", gain, ", more than ", kMaxNoiseGain));
  return Verdict::Yes();
}

template <int kForm>
double EstimateWinograd(const KernelRequest& request) {
  constexpr WinogradForm kF = kWinogradForms[kForm];
  const Result<ConvSpec> spec = SpecOf(request);
  const Window& w = spec->window;
  const double tiles = static_cast<double>(spec->batch * ((w.out[1] + kF.rows - 1) / kF.rows) *
                                           ((w.out[2] + kF.columns - 1) / kF.columns));
  const double values = tiles * kF.positions();
  const double k = static_cast<double>(spec->in_channels);
  const double n = static_cast<double>(spec->out_channels);
  const Target target = TargetForColumns(spec->out_channels);
  // Transforms take about 6 instructions per transformed input and 5 per output, loads and stores
  // included; as much as two flops each at the multiplication's efficiency.
  const double flops = 2 * values * (k * n + 6 * k + 5 * n);
  const double filters = kF.positions() * k * n * 4;
  return Seconds({flops, 0.85 * k / (k + 12),
                  BytesOf(request.inputs[kX]) + BytesOf(request.outputs[0]) + filters},
                 target, request.threads);
}

template <int kForm>
Result<std::unique_ptr<Kernel>> CreateWinograd(const KernelRequest& request) {
  constexpr WinogradForm kF = kWinogradForms[kForm];
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels);
  ASSIGN_OR_RETURN(Winograd impl, Winograd::Make(spec, kForm, ConstantData(request, kW),
                                                 ConstantData(request, kBias), machine));
  std::string detail =
      StrCat(Name(machine.target), ", F(", kF.rows, "x", kF.columns, ", ", kF.kernel_rows, "x",
             kF.kernel_columns, "), ", impl.block_tiles(), " tiles a block");
  return std::unique_ptr<Kernel>(
      std::make_unique<ConvKernel<Winograd>>(std::move(impl), request, std::move(detail)));
}

template <int kForm>
constexpr KernelEntry WinogradEntry(std::string_view name) {
  return {.name = name,
          .layouts = ConvLayouts,
          .accept = AcceptWinograd<kForm>,
          .estimate = EstimateWinograd<kForm>,
          .create = CreateWinograd<kForm>};
}

constexpr KernelEntry kConvKernels[] = {
    {.name = "depthwise",
     .layouts = ConvLayouts,
     .accept = AcceptDepthwise,
     .estimate = EstimateDepthwise,
     .create = CreateDepthwise},
    {.name = "planar_input",
     .layouts = PlanarLayouts,
     .accept = AcceptPlanar,
     .estimate = EstimatePlanar,
     .create = CreatePlanar},
    WinogradEntry<0>("winograd_2x2_3x3"),
    WinogradEntry<1>("winograd_4x4_3x3"),
    WinogradEntry<2>("winograd_6x6_3x3"),
    WinogradEntry<3>("winograd_2x2_5x5"),
    WinogradEntry<4>("winograd_1x2_1x7"),
    WinogradEntry<5>("winograd_2x1_7x1"),
    WinogradEntry<6>("winograd_1x4_1x3"),
    WinogradEntry<7>("winograd_4x1_3x1"),
    {.name = "implicit_gemm",
     .layouts = ConvLayouts,
     .accept = AcceptConv,
     .estimate = EstimateGemm,
     .create = CreateGemm},
};

}  // namespace

std::span<const KernelEntry> ConvKernels() { return kConvKernels; }

}  // namespace sula::cpu
