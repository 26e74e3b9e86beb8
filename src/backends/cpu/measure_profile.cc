#include "backends/cpu/measure_profile.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "backends/cpu/kernels/speed/speed.h"
#include "backends/cpu/least_seconds.h"
#include "base/aligned_buffer.h"

namespace sula::cpu {
namespace {

using Clock = std::chrono::steady_clock;

// Other work on the machine only ever slows one down, for some milliseconds at a time: what is
// measured takes turns in short runs, and the least of each counts. So long for all tiles, for each
// cache and for memory; and so many rounds at least, on a slow machine.
constexpr double kTileSeconds = 0.03, kLevelSeconds = 0.004, kMemorySeconds = 0.016;
constexpr int kLeastRounds = 3;

struct Probe {
  std::function<void()> run;
  double least = 1e9;
};

void RunProbes(std::vector<Probe>& probes, double seconds) {
  const Clock::time_point start = Clock::now();
  std::chrono::duration<double> all{0};
  for (int round = 0; round < kLeastRounds || all.count() < seconds; ++round) {
    for (Probe& p : probes) {
      const Clock::time_point begin = Clock::now();
      p.run();
      const std::chrono::duration<double> t = Clock::now() - begin;
      p.least = std::min(p.least, t.count());
    }
    all = Clock::now() - start;
  }
}

// ---- products

// A tile at two depths; what the longer one takes more is due to the values of k alone.
constexpr int64_t kDepths[2] = {16, 128};
constexpr int kManyTiles = 4;
constexpr int kCalls = 12;  // in a row, so that a run is long against the clock's resolution

class TileProbes {
 public:
  explicit TileProbes(Target target) : target_(target), kernels_(GemmFor(target)) {
    for (int v = 0; v < 3; ++v) {
      panels_[v].columns = (v + 1) * kernels_.lanes, panels_[v].vectors = v + 1;
    }
  }

  // All heights of all widths.
  void AddTo(std::vector<Probe>& probes) {
    first_ = probes.size();
    Add(probes, 2, kManyTiles * kernels_.tile_rows[2], kDepths[0]);
    for (int v = 1; v <= 3; ++v)
      for (int rows = 1; rows <= kernels_.tile_rows[v]; ++rows)
        for (int64_t depth : kDepths) Add(probes, v, rows, depth);
  }
  void AddFullTile(std::vector<Probe>& probes) {
    first_ = probes.size();
    Add(probes, 2, kernels_.tile_rows[2], kDepths[1]);
  }

  // Seconds of one call of the probe i.
  double Seconds(const std::vector<Probe>& probes, size_t i) const {
    return probes[first_ + i].least / kCalls;
  }
  double FullTileFlops(double seconds) const { return Flops(2, kernels_.tile_rows[2]) / seconds; }

  void Read(const std::vector<Probe>& probes, MachineProfile& profile) const {
    // What a call takes before its first tile is left when the others' time is taken off.
    const size_t full =
        1 + 2 * static_cast<size_t>(kernels_.tile_rows[1] + kernels_.tile_rows[2] - 1);
    const double tile = (Seconds(probes, 0) - Seconds(probes, full)) / (kManyTiles - 1);
    const double in_call = std::max(0.0, Seconds(probes, full) - tile);
    profile.panel_seconds[static_cast<size_t>(target_)] = in_call;
    double best = 0;
    size_t i = 1;
    for (int v = 1; v <= 3; ++v)
      for (int rows = 1; rows <= kernels_.tile_rows[v]; ++rows) {
        const double t0 = Seconds(probes, i++), t1 = Seconds(probes, i++);
        const double step = std::max(0.0, t1 - t0) / static_cast<double>(kDepths[1] - kDepths[0]);
        const double fixed = std::max(0.0, t0 - in_call - step * static_cast<double>(kDepths[0]));
        profile.tiles[static_cast<size_t>(target_)][static_cast<size_t>(v) - 1].push_back(
            {step, fixed});
        best = std::max(best, Flops(v, rows) / t1);
      }
    profile.flops[static_cast<size_t>(target_)] = best;
  }

 private:
  double Flops(int vectors, int rows) const {
    return 2.0 * static_cast<double>(kDepths[1] * vectors * kernels_.lanes * rows);
  }
  void Add(std::vector<Probe>& probes, int vectors, int rows, int64_t depth) {
    GemmCall call;
    call.a = a_.as<float>(), call.a_stride = kDepths[1] + 16;
    call.panels = &panels_[static_cast<size_t>(vectors) - 1];
    call.b = b_.as<float>(), call.bias = bias_.as<float>();
    call.k = depth;
    call.c = c_.as<float>(), call.c_stride = 3 * kernels_.lanes;
    probes.push_back({[call, rows, run = kernels_.run] {
      for (int i = 0; i < kCalls; ++i) run(call, 0, rows, 0, 1);
    }});
  }

  Target target_;
  const GemmKernels& kernels_;
  size_t first_ = 0;
  std::array<Panel, 3> panels_;
  static constexpr size_t kMaxRows = 64;
  AlignedBuffer a_{kMaxRows * (kDepths[1] + 16) * sizeof(float)};
  AlignedBuffer b_{static_cast<size_t>(kDepths[1] * 3 * kernels_.lanes) * sizeof(float)};
  AlignedBuffer bias_{static_cast<size_t>(3 * kernels_.lanes) * sizeof(float)};
  AlignedBuffer c_{kMaxRows * static_cast<size_t>(3 * kernels_.lanes) * sizeof(float)};
};

// ---- memory

constexpr size_t kGrain = 4096;  // what blocks and pieces are multiples of
constexpr size_t kMostMemory = size_t{128} << 20;
constexpr size_t kPiece = size_t{1} << 20;

size_t Grains(size_t bytes) { return std::max(kGrain, bytes / kGrain * kGrain); }

constexpr LevelRates kUsualRates = {1e10, 1e10};
constexpr double kMostForkSeconds = 1e-6;  // for each thread; a sleeping one takes longer to wake

// Larger than the last cache: what lies in it has gone by the time it comes round again.
size_t MemoryBytes(const CpuInfo& cpu) {
  return Grains(std::clamp(cpu.l3_bytes * 2, size_t{16} << 20, kMostMemory));
}
// Well within L3, well beyond L2, of one of several threads.
size_t L3Bytes(const CpuInfo& cpu) { return Grains(std::min(4 * cpu.l2_bytes, kMostMemory / 4)); }

// Reads a block, or copies one half of it to the other.
void Move(float* block, size_t bytes, bool copy) {
  const SpeedKernels& kernels = SpeedFor(BestTarget());
  const auto floats = static_cast<int64_t>(bytes / sizeof(float));
  if (copy) {
    kernels.copy(block, block + floats / 2, floats / 2);
  } else {
    kernels.read(block, floats);
  }
}

// Of memory, all threads together; each has a share of the block and moves piece after piece of it.
// Some pieces are still in L3, and during some a thread had to wait for its turn: neither extreme
// is what counts.
LevelRates MemoryRates(int threads, const AlignedBuffer& block, size_t share) {
  const size_t piece = std::min(kPiece, share);
  const auto rate = [&](bool copy) {
    std::vector<size_t> at(static_cast<size_t>(threads), 0);
    const std::vector<double> times =
        SecondsTogether(threads, kMemorySeconds, 0, [&](int64_t thread) {
          const auto i = static_cast<size_t>(thread);
          Move(block.as<float>() + (i * share + at[i]) / sizeof(float), piece, copy);
          at[i] = at[i] + 2 * piece <= share ? at[i] + piece : 0;
        });
    return static_cast<double>(piece) * threads / times[times.size() / 4];
  };
  return {rate(false), rate(true)};
}

// A target that kernels are chosen from: the strongest, and AVX2 beside AVX-512.
bool Chosen(Target t) {
  return t == BestTarget() || (t == Target::kAvx2 && BestTarget() == Target::kAvx512);
}

}  // namespace

MachineProfile MeasureProfile() {
  const CpuInfo& cpu = CpuInfo::Get();
  MachineProfile profile;
  profile.key = ThisMachine();

  std::vector<Probe> probes;
  std::vector<std::pair<Target, std::unique_ptr<TileProbes>>> tiles;
  for (Target t : AvailableTargets()) {
    if (t == Target::kScalar16) continue;
    tiles.emplace_back(t, std::make_unique<TileProbes>(t));
    if (Chosen(t)) {
      tiles.back().second->AddTo(probes);
    } else {
      tiles.back().second->AddFullTile(probes);
    }
  }
  RunProbes(probes, kTileSeconds);
  for (const auto& [t, tile] : tiles) {
    if (Chosen(t)) {
      tile->Read(probes, profile);
    } else {
      profile.flops[static_cast<size_t>(t)] = tile->FullTileFlops(tile->Seconds(probes, 0));
    }
  }

  const AlignedBuffer block(MemoryBytes(cpu));
  const std::array<size_t, kNumLevels> sets = {Grains(cpu.l1d_bytes / 2), Grains(cpu.l2_bytes / 2),
                                               std::min(L3Bytes(cpu), block.bytes()),
                                               block.bytes()};
  for (size_t level = 0; level < 3 && block.data(); ++level) {
    const int calls = level == 0 ? 16 : 1;  // one would be short against the clock's resolution
    probes.clear();
    for (bool copy : {false, true})
      probes.push_back({[&, copy] {
        for (int i = 0; i < calls; ++i) Move(block.as<float>(), sets[level], copy);
      }});
    RunProbes(probes, kLevelSeconds);
    const double bytes = static_cast<double>(sets[level]) * calls;
    profile.levels[level] = {bytes / probes[0].least, bytes / probes[1].least};
  }
  if (block.data()) profile.levels[3] = MemoryRates(1, block, block.bytes());
  // Without memory to measure with: what is usual.
  for (LevelRates& rates : profile.levels)
    if (rates.read == 0) rates = kUsualRates;
  return profile;
}

ParallelSpeed MeasureParallel(const MachineProfile& one_thread, int threads, bool* busy) {
  const CpuInfo& cpu = CpuInfo::Get();
  const SpeedKernels& kernels = SpeedFor(BestTarget());
  constexpr double kSeconds = 12e-3;      // of each figure
  constexpr double kBusySeconds = 40e-3;  // until all threads have run at once
  ParallelSpeed speed;
  speed.threads = threads;
  *busy = false;

  const auto multiply = [&](int64_t) { kernels.multiply_add(3000); };
  const double one = LeastSeconds(1, 2e-3, 0, multiply);
  speed.speedup = std::min(
      1.0 * threads, threads * one / LeastSeconds(threads, kBusySeconds, 1.01 * one, multiply));

  // Each thread has a share of one block.
  const auto count = static_cast<size_t>(threads);
  const size_t share = Grains(MemoryBytes(cpu) / count);
  const AlignedBuffer block(share * count);
  if (!block.data()) {
    speed.l3 = speed.memory = kUsualRates;
    return speed;
  }
  const auto rate = [&](size_t set, bool copy) {
    const double least = LeastSeconds(threads, kSeconds, 0, [&](int64_t i) {
      Move(block.as<float>() + static_cast<size_t>(i) * share / sizeof(float), set, copy);
    });
    return static_cast<double>(set * count) / least;
  };
  const size_t l3 = std::min(L3Bytes(cpu), share);
  speed.l3 = {rate(l3, false), rate(l3, true)};
  speed.memory = MemoryRates(threads, block, share);

  // Forks follow each other as the layers of a net do: the workers are awake.
  const Parallel parallel(threads);
  double least = 1e9;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(8);
  do {
    std::atomic<int> missing{threads};
    const Clock::time_point begin = Clock::now();
    parallel.For(threads, [&](int64_t, int) {
      missing.fetch_sub(1);
      const Clock::time_point patience = Clock::now() + std::chrono::microseconds(50);
      while (missing.load() > 0 && Clock::now() < patience) {
      }
    });
    const std::chrono::duration<double> t = Clock::now() - begin;
    if (missing.load() == 0) least = std::min(least, t.count());
  } while (Clock::now() < end);
  *busy = least > kMostForkSeconds * threads;
  speed.fork_seconds = std::min(least, kMostForkSeconds * threads);

  // On a busy machine threads may never have run at once. Bounds that hold on any: two threads
  // share a core at most, and several read no slower than one.
  const auto at_least = [](LevelRates& r, const LevelRates& least) {
    r = {std::max(r.read, least.read), std::max(r.copy, least.copy)};
  };
  speed.speedup = std::max(speed.speedup, 0.5 * threads);
  at_least(speed.l3, one_thread.levels[2]);
  at_least(speed.memory, one_thread.levels[3]);
  return speed;
}

}  // namespace sula::cpu
