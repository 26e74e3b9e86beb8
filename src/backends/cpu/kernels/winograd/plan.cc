#include "backends/cpu/kernels/winograd/plan.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sula::cpu {
namespace {

constexpr int64_t DivideUp(int64_t all, int64_t part) { return (all + part - 1) / part; }

// What one pass along an axis costs, in units of WinogradOperations: loads and multiply-adds start
// at up to two or three in a cycle, stores one.
constexpr double kLoad = 0.5, kStore = 2, kArithmetic = 0.75;

struct AxisOperations {
  double input = 0, output = 0;
};
constexpr AxisOperations CountOperations(const WinogradAxis& axis) {
  const WinogradMatrices m = MatricesOf(axis);
  if (axis.IsIdentity()) return {};
  const WinogradPairs in = PairsOf(m.bt, true, m.products, m.inputs);
  const WinogradPairs out = PairsOf(m.at, false, m.products, m.outputs);
  int input = 0, output = 0;
  for (int i = 0; i < m.products; ++i) {
    int terms = 0;
    for (int l = 0; l < m.inputs; ++l) terms += m.bt[i][l] == Rational(0) ? 0 : 1;
    // Both of a pair: the terms once, and a sum and a difference.
    if (in[i] != 2) input += in[i] == 1 ? terms : terms - 1;
    if (out[i] == 1) output += 2;
  }
  for (int k = 0; k < m.outputs; ++k) {
    int terms = 0;
    for (int i = 0; i < m.products; ++i) {
      terms += m.at[k][i] == Rational(0) || out[i] == 2 ? 0 : 1;
    }
    output += terms - 1;
  }
  return {kLoad * m.inputs + kStore * m.products + kArithmetic * input,
          kLoad * m.products + kStore * m.outputs + kArithmetic * output};
}

}  // namespace

int64_t WinogradRowStride(int64_t channels) {
  // Whole cache lines, an odd number of them, so that the rows of a tall tile of the product don't
  // fall into one set of L1.
  return (channels + 15) / 16 / 2 * 32 + 16;
}
int64_t WinogradPlaneStride(int64_t channels, int64_t tiles) {
  return WinogradRowStride(channels) * tiles + 16;
}

WinogradPlan PlanWinograd(const ConvSpec& spec, const WinogradForm& form, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const Window& w = spec.window;
  WinogradPlan p;
  p.shape = {spec.out_channels, 1, spec.in_channels, 1};
  p.panels = SplitColumns(p.shape, kernels.lanes, kernels.registers);
  p.tile_rows = DivideUp(w.out[1], form.rows.outputs());
  p.tile_columns = DivideUp(w.out[2], form.columns.outputs());
  p.tiles = spec.batch * p.tile_rows * p.tile_columns;
  // A block's transformed input and output take half of L2, as filters and maps pass through it
  // too; but at least 18 tiles, because all filters are read once per block.
  const auto l2 = static_cast<int64_t>(machine.l2_bytes);
  const int64_t tile_bytes =
      form.positions() * 4 *
      (WinogradRowStride(spec.in_channels) + WinogradRowStride(spec.out_channels));
  const int64_t block = std::max<int64_t>(18, l2 / 2 / tile_bytes);
  p.blocks = DivideUp(p.tiles, block);
  if (machine.threads > 1) {
    // Blocks of their own need no barriers between the steps; three for each thread leave room for
    // balance. With too few tiles, threads would read all filters for a handful each.
    const int64_t threads = machine.threads;
    const int64_t each = std::min<int64_t>(3, p.tiles / (threads * 18));
    p.shared = each == 0;
    if (p.shared) {
      p.blocks = DivideUp(p.tiles, block * threads);  // every thread's L2 holds a share
    } else {
      p.blocks = DivideUp(std::max(p.blocks, each * threads), threads) * threads;
    }
  }
  p.block_tiles = DivideUp(p.tiles, p.blocks);
  p.blocks = DivideUp(p.tiles, p.block_tiles);
  return p;
}

WinogradOperations OperationsOf(const WinogradForm& form) {
  static constexpr auto kAxes = [] {
    std::array<AxisOperations, kNumWinogradAxes> axes{};
    for (size_t i = 0; i < axes.size(); ++i) axes[i] = CountOperations(kWinogradAxes[i]);
    return axes;
  }();
  const AxisOperations& rows = kAxes[static_cast<size_t>(IndexOf(form.rows))];
  const AxisOperations& columns = kAxes[static_cast<size_t>(IndexOf(form.columns))];
  // Columns of pixels are transformed once for all tiles that share them.
  return {form.columns.input_step() * rows.input + form.rows.products() * columns.input,
          form.columns.products() * rows.output + form.rows.outputs() * columns.output +
              4 * form.rows.outputs() * form.columns.outputs() * kArithmetic};
}

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

}  // namespace sula::cpu
