#include "backends/cpu/cost.h"

#include <algorithm>
#include <cmath>

namespace sula::cpu {
namespace {

// Cyclic access to a set that a cache does not quite hold finds less and less in it. A level's rate
// holds up to the first share of its size, the next one's from the second on, and between both a
// mix: sizes from 16 KiB to 128 MiB on Zen 3. L3 is shared, and not by this process alone.
struct Ramp {
  double from, to;
};
constexpr std::array<Ramp, 3> kRamps = {{{0.75, 1.5}, {0.75, 1.5}, {0.25, 1.25}}};
// Constants of a layer are an eighth of all of a net's, or less: what lies between two readings.
constexpr double kConstantsBetween = 8;

// A tile that reads its rows through pointers begins anew for each tap, which takes such a share of
// what it takes besides its steps (9 ns on Zen 3); and its pointers have to be written.
constexpr double kTapShare = 0.4;
constexpr double kPointerOperations = 6;

// Seconds for a byte of one thread, by the working set that it comes from.
class ByteSeconds {
 public:
  ByteSeconds(double LevelRates::*rate, int threads) {
    const MachineProfile& profile = CurrentProfile();
    for (size_t i = 0; i < kNumLevels; ++i) cost_[i] = 1 / profile.levels[i].*rate;
    sizes_ = {static_cast<double>(profile.key.l1d_bytes), static_cast<double>(profile.key.l2_bytes),
              static_cast<double>(profile.key.l3_bytes)};
    if (threads > 1) {
      // All threads get so much together; L1 and L2 are each one's own.
      const ParallelSpeed& all = CurrentParallel(threads);
      cost_[2] = std::max(cost_[2], all.threads / all.l3.*rate);
      cost_[3] = std::max(cost_[3], all.threads / all.memory.*rate);
    }
    for (size_t i = 1; i < kNumLevels; ++i) cost_[i] = std::max(cost_[i], cost_[i - 1]);
  }
  // Above what access to L1 takes, which is part of the arithmetic's time.
  double operator()(double set) const {
    double cost = 0;
    for (size_t i = 0; i < sizes_.size(); ++i) {
      const double from = kRamps[i].from * sizes_[i], to = kRamps[i].to * sizes_[i];
      const double beyond = sizes_[i] > 0 ? (set - from) / (to - from) : 1;
      cost += (cost_[i + 1] - cost_[i]) * std::clamp(beyond, 0.0, 1.0);
    }
    return cost;
  }

 private:
  std::array<double, kNumLevels> cost_;
  std::array<double, 3> sizes_;
};

// Seconds of `rows` rows of one panel of the GEMM kernels: tiles of nearly equal height.
double PanelSeconds(const std::vector<TileSeconds>& tiles, int64_t rows, double depth) {
  const auto height = static_cast<int64_t>(tiles.size());
  const int64_t count = (rows + height - 1) / height, least = rows / count, taller = rows % count;
  const auto of = [&](int64_t tile_rows) {
    const TileSeconds& t = tiles[static_cast<size_t>(tile_rows) - 1];
    return t.fixed + t.step * depth;
  };
  return static_cast<double>(count - taller) * of(least) +
         (taller > 0 ? static_cast<double>(taller) * of(least + 1) : 0);
}

}  // namespace

double PeakFlops(Target target) {
  const MachineProfile& profile = CurrentProfile();
  const double flops = profile.flops[static_cast<size_t>(target)];
  // Only tests ask for a target that the machine has no use for.
  return flops > 0 ? flops : profile.flops[static_cast<size_t>(Target::kScalar)];
}

double Seconds(const Work& work, Target target, int threads) {
  const ByteSeconds read(&LevelRates::read, threads), copy(&LevelRates::copy, threads);
  const double arithmetic = work.seconds + work.flops / (PeakFlops(target) * work.efficiency);
  // What several threads have written lies in each other's L2.
  const double l2 = static_cast<double>(CurrentL2Bytes());
  double memory = work.bytes * copy(threads > 1 ? std::max(work.bytes, 2 * l2) : work.bytes);
  for (const Work::Stream& s : work.streams)
    memory += s.bytes * (s.copied ? copy(s.set) : read(s.set));
  const double alone = arithmetic + memory;
  if (threads <= 1) return alone;
  const ParallelSpeed& all = CurrentParallel(threads);
  // Tasks are handed out one by one: the slowest thread does one more than the others.
  const double ragged =
      work.tasks > 0 ? std::ceil(work.tasks / all.threads) * all.threads / work.tasks : 1;
  const double together = ragged * (arithmetic / all.speedup + memory / all.threads);
  // Who forks starts on the tasks at once, and waits for nobody who has not: what is done before
  // others wake takes no longer than alone.
  return std::min(alone, together + work.sections * all.fork_seconds);
}

Work::Stream ColdStream(double bytes) {
  return {bytes, std::max(kConstantsBetween * bytes, 2 * static_cast<double>(CurrentL2Bytes()))};
}

double VectorSeconds(Target target, double operations) {
  return operations * 2 * GemmFor(target).lanes / PeakFlops(target);
}

double GemmSeconds(Target target, std::span<const Panel> panels, int64_t rows, int64_t depth) {
  const MachineProfile& profile = CurrentProfile();
  const MachineProfile::TileTable& tiles = profile.tiles[static_cast<size_t>(target)];
  std::array<int64_t, 3> count = {};
  for (const Panel& p : panels) ++count[static_cast<size_t>(p.vectors) - 1];
  double seconds = 0;
  for (size_t v = 0; v < count.size(); ++v) {
    if (count[v] == 0 || rows <= 0) continue;
    if (tiles[v].empty()) {  // of a target that the machine has no use for
      const double lanes = GemmFor(target).lanes * static_cast<double>(v + 1);
      seconds += 2 * static_cast<double>(count[v] * rows * depth) * lanes / PeakFlops(target);
      continue;
    }
    seconds +=
        static_cast<double>(count[v]) * (profile.panel_seconds[static_cast<size_t>(target)] +
                                         PanelSeconds(tiles[v], rows, static_cast<double>(depth)));
  }
  return seconds;
}

Work ProductWork(Target target, std::span<const Panel> panels, const GemmBlocks& blocks,
                 int64_t rows, int64_t taps, int64_t k, double row_bytes) {
  const int64_t depth = taps * k;
  const GemmKernels& kernels = GemmFor(target);
  Work w;
  w.tasks = static_cast<double>(blocks.tasks());
  const int64_t whole_blocks = blocks.row_blocks - 1;
  w.seconds = static_cast<double>(whole_blocks) * GemmSeconds(target, panels, blocks.rows, depth) +
              GemmSeconds(target, panels, rows - whole_blocks * blocks.rows, depth);

  double vectors = 0;
  for (const Panel& p : panels) vectors += p.vectors;
  const double weights = vectors * kernels.lanes * static_cast<double>(depth) * sizeof(float);
  const auto num_panels = static_cast<double>(panels.size());
  const double panel = weights / num_panels;
  const double tile_rows = kernels.tile_rows[panels.front().vectors];
  const double block_input = static_cast<double>(std::min(blocks.rows, rows)) * row_bytes;
  const double tiles = std::ceil(static_cast<double>(rows) / tile_rows);
  if (taps > 1) {
    const auto& table = CurrentProfile().tiles[static_cast<size_t>(target)];
    const auto& full = table[static_cast<size_t>(panels.front().vectors) - 1];
    if (!full.empty())
      w.seconds +=
          kTapShare * full.back().fixed * static_cast<double>(taps - 1) * tiles * num_panels;
    w.seconds += VectorSeconds(
        target, kPointerOperations * static_cast<double>(rows * taps) * blocks.panel_groups);
  }
  w.streams[0] = ColdStream(weights);
  // Each further block of rows reads them again, each further tile of a block its panel.
  w.streams[1] = {weights * static_cast<double>(whole_blocks), weights + block_input};
  // Its taps read again what they share with their neighbours.
  const double shared = std::max(0.0, static_cast<double>(depth) * sizeof(float) - row_bytes);
  w.streams[2] = {weights * std::max(0.0, tiles - static_cast<double>(blocks.row_blocks)) +
                      static_cast<double>(rows) * shared * num_panels,
                  panel + tile_rows * row_bytes};
  // Each further panel reads the block's input again.
  w.streams[3] = {static_cast<double>(rows) * row_bytes * (num_panels - 1), block_input + panel};
  return w;
}

Target TargetForColumns(int64_t columns) {
  const Target best = BestTarget();
  if (best != Target::kAvx512) return best;
  // Double-pumped AVX-512 (Zen 4) runs at the rate of AVX2. The margin keeps noise out.
  const bool half_rate = PeakFlops(Target::kAvx512) < 1.5 * PeakFlops(Target::kAvx2);
  const int64_t wide = (columns + 15) / 16 * 16, narrow = (columns + 7) / 8 * 8;
  return half_rate && wide * 9 > narrow * 10 ? Target::kAvx2 : best;
}

}  // namespace sula::cpu
