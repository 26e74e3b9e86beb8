// Convolution: depthwise, planar input, patches, Winograd, implicit GEMM.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/conv_winograd.h"
#include "backends/cpu/kernels/conv/narrow.h"
#include "backends/cpu/kernels/conv/patches.h"
#include "backends/cpu/kernels/conv/plan.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/strassen_adapter.h"

namespace sula::cpu {
namespace {

// The planar kernel converts each input row once per band: pays while channels are few.
constexpr int64_t kMaxPlanarChannels = 4;
// Vector operations for each float that the planar kernel copies into strips, as it lies and split
// by a stride; and for each tap of a tile, which begins at strips of its own.
constexpr double kStripOperations = 0.25, kSplitOperations = 2, kStripTapOperations = 3;
// For each row of a window that the patches kernel copies.
constexpr double kPatchOperations = 30;
// The same for each float of a channel-last map that the narrow kernel turns into strips.
constexpr double kTurnOperations = 3;
// Of the depthwise kernels, by stride: for each tap and besides for each vector of output, a tile
// of one row in tiles of two, for each vector that is copied; for each tap where there is no fast
// kernel.
constexpr double kFastTap[] = {1.2, 1.5}, kFastRest[] = {0.5, 4.5};
constexpr double kOneRow = 0.75, kCopiedOperations = 3;
constexpr double kSlowTap = 7.5;

double ConvFlops(const ConvSpec& s) {
  return 2.0 * static_cast<double>(s.batch * s.window.out_pixels() * s.window.taps()) *
         static_cast<double>(s.out_channels) * static_cast<double>(s.in_channels / s.groups);
}

// ---- implicit GEMM: every convolution

// The share of the input that windows read: strides may leave out pixels.
double ShareRead(const Window& w) {
  double share = 1;
  for (size_t i = 0; i < w.stride.size(); ++i)
    share *= std::min(1.0, static_cast<double>(w.kernel[i]) / static_cast<double>(w.stride[i]));
  return share;
}

double BytesMoved(const KernelRequest& request, const Window& w) {
  return ActivationBytes(request) - (1 - ShareRead(w)) * BytesOf(request.inputs[kX]);
}

double EstimateGemm(const KernelRequest& request) {
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const Window& w = spec->window;
  const Machine machine = MachineFor(request, *spec);
  const ConvGemmPlan plan = PlanConvGemm(*spec, machine);
  const int64_t pixels = spec->batch * w.out_pixels();
  // Fresh input: what the windows of neighbouring pixels don't share.
  const double row_bytes = BytesOf(request.inputs[kX]) * ShareRead(w) / static_cast<double>(pixels);
  Work work = ProductWork(machine.target, plan.panels, plan.blocks, pixels, plan.shape.taps,
                          plan.shape.k, row_bytes);
  work.bytes = BytesMoved(request, w);
  return Seconds(work, machine.target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateGemm(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  return MakeConv<ConvGemm>(request, spec, MachineFor(request, spec));
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
  const double tiles =
      static_cast<double>(rows) * static_cast<double>(panels.size()) *
      std::ceil(static_cast<double>(w.out[2]) / kernels.tile_rows[panels.front().vectors]);
  work.seconds += VectorSeconds(machine.target,
                                copied * (w.stride[2] == 1 ? kStripOperations : kSplitOperations) +
                                    tiles * static_cast<double>(taps) * kStripTapOperations);
  work.bytes = ActivationBytes(request);
  return Seconds(work, machine.target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreatePlanar(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  return MakeConv<ConvPlanar>(request, spec, MachineFor(request, spec));
}

// ---- few output channels

Verdict AcceptNarrow(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = ConvSpecOf(request);
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  if (spec->out_channels > kMaxNarrowOutputs)
    return Verdict::No(StrCat("more than ", kMaxNarrowOutputs, " output channels"));
  const Window& w = spec->window;
  if (w.in[0] != 1 || w.kernel[0] != 1 || w.pad[0] != 0) return Verdict::No("three spatial axes");
  if (w.stride[2] != 1) return Verdict::No("a horizontal stride");
  return Verdict::Yes();
}

double EstimateNarrow(const KernelRequest& request) {
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const Window& w = spec->window;
  const NarrowKernels& kernels = NarrowFor(BestTarget());
  const int64_t tile = kernels.tile_pixels[spec->out_channels];
  const int64_t padded = (w.out[2] + tile - 1) / tile * tile;
  const auto band = static_cast<double>(PlanarBandRows(*spec, request.threads));
  const double bands =
      std::ceil(static_cast<double>(w.out[1]) / band) * static_cast<double>(spec->batch);
  // Each band turns the input rows it needs into strips.
  const double strip_rows = (band - 1) * static_cast<double>(w.stride[1]) +
                            static_cast<double>((w.kernel[1] - 1) * w.dilation[1] + 1);
  const double turned = bands * strip_rows * static_cast<double>(w.in[2] * spec->in_channels);
  Work work;
  work.tasks = bands;
  work.flops = ConvFlops(*spec) * static_cast<double>(padded) / static_cast<double>(w.out[2]);
  work.efficiency = 0.72;
  work.seconds = VectorSeconds(BestTarget(), kTurnOperations * turned);
  work.bytes = ActivationBytes(request);
  return Seconds(work, BestTarget(), request.threads);
}

Result<std::unique_ptr<Kernel>> CreateNarrow(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  return MakeConv<ConvNarrow>(request, spec, MachineOf(request));
}

// ---- planar input, windows side by side

Verdict AcceptPatches(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const Window& w = spec->window;
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  if (w.taps() == 1) return Verdict::No("windows of one pixel, which a copy turns faster");
  if (w.stride != w.kernel) return Verdict::No("a stride other than the kernel's size");
  if (w.dilation != Axes{1, 1, 1}) return Verdict::No("a dilation");
  for (size_t i = 0; i < 3; ++i)
    if (w.pad[i] != 0 || w.out[i] * w.kernel[i] > w.in[i]) return Verdict::No("padding");
  return Verdict::Yes();
}

double EstimatePatches(const KernelRequest& request) {
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const Machine machine = MachineFor(request, *spec);
  const GemmKernels& kernels = GemmFor(machine.target);
  const int64_t depth = spec->in_channels * spec->window.taps();
  const int64_t rows = spec->batch * spec->window.out_pixels();
  const std::vector<Panel> panels =
      SplitColumns({spec->out_channels, 1, depth, 1}, kernels.lanes, kernels.registers);
  GemmBlocks blocks{PatchesBlockRows(*spec, machine), static_cast<int>(panels.size()), 0, 1};
  blocks.row_blocks = (rows + blocks.rows - 1) / blocks.rows;
  Work work = ProductWork(machine.target, panels, blocks, rows, 1, depth,
                          static_cast<double>(depth) * sizeof(float));
  // Each row of a window is a copy by itself.
  const double values = static_cast<double>(rows * depth);
  const double copies = values / static_cast<double>(spec->window.kernel[2]);
  work.seconds += VectorSeconds(
      machine.target, kPatchOperations * copies + values / static_cast<double>(kernels.lanes));
  work.bytes = ActivationBytes(request);
  return Seconds(work, machine.target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreatePatches(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  return MakeConv<ConvPatches>(request, spec, MachineFor(request, spec));
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
  const Window& w = spec->window;
  const Target target = BestTarget();
  const double lanes = DepthwiseFor(target).lanes;
  const double whole = std::floor(static_cast<double>(spec->out_channels) / lanes);
  const bool tail = whole * lanes < static_cast<double>(spec->out_channels);
  const auto taps = static_cast<double>(w.taps());
  double operations = 0;
  if (DepthwiseIsFast(w)) {
    // Outputs are as many as tiles have room for; a tail of channels is computed row by row.
    const auto stride = static_cast<size_t>(w.stride[2] - 1);
    const double each = kFastTap[stride] * taps + kFastRest[stride];
    const double pairs = static_cast<double>(w.out[1] / 2);
    const double odd = kOneRow * static_cast<double>(w.out[1] % 2);
    const double tiles =
        whole * (pairs + odd) + (tail ? kOneRow * static_cast<double>(w.out[1]) : 0);
    const double columns = 4 * std::ceil(static_cast<double>(w.out[2]) / 4);
    operations = 2 * tiles * columns * each * static_cast<double>(w.out[0]);
    if (DepthwiseRingFloats(*spec) > 0)
      operations += kCopiedOperations * static_cast<double>(w.in_pixels()) * whole;
  } else {
    operations = kSlowTap * taps * static_cast<double>(w.out_pixels()) * (whole + tail);
  }
  Work work;
  work.seconds = VectorSeconds(target, operations * static_cast<double>(spec->batch));
  work.bytes = ActivationBytes(request);
  work.tasks = static_cast<double>(CutDepthwise(*spec, request.threads).count);
  return Seconds(work, target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateDepthwise(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, ConvSpecOf(request));
  return MakeConv<Depthwise>(request, spec, MachineOf(request));
}

// ---- pointwise, as a product by Strassen's algorithm

Verdict AcceptPointwise(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = ConvSpecOf(request);
  if (!spec->window.IsPointwise())
    return Verdict::No("a window of more than one pixel, or a stride");
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  return Verdict::Yes();
}

StrassenProduct PointwiseProduct(const KernelRequest& request) {
  const Result<ConvSpec> s = ConvSpecOf(request);
  StrassenProduct r;
  r.spec.m = s->batch * s->window.out_pixels();
  r.spec.n = s->out_channels, r.spec.k = s->in_channels;
  r.spec.epilogue = s->epilogue;
  r.weights = {ConstantData(request, kW), s->in_channels, 0, 1};
  r.strides = StridesOf(request);
  r.activation_bytes = ActivationBytes(request);
  r.machine = MachineFor(request, *s);
  return r;
}

template <int kLevels>
constexpr KernelEntry kStrassenConv =
    StrassenEntry<kLevels, AcceptPointwise, PointwiseProduct>(ConvLayouts);

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
constexpr KernelEntry kPatches = {.name = "planar_patches",
                                  .layouts = PlanarLayouts,
                                  .accept = AcceptPatches,
                                  .estimate = EstimatePatches,
                                  .create = CreatePatches};
constexpr KernelEntry kNarrow = {.name = "narrow_output",
                                 .layouts = ConvLayouts,
                                 .accept = AcceptNarrow,
                                 .estimate = EstimateNarrow,
                                 .create = CreateNarrow};
constexpr KernelEntry kGemm = {.name = "implicit_gemm",
                               .layouts = ConvLayouts,
                               .accept = AcceptConv,
                               .estimate = EstimateGemm,
                               .create = CreateGemm};
constexpr auto kConvKernels = []<int... kI>(std::integer_sequence<int, kI...>) {
  return std::array{kDepthwise,
                    kPlanar,
                    kPatches,
                    kNarrow,
                    WinogradEntry<&kWinogradForms, kI, AcceptConv, ConvSpecOf>()...,
                    kGemm,
                    kStrassenConv<1>,
                    kStrassenConv<2>};
}
(std::make_integer_sequence<int, kNumWinogradForms>());

}  // namespace

std::span<const KernelEntry> ConvKernels() { return kConvKernels; }

}  // namespace sula::cpu
