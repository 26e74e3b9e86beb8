#include "backends/cpu/conv_winograd.h"

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
  const Window& w = spec.window;
  auto count = [](int64_t out, int64_t tile) { return (out + tile - 1) / tile; };
  const double tiles = static_cast<double>(spec.batch * count(w.out[1], form.rows.outputs()) *
                                           count(w.out[2], form.columns.outputs()));
  const double values = tiles * form.positions();
  const double k = static_cast<double>(spec.in_channels);
  const Target target = TargetForColumns(spec.out_channels);
  const int64_t lanes = GemmFor(target).lanes;
  const double n = static_cast<double>(count(spec.out_channels, lanes) * lanes);
  // Transforms take about 6 instructions per transformed input and 5 per output, loads and stores
  // included; as much as two flops each at the multiplication's efficiency.
  const double flops = 2 * values * (k * n + 6 * k + 5 * n);
  const double filters = form.positions() * k * n * 4;
  return Seconds({flops, 0.85 * k / (k + 12),
                  BytesOf(request.inputs[kX]) + BytesOf(request.outputs[0]) + filters},
                 target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateWinograd(const KernelRequest& request, const ConvSpec& spec,
                                               const WinogradForm& form) {
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels);
  const int64_t depth = DepthWithin(form, spec.in_channels, request.max_error);
  ASSIGN_OR_RETURN(Winograd impl, Winograd::Make(spec, form, depth, ConstantData(request, kW),
                                                 ConstantData(request, kBias), machine));
  std::string detail =
      StrCat(Name(machine.target), ", F(", form.rows.n, "x", form.columns.n, ", ", form.rows.r, "x",
             form.columns.r, "), ", impl.block_tiles(), " tiles a block");
  if (depth < spec.in_channels) detail += StrCat(", partial sums of ", depth);
  return std::unique_ptr<Kernel>(
      std::make_unique<ConvKernel<Winograd>>(std::move(impl), request, std::move(detail)));
}

}  // namespace sula::cpu
