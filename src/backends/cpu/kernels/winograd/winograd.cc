#include "backends/cpu/kernels/winograd/winograd.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sula::cpu {
namespace {

// Where the first tile begins in the input.
int64_t Origin(const WinogradAxis& axis, int64_t pad) {
  return axis.transposed ? (pad - axis.shift) / axis.stride + axis.first_input() : -pad;
}

}  // namespace

Result<Winograd> Winograd::Make(const ConvSpec& spec, const WinogradForm& form, int64_t depth,
                                const float* weights, const float* bias, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const int64_t k = spec.in_channels, n = spec.out_channels;
  Winograd r;
  r.spec_ = spec, r.form_ = form, r.machine_ = machine, r.depth_ = depth;
  r.plan_ = PlanWinograd(spec, form, machine);
  r.filter_floats_ = static_cast<int64_t>(
      AlignUp(static_cast<size_t>(PackedFloats(r.plan_.panels, r.plan_.shape, kernels.lanes)), 16));
  auto axis = [](const WinogradAxis& a) {
    return StrCat(a.n, " ", a.r, " ", a.stride, " ", a.shift, " ", int{a.transposed}, " ");
  };
  const std::string recipe = StrCat("winograd ", axis(form.rows), axis(form.columns), n, " ", k,
                                    " ", kernels.lanes, " ", kernels.registers);
  r.filters_ = MakePack<float>(machine.packs, recipe, r.filter_floats_ * form.positions(),
                               [&](float* to) { r.PackFilters(weights, to); });
  r.bias_ = PackBias(bias, n, n + kernels.lanes, machine);
  // Zeros stand for pixels outside and for the bias of the products.
  r.zeros_ = AlignedBuffer(
      static_cast<size_t>(std::max(k, BiasFloats(r.plan_.panels, kernels.lanes))) * sizeof(float));
  if (!r.filters_.data() || !r.bias_.data() || !r.zeros_.data())
    return ResourceExhausted("no memory for the transformed weights of a convolution");
  return r;
}

void Winograd::PackFilters(const float* weights, float* to) const {
  const GemmKernels& kernels = GemmFor(machine_.target);
  static constexpr auto kMatrices = [] {
    std::array<WinogradFilterMatrix, kNumWinogradAxes> matrices{};
    for (size_t i = 0; i < matrices.size(); ++i)
      matrices[i] = WinogradFilterMatrix(MatricesOf(kWinogradAxes[i]));
    return matrices;
  }();
  const int64_t k = spec_.in_channels, taps = spec_.window.taps();
  constexpr int64_t kStep = 64;  // values of k to a task
  const int64_t steps = (k + kStep - 1) / kStep;
  const auto tasks = static_cast<int64_t>(plan_.panels.size()) * steps;
  Parallel(machine_.threads).For(tasks, [&](int64_t task, int) {
    const Panel& panel = plan_.panels[static_cast<size_t>(task / steps)];
    WinogradFilterPass pass;
    pass.rows = &kMatrices[static_cast<size_t>(IndexOf(form_.rows))];
    pass.columns = &kMatrices[static_cast<size_t>(IndexOf(form_.columns))];
    const bool transposed = form_.rows.transposed;
    pass.column_stride = transposed ? taps : k * taps;
    pass.k_stride = transposed ? spec_.out_channels * taps : taps;
    pass.weights = weights + panel.column * pass.column_stride;
    pass.num_columns = panel.columns, pass.width = panel.vectors * kernels.lanes;
    pass.k_begin = task % steps * kStep, pass.k_end = std::min(k, pass.k_begin + kStep);
    pass.to = to + panel.offset + pass.k_begin * pass.width;
    pass.to_position = filter_floats_;
    WinogradFor(machine_.target).filters(pass);
  });
}

size_t Winograd::scratch_floats() const {
  const int64_t positions = form_.positions();
  return AlignUp(
      static_cast<size_t>(positions * (WinogradPlaneStride(spec_.in_channels, plan_.block_tiles) +
                                       WinogradPlaneStride(spec_.out_channels, plan_.block_tiles))),
      16);
}

size_t Winograd::workspace_bytes() const {
  return scratch_floats() * 4 * static_cast<size_t>(plan_.shared ? 1 : machine_.threads);
}

void Winograd::Multiply(const WinogradCall& call, int64_t tiles, int position) const {
  GemmCall g;
  g.a = call.v + position * call.v_plane, g.a_stride = call.v_stride;
  g.panels = plan_.panels.data();
  g.b = filters_.as<float>() + position * filter_floats_, g.bias = zeros_.as<float>();
  g.k = spec_.in_channels;
  g.prefetch = true;
  g.c = call.m + position * call.m_plane, g.c_stride = call.m_stride;
  const GemmKernels& kernels = GemmFor(machine_.target);
  const auto panels = static_cast<int>(plan_.panels.size());
  if (depth_ >= g.k) return kernels.run(g, 0, tiles, 0, panels);
  // Partial sums, each added to those before.
  g.residual_stride = g.c_stride;
  for (int panel = 0; panel < panels; ++panel) {
    GemmCall part = g;
    for (int64_t k = 0; k < g.k; k += depth_) {
      part.a = g.a + k, part.k = std::min(depth_, g.k - k);
      part.b = g.b + k * plan_.panels[static_cast<size_t>(panel)].vectors * kernels.lanes;
      part.residual = k == 0 ? nullptr : g.c;
      kernels.run(part, 0, tiles, panel, panel + 1);
    }
  }
}

void Winograd::Run(const ConvArgs& args, const Parallel& parallel) const {
  const int positions = form_.positions();
  WinogradCall base;
  base.kernels = &WinogradFor(machine_.target), base.form = form_;
  base.window = &spec_.window;
  base.origin_row = Origin(form_.rows, spec_.window.pad[1]);
  base.origin_column = Origin(form_.columns, spec_.window.pad[2]);
  base.in_channels = spec_.in_channels, base.out_channels = spec_.out_channels;
  base.tile_rows = plan_.tile_rows, base.tile_columns = plan_.tile_columns;
  base.in = args.in, base.in_stride = args.in_stride;
  base.zeros = zeros_.as<float>();
  base.v_stride = WinogradRowStride(spec_.in_channels);
  base.v_plane = WinogradPlaneStride(spec_.in_channels, plan_.block_tiles);
  base.m_stride = WinogradRowStride(spec_.out_channels);
  base.m_plane = WinogradPlaneStride(spec_.out_channels, plan_.block_tiles);
  base.bias = bias_.as<float>();
  base.out = args.out, base.out_stride = args.out_stride;
  base.residual = args.residual, base.residual_stride = args.residual_stride;
  base.epilogue = spec_.epilogue;
  auto start = [&](int64_t block, int worker) {
    WinogradCall call = base;
    call.first_tile = block * plan_.block_tiles;
    call.v = static_cast<float*>(args.workspace) + static_cast<size_t>(worker) * scratch_floats();
    call.m = call.v + positions * call.v_plane;
    return call;
  };
  if (!plan_.shared) {
    parallel.For(plan_.blocks, [&](int64_t block, int worker) {
      const WinogradCall call = start(block, worker);
      const int64_t end = std::min(call.first_tile + plan_.block_tiles, plan_.tiles);
      TransformInput(call, call.first_tile, end);
      for (int p = 0; p < positions; ++p) Multiply(call, end - call.first_tile, p);
      TransformOutput(call, call.first_tile, end);
    });
    return;
  }
  for (int64_t block = 0; block < plan_.blocks; ++block) {
    const WinogradCall call = start(block, 0);
    const int64_t end = std::min(call.first_tile + plan_.block_tiles, plan_.tiles);
    const int64_t count = end - call.first_tile;
    const int64_t pieces = std::min<int64_t>(count, 4 * parallel.threads());
    auto by_piece = [&](auto transform) {
      parallel.For(pieces, [&](int64_t i, int) {
        transform(call, call.first_tile + count * i / pieces,
                  call.first_tile + count * (i + 1) / pieces);
      });
    };
    by_piece(TransformInput);
    parallel.For(positions, [&](int64_t p, int) { Multiply(call, count, static_cast<int>(p)); });
    by_piece(TransformOutput);
  }
}

}  // namespace sula::cpu
