// Transposed convolution.
#include <algorithm>
#include <array>
#include <utility>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/conv_winograd.h"
#include "backends/cpu/kernels/conv/columns.h"

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

// Pairs of an output position and a tap that meet along an axis, inside of the input or not.
double PhaseMeetings(const Window& w, size_t axis) {
  double meetings = 0;
  for (int64_t phase = 0; phase < std::min(w.stride[axis], w.out[axis]); ++phase) {
    const int64_t positions = (w.out[axis] - phase + w.stride[axis] - 1) / w.stride[axis];
    for (int64_t tap = 0; tap < w.kernel[axis]; ++tap)
      if ((phase + w.pad[axis] - tap * w.dilation[axis]) % w.stride[axis] == 0)
        meetings += static_cast<double>(positions);
  }
  return meetings;
}

double Estimate(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const int64_t n = spec->out_channels / spec->groups, k = spec->in_channels / spec->groups;
  const Target target = TargetForColumns(n);
  const int64_t lanes = GemmFor(target).lanes;
  // Groups of fewer columns than lanes are merged.
  const int64_t columns = spec->groups > 1 ? spec->out_channels : (n + lanes - 1) / lanes * lanes;
  double flops = 2.0 * static_cast<double>(spec->batch * columns * k);
  for (size_t axis = 0; axis < 3; ++axis) flops *= PhaseMeetings(spec->window, axis);
  // Phases have fewer taps each than the kernel, so the tiles' fixed costs weigh more.
  Work work{.flops = flops, .efficiency = 0.85, .bytes = ActivationBytes(request)};
  work.streams[0] = ColdStream(BytesOf(request.inputs[kW]));
  return Seconds(work, target, request.threads);
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
// ---- one product, then sums

// Columns of an image: more would be memory that no gain is worth.
constexpr double kMostColumnBytes = 1 << 26;
// Vector operations for each vector of columns that is added up, and besides for each output pixel.
constexpr double kSumOperations = 4, kPixelOperations = 12;
// How much longer both passes take together than each by its estimate: the columns push out of L2
// what the product reads (2 x 2 windows at stride 2, 64 and 128 channels: 6 to 27 % on Zen 3).
// Fitted, together with the efficiency of phases, to the layers of a U-Net and of a DCGAN.
constexpr double kTwoPasses = 1.2;

double ColumnBytes(const ConvSpec& spec) {
  return static_cast<double>(spec.window.in_pixels()) * static_cast<double>(spec.window.taps()) *
         static_cast<double>(spec.out_channels) * sizeof(float);
}

Verdict AcceptColumns(const KernelRequest& request) {
  if (Verdict v = AcceptConvInputs(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
  if (!spec.has_value()) return Verdict::No(spec.error().message());
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  // Phases make the same product then, and ConvColumns' bias of zeros has a recipe of its own only
  // by its length.
  if (spec->window.taps() == 1) return Verdict::No("a window of one pixel");
  if (ColumnBytes(*spec) > kMostColumnBytes) return Verdict::No("too many columns");
  return Verdict::Yes();
}

Machine ColumnMachine(const KernelRequest& request, const ConvSpec& spec) {
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels * spec.window.taps());
  return machine;
}

double EstimateColumns(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const Machine machine = ColumnMachine(request, *spec);
  const ColumnPlan plan = PlanColumns(*spec, machine);
  const int64_t pixels = spec->window.in_pixels(), k = spec->in_channels;
  Work product = ProductWork(machine.target, plan.panels, plan.blocks, pixels, 1, k,
                             static_cast<double>(k) * sizeof(float));
  product.bytes =
      ColumnBytes(*spec) + BytesOf(request.inputs[kX]) / static_cast<double>(spec->batch);
  const int lanes = ColumnsFor(machine.target).lanes;
  const auto vectors = static_cast<double>((spec->out_channels + lanes - 1) / lanes);
  const Window& w = spec->window;
  Work sums;
  sums.seconds = VectorSeconds(
      machine.target, vectors * kSumOperations * static_cast<double>(pixels * w.taps()) +
                          kPixelOperations * vectors * static_cast<double>(w.out_pixels()));
  sums.bytes = ColumnBytes(*spec) + BytesOf(request.outputs[0]) / static_cast<double>(spec->batch);
  return kTwoPasses * static_cast<double>(spec->batch) *
         (Seconds(product, machine.target, request.threads) +
          Seconds(sums, machine.target, request.threads));
}

Result<std::unique_ptr<Kernel>> CreateColumns(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  return MakeConv<ConvColumns>(request, spec, ColumnMachine(request, spec));
}

constexpr KernelEntry kColumns = {.name = "gemm_col2im",
                                  .layouts = ConvLayouts,
                                  .accept = AcceptColumns,
                                  .estimate = EstimateColumns,
                                  .create = CreateColumns};
constexpr auto kKernels = []<int... kI>(std::integer_sequence<int, kI...>) {
  return std::array{WinogradEntry<&kWinogradTransposedForms, kI, Accept, SpecOf>()..., kPhases,
                    kColumns};
}
(std::make_integer_sequence<int, kNumWinogradTransposedForms>());

}  // namespace

std::span<const KernelEntry> ConvTransposeKernels() { return kKernels; }

}  // namespace sula::cpu
