#include "backends/cpu/kernels/winograd/winograd.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace sula::cpu {
namespace {

// Floats between neighbouring rows of transformed data: whole cache lines, an odd number of them,
// so that the rows of a tall tile don't fall into one set of L1.
int64_t RowStride(int64_t channels) { return (channels + 15) / 16 / 2 * 32 + 16; }
int64_t PlaneStride(int64_t channels, int64_t tiles) { return RowStride(channels) * tiles + 16; }

// Where the first tile begins in the input.
int64_t Origin(const WinogradAxis& axis, int64_t pad) {
  return axis.transposed ? (pad - axis.shift) / axis.stride + axis.first_input() : -pad;
}

}  // namespace

double NoiseGain(const WinogradForm& form) {
  static constexpr auto kSquares = [] {
    std::array<double, kNumWinogradAxes> squares{};
    for (size_t i = 0; i < squares.size(); ++i) squares[i] = SquaredNoiseGain(kWinogradAxes[i]);
    return squares;
  }();
  return std::sqrt(kSquares[static_cast<size_t>(IndexOf(form.rows))] *
                   kSquares[static_cast<size_t>(IndexOf(form.columns))]);
}

double ExpectedError(const WinogradForm& form, int64_t channels, int64_t depth) {
  // Of channels / depth partial sums of `depth` terms each, every addition adds noise in proportion
  // to the sum so far: as much as one sum of about this many terms.
  const auto terms = static_cast<double>(depth >= channels ? channels : depth + channels / depth);
  return NoiseGain(form) * (1e-7 + 4.5e-8 * std::sqrt(terms));
}

int64_t DepthWithin(const WinogradForm& form, int64_t channels, double max_error) {
  for (int64_t depth : {channels, int64_t{64}, int64_t{32}})
    if (depth <= channels && ExpectedError(form, channels, depth) <= max_error) return depth;
  return 0;
}

Result<Winograd> Winograd::Make(const ConvSpec& spec, const WinogradForm& form, int64_t depth,
                                const float* weights, const float* bias, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const int64_t k = spec.in_channels, n = spec.out_channels;
  Winograd r;
  r.spec_ = spec, r.form_ = form, r.machine_ = machine, r.depth_ = depth;
  const WeightShape shape{n, 1, k, 1};
  r.panels_ = SplitColumns(shape, kernels.lanes, kernels.registers);
  r.filter_floats_ = static_cast<int64_t>(
      AlignUp(static_cast<size_t>(PackedFloats(r.panels_, shape, kernels.lanes)), 16));
  auto axis = [](const WinogradAxis& a) {
    return StrCat(a.n, " ", a.r, " ", a.stride, " ", a.shift, " ", int{a.transposed}, " ");
  };
  const std::string recipe = StrCat("winograd ", axis(form.rows), axis(form.columns), n, " ", k,
                                    " ", kernels.lanes, " ", kernels.registers);
  r.filters_ = MakePack<float>(machine.packs, recipe, r.filter_floats_ * form.positions(),
                               [&](float* to) { r.PackFilters(weights, to); });
  r.bias_ = PackBias(bias, n, n + kernels.lanes, machine);
  // Zeros stand for pixels outside and for the bias of the products.
  r.zeros_ = AlignedBuffer(static_cast<size_t>(std::max(k, BiasFloats(r.panels_, kernels.lanes))) *
                           sizeof(float));
  if (!r.filters_.data() || !r.bias_.data() || !r.zeros_.data())
    return ResourceExhausted("no memory for the transformed weights of a convolution");
  r.ChooseBlocks();
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
  const auto tasks = static_cast<int64_t>(panels_.size()) * steps;
  Parallel(machine_.threads).For(tasks, [&](int64_t task, int) {
    const Panel& panel = panels_[static_cast<size_t>(task / steps)];
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

void Winograd::ChooseBlocks() {
  const Window& w = spec_.window;
  auto count = [](int64_t all, int64_t part) { return (all + part - 1) / part; };
  tile_rows_ = count(w.out[1], form_.rows.outputs());
  tile_columns_ = count(w.out[2], form_.columns.outputs());
  tiles_ = spec_.batch * tile_rows_ * tile_columns_;
  // A block's transformed input and output take half of L2, as filters and maps pass through it
  // too; but at least 18 tiles, because all filters are read once per block.
  const auto l2 = static_cast<int64_t>(machine_.l2_bytes);
  const int64_t tile_bytes =
      form_.positions() * (RowStride(spec_.in_channels) + RowStride(spec_.out_channels)) * 4;
  int64_t block = std::max<int64_t>(18, l2 / 2 / tile_bytes);
  int64_t blocks = count(tiles_, block);
  if (machine_.threads > 1) {
    // Blocks of their own need no barriers between the steps; three for each thread leave room for
    // balance. With too few tiles, threads would read all filters for a handful each.
    const int64_t threads = machine_.threads;
    const int64_t each = std::min<int64_t>(3, tiles_ / (threads * 18));
    shared_ = each == 0;
    if (shared_) {
      blocks = count(tiles_, block * threads);  // every thread's L2 holds a share
    } else {
      blocks = count(std::max(blocks, each * threads), threads) * threads;
    }
  }
  block_tiles_ = count(tiles_, blocks);
}

size_t Winograd::scratch_floats() const {
  const int64_t positions = form_.positions();
  return AlignUp(static_cast<size_t>(positions * (PlaneStride(spec_.in_channels, block_tiles_) +
                                                  PlaneStride(spec_.out_channels, block_tiles_))),
                 16);
}

size_t Winograd::workspace_bytes() const {
  return scratch_floats() * 4 * static_cast<size_t>(shared_ ? 1 : machine_.threads);
}

void Winograd::Multiply(const WinogradCall& call, int64_t tiles, int position) const {
  GemmCall g;
  g.a = call.v + position * call.v_plane, g.a_stride = call.v_stride;
  g.panels = panels_.data();
  g.b = filters_.as<float>() + position * filter_floats_, g.bias = zeros_.as<float>();
  g.k = spec_.in_channels;
  g.prefetch = true;
  g.c = call.m + position * call.m_plane, g.c_stride = call.m_stride;
  const GemmKernels& kernels = GemmFor(machine_.target);
  const auto panels = static_cast<int>(panels_.size());
  if (depth_ >= g.k) return kernels.run(g, 0, tiles, 0, panels);
  // Partial sums, each added to those before.
  g.residual_stride = g.c_stride;
  for (int panel = 0; panel < panels; ++panel) {
    GemmCall part = g;
    for (int64_t k = 0; k < g.k; k += depth_) {
      part.a = g.a + k, part.k = std::min(depth_, g.k - k);
      part.b = g.b + k * panels_[static_cast<size_t>(panel)].vectors * kernels.lanes;
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
  base.tile_rows = tile_rows_, base.tile_columns = tile_columns_;
  base.in = args.in, base.in_stride = args.in_stride;
  base.zeros = zeros_.as<float>();
  base.v_stride = RowStride(spec_.in_channels);
  base.v_plane = PlaneStride(spec_.in_channels, block_tiles_);
  base.m_stride = RowStride(spec_.out_channels);
  base.m_plane = PlaneStride(spec_.out_channels, block_tiles_);
  base.bias = bias_.as<float>();
  base.out = args.out, base.out_stride = args.out_stride;
  base.residual = args.residual, base.residual_stride = args.residual_stride;
  base.epilogue = spec_.epilogue;
  const int64_t blocks = (tiles_ + block_tiles_ - 1) / block_tiles_;
  auto start = [&](int64_t block, int worker) {
    WinogradCall call = base;
    call.first_tile = block * block_tiles_;
    call.v = static_cast<float*>(args.workspace) + static_cast<size_t>(worker) * scratch_floats();
    call.m = call.v + positions * call.v_plane;
    return call;
  };
  if (!shared_) {
    parallel.For(blocks, [&](int64_t block, int worker) {
      const WinogradCall call = start(block, worker);
      const int64_t end = std::min(call.first_tile + block_tiles_, tiles_);
      TransformInput(call, call.first_tile, end);
      for (int p = 0; p < positions; ++p) Multiply(call, end - call.first_tile, p);
      TransformOutput(call, call.first_tile, end);
    });
    return;
  }
  for (int64_t block = 0; block < blocks; ++block) {
    const WinogradCall call = start(block, 0);
    const int64_t end = std::min(call.first_tile + block_tiles_, tiles_);
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
