#include "backends/cpu/kernels/winograd/winograd.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backends/cpu/kernels/winograd/winograd_targets.h"

namespace sula::cpu {
namespace {

// Floats between neighbouring rows of transformed data: whole cache lines, an odd number of them,
// so that the rows of a tall tile don't fall into one set of L1.
int64_t RowStride(int64_t channels) { return (channels + 15) / 16 / 2 * 32 + 16; }
int64_t PlaneStride(int64_t channels, int64_t tiles) { return RowStride(channels) * tiles + 16; }

// The filter of every pair of channels at one position: G_i (rows) x G_j (columns), in double.
void TransformFilters(const WinogradForm& form, const float* weights, int64_t pairs, int position,
                      float* to) {
  const WinogradMatrices rows = CookToom(form.rows, form.kernel_rows);
  const WinogradMatrices columns = CookToom(form.columns, form.kernel_columns);
  const auto i = static_cast<size_t>(position / form.tile_columns());
  const auto j = static_cast<size_t>(position % form.tile_columns());
  const int taps = form.kernel_rows * form.kernel_columns;
  std::vector<double> g(static_cast<size_t>(taps));
  for (int a = 0; a < form.kernel_rows; ++a)
    for (int b = 0; b < form.kernel_columns; ++b)
      g[static_cast<size_t>(a * form.kernel_columns + b)] =
          rows.g[i][static_cast<size_t>(a)].ToDouble() *
          columns.g[j][static_cast<size_t>(b)].ToDouble();
  for (int64_t p = 0; p < pairs; ++p, weights += taps) {
    double sum = 0;
    for (int t = 0; t < taps; ++t) sum += g[static_cast<size_t>(t)] * weights[t];
    to[p] = static_cast<float>(sum);
  }
}

}  // namespace

double NoiseGain(const WinogradForm& form) {
  return NoiseGain(CookToom(form.rows, form.kernel_rows)) *
         NoiseGain(CookToom(form.columns, form.kernel_columns));
}

const WinogradKernels& WinogradFor(Target target) {
  static constexpr Variants<WinogradKernels> kVariants = {
      &kWinogradScalar,
      &kWinogradScalar16,
#ifdef SULA_CPU_SIMD
      &kWinogradAvx2,
      &kWinogradAvx512,
#endif
  };
  return Pick(kVariants, target);
}

Result<Winograd> Winograd::Make(const ConvSpec& spec, int form_index, const float* weights,
                                const float* bias, const Machine& machine) {
  const WinogradForm& form = kWinogradForms[form_index];
  const GemmKernels& kernels = GemmFor(machine.target);
  const int64_t k = spec.in_channels, n = spec.out_channels;
  Winograd r;
  r.spec_ = spec, r.form_ = form_index, r.machine_ = machine;
  const WeightShape shape{n, 1, k, 1};
  r.panels_ = SplitColumns(shape, kernels.lanes, kernels.registers);
  r.filter_floats_ = static_cast<int64_t>(
      AlignUp(static_cast<size_t>(PackedFloats(r.panels_, shape, kernels.lanes)), 16));
  const std::string recipe =
      StrCat("winograd ", form.rows, " ", form.kernel_rows, " ", form.columns, " ",
             form.kernel_columns, " ", n, " ", k, " ", kernels.lanes, " ", kernels.registers);
  r.filters_ =
      MakePack<float>(machine.packs, recipe, r.filter_floats_ * form.positions(), [&](float* to) {
        std::vector<float> plane(static_cast<size_t>(n * k));
        for (int position = 0; position < form.positions(); ++position) {
          TransformFilters(form, weights, n * k, position, plane.data());
          for (const Panel& panel : r.panels_)
            PackPanel({plane.data(), k, 0, 1}, panel, shape, kernels.lanes, 1,
                      to + position * r.filter_floats_);
        }
      });
  r.bias_ = PackBias(bias, n, n + kernels.lanes, machine);
  // Zeros stand for pixels outside and for the bias of the products.
  r.zeros_ = AlignedBuffer(static_cast<size_t>(std::max(k, BiasFloats(r.panels_, kernels.lanes))) *
                           sizeof(float));
  if (!r.filters_.data() || !r.bias_.data() || !r.zeros_.data())
    return ResourceExhausted("no memory for the transformed weights of a convolution");

  const Window& w = spec.window;
  r.tile_rows_ = (w.out[1] + form.rows - 1) / form.rows;
  r.tile_columns_ = (w.out[2] + form.columns - 1) / form.columns;
  r.tiles_ = spec.batch * r.tile_rows_ * r.tile_columns_;
  // A block's transformed input and output take half of L2, as filters and maps pass through it
  // too; but at least 18 tiles, because all filters are read once per block.
  const auto l2 = static_cast<int64_t>(machine.l2_bytes);
  const int64_t tile_bytes = form.positions() * (RowStride(k) + RowStride(n)) * 4;
  int64_t block = std::max<int64_t>(18, l2 / 2 / tile_bytes);
  if (machine.threads > 1) {
    // Blocks of their own need no barriers between the steps; but with too few of them, threads
    // would idle or read all filters for a handful of tiles each.
    const int64_t wanted = 3 * machine.threads;
    r.shared_ = r.tiles_ < wanted * 18;
    if (r.shared_) {
      block *= machine.threads;  // every thread's L2 holds a share
    } else {
      block = std::min(block, (r.tiles_ + wanted - 1) / wanted);
    }
  }
  const int64_t blocks = (r.tiles_ + block - 1) / block;
  r.block_tiles_ = (r.tiles_ + blocks - 1) / blocks;
  return r;
}

size_t Winograd::scratch_floats() const {
  const int64_t positions = kWinogradForms[form_].positions();
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
  GemmFor(machine_.target).run(g, 0, tiles, 0, static_cast<int>(panels_.size()));
}

void Winograd::Run(const ConvArgs& args, const Parallel& parallel) const {
  const int positions = kWinogradForms[form_].positions();
  const WinogradKernels& kernels = WinogradFor(machine_.target);
  const WinogradTransform input = kernels.input[static_cast<size_t>(form_)];
  const WinogradTransform output = kernels.output[static_cast<size_t>(form_)];
  WinogradCall base;
  base.window = &spec_.window;
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
      input(call, call.first_tile, end);
      for (int p = 0; p < positions; ++p) Multiply(call, end - call.first_tile, p);
      output(call, call.first_tile, end);
    });
    return;
  }
  for (int64_t block = 0; block < blocks; ++block) {
    const WinogradCall call = start(block, 0);
    const int64_t end = std::min(call.first_tile + block_tiles_, tiles_);
    const int64_t count = end - call.first_tile;
    const int64_t pieces = std::min<int64_t>(count, 4 * parallel.threads());
    auto by_piece = [&](WinogradTransform transform) {
      parallel.For(pieces, [&](int64_t i, int) {
        transform(call, call.first_tile + count * i / pieces,
                  call.first_tile + count * (i + 1) / pieces);
      });
    };
    by_piece(input);
    parallel.For(positions, [&](int64_t p, int) { Multiply(call, count, static_cast<int>(p)); });
    by_piece(output);
  }
}

}  // namespace sula::cpu
