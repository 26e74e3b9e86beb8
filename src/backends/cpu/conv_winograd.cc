#include "backends/cpu/conv_winograd.h"

#include <algorithm>

#include "backends/cpu/kernels/winograd/winograd.h"

namespace sula::cpu {

Verdict AcceptWinograd(const KernelRequest& request, const ConvSpec& spec,
                       const WinogradForm& form) {
  const WinogradAxis &rows = form.rows, &columns = form.columns;
  const Window& w = spec.window;
  if (w.kernel != Axes{1, rows.r, columns.r}) return Verdict::No("made for another kernel size");
  if (w.in[0] != 1 || w.out[0] != 1 || w.pad[0] != 0) return Verdict::No("three spatial axes");
  if (w.stride != Axes{1, rows.stride, columns.stride})
    return Verdict::No("made for another stride");
  if (w.dilation != Axes{1, 1, 1}) return Verdict::No("a dilation");
  if (spec.groups != 1) return Verdict::No(StrCat(spec.groups, " groups"));
  if (rows.transposed &&
      (w.pad[1] % rows.stride != rows.shift || w.pad[2] % columns.stride != columns.shift))
    return Verdict::No("an even padding");
  if (DepthWithin(form, spec.in_channels, request.max_error) == 0) {
    return Verdict::No(StrCat("an error of ", ExpectedError(form, spec.in_channels, 32),
                              " of the largest output is to be expected, max_error is ",
                              request.max_error));
  }
  return Verdict::Yes();
}

double EstimateWinograd(const KernelRequest& request, const ConvSpec& spec,
                        const WinogradForm& form) {
  const Machine machine = MachineFor(request, spec);
  const WinogradPlan plan = PlanWinograd(spec, form, machine);
  const int64_t lanes = GemmFor(machine.target).lanes;
  const double positions = form.positions();
  const auto tiles = static_cast<double>(plan.tiles), blocks = static_cast<double>(plan.blocks);
  auto vectors = [&](int64_t channels) {
    return static_cast<double>((channels + lanes - 1) / lanes);
  };
  const double k = vectors(spec.in_channels), n = vectors(spec.out_channels);
  Work work;
  const WinogradOperations operations = OperationsOf(form);
  work.seconds =
      VectorSeconds(machine.target, tiles * (operations.input * k + operations.output * n));
  // One product for each position, in partial sums.
  const int64_t depth = DepthWithin(form, spec.in_channels, request.max_error);
  auto product = [&](int64_t rows) {
    double seconds = 0;
    for (int64_t at = 0; at < spec.in_channels; at += depth)
      seconds +=
          GemmSeconds(machine.target, plan.panels, rows, std::min(depth, spec.in_channels - at));
    return positions * seconds;
  };
  work.seconds += (blocks - 1) * product(plan.block_tiles) +
                  product(plan.tiles - (plan.blocks - 1) * plan.block_tiles);
  work.bytes = ActivationBytes(request);
  const double vector_bytes = static_cast<double>(lanes) * sizeof(float);
  const double filters = positions * k * n * vector_bytes * static_cast<double>(lanes);
  const double block = positions * static_cast<double>(plan.block_tiles) * (k + n) * vector_bytes;
  work.streams[0] = ColdStream(filters);
  work.streams[1] = {filters * (blocks - 1), filters + block};
  // Transformed data are written and read, and go from one core to another where blocks are shared.
  work.streams[2] = {
      2 * tiles * positions * (k + n) * vector_bytes,
      plan.shared ? std::max(block, 2. * static_cast<double>(machine.l2_bytes)) : block, true};
  work.tasks = plan.shared ? positions : blocks;
  work.sections = plan.shared ? 3 * blocks : 1;
  return Seconds(work, machine.target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateWinograd(const KernelRequest& request, const ConvSpec& spec,
                                               const WinogradForm& form) {
  const Machine machine = MachineFor(request, spec);
  const int64_t depth = DepthWithin(form, spec.in_channels, request.max_error);
  ASSIGN_OR_RETURN(Winograd impl, Winograd::Make(spec, form, depth, ConstantData(request, kW),
                                                 ConstantData(request, kBias), machine));
  std::string detail =
      StrCat(Name(machine.target), ", F(", form.rows.n, "x", form.columns.n, ", ", form.rows.r, "x",
             form.columns.r, "), ", impl.block_tiles(), " tiles a block");
  if (depth < spec.in_channels) detail += StrCat(", partial sums of ", depth);
  return std::unique_ptr<Kernel>(std::make_unique<ConvKernel<Winograd>>(
      std::move(impl), StridesOf(request), std::move(detail)));
}

}  // namespace sula::cpu
