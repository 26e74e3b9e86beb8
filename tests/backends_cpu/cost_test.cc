#include "backends/cpu/cost.h"

#include <gtest/gtest.h>

#include "backends/cpu/kernel_table.h"
#include "backends_cpu/profiles.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula::cpu {
namespace {

Work Typical() {
  Work w{.flops = 1e8, .efficiency = 0.9, .bytes = 1e6, .seconds = 1e-4};
  w.streams[0] = {1e6, 1e6};
  w.streams[1] = {1e6, 1e5, true};
  return w;
}

TEST(Cost, GrowsWithEachPartOfTheWork) {
  for (const MachineProfile& profile : {TestProfile(), TestProfile512()}) {
    const ScopedProfile scoped(profile);
    for (int threads : {1, 2, 3}) {
      const auto grows = [&](auto change) {
        double before = 0;
        for (double size = 1e3; size < 1e9; size *= 1.3) {
          Work w = Typical();
          change(w, size);
          const double now = Seconds(w, Target::kAvx2, threads);
          EXPECT_GE(now, before) << size << " with " << threads << " threads";
          before = now;
        }
      };
      grows([](Work& w, double s) { w.flops = s; });
      grows([](Work& w, double s) { w.bytes = s; });
      grows([](Work& w, double s) { w.seconds = s * 1e-9; });
      grows([](Work& w, double s) { w.streams[0].bytes = s; });
      grows([](Work& w, double s) { w.streams[0].set = s; });
      grows([](Work& w, double s) { w.streams[1].set = s; });
      grows([](Work& w, double s) { w.sections = s; });
      grows([](Work& w, double s) { w.efficiency = 1e3 / s; });
    }
  }
}

TEST(Cost, WorkingSetsTakeTheRateOfTheirCache) {
  const MachineProfile profile = TestProfile();
  const ScopedProfile scoped(profile);
  const auto of = [](double set) {
    Work w;
    w.streams[0] = {1e9, set};
    return Seconds(w, Target::kAvx2, 1);
  };
  EXPECT_EQ(of(8 << 10), 0);  // L1's is part of the arithmetic
  const double l1 = 1 / profile.levels[0].read, l2 = 1 / profile.levels[1].read,
               memory = 1 / profile.levels[3].read;
  EXPECT_NEAR(of(128 << 10), 1e9 * (l2 - l1), 1e-6);
  EXPECT_NEAR(of(1e9), 1e9 * (memory - l1), 1e-6);
}

TEST(Cost, ThreadsPayForLargeWorkOnly) {
  const ScopedProfile scoped(TestProfile());
  const Work large{.flops = 1e9}, small{.flops = 1e4};
  EXPECT_LT(Seconds(large, Target::kAvx2, 2), 0.6 * Seconds(large, Target::kAvx2, 1));
  EXPECT_EQ(Seconds(small, Target::kAvx2, 2), Seconds(small, Target::kAvx2, 1));
  // Three equal tasks on two threads take as long as four.
  Work three = large, four = large;
  three.tasks = 3, four.tasks = 4;
  EXPECT_NEAR(Seconds(three, Target::kAvx2, 2), 4.0 / 3 * Seconds(four, Target::kAvx2, 2), 1e-5);
}

TEST(Cost, ProductsCountTheirTiles) {
  const MachineProfile profile = TestProfile();
  const ScopedProfile scoped(profile);
  const auto& tiles = profile.tiles[static_cast<size_t>(Target::kAvx2)];
  const Panel panel{.columns = 16, .vectors = 2};
  const auto of = [&](int64_t rows) { return GemmSeconds(Target::kAvx2, {&panel, 1}, rows, 100); };
  const auto tile = [&](size_t rows) {
    return tiles[1][rows - 1].fixed + 100 * tiles[1][rows - 1].step;
  };
  const double call = profile.panel_seconds[static_cast<size_t>(Target::kAvx2)];
  EXPECT_DOUBLE_EQ(of(6), call + tile(6));
  EXPECT_DOUBLE_EQ(of(12), call + 2 * tile(6));
  EXPECT_DOUBLE_EQ(of(7), call + tile(3) + tile(4));  // never a tile of one row alone
  EXPECT_DOUBLE_EQ(of(49), call + 5 * tile(5) + 4 * tile(6));
  for (int64_t rows = 1; rows < 100; ++rows) EXPECT_LE(of(rows), of(rows + 1)) << rows;
}

// The kernel that a convolution gets.
std::string ChosenFor(std::string_view convolution, int threads) {
  const Result<Graph> graph =
      ParseGraph(StrCat("graph \"g\" { input %x: float32", convolution, "output %y }"), AllOps());
  EXPECT_TRUE(graph.has_value()) << graph.error().ToString();
  const Node& node = graph->node(graph->TopologicalOrder().at(0));
  std::vector<TensorDesc> inputs, outputs;
  std::vector<const Tensor*> constants;
  for (ValueId v : node.inputs) {
    inputs.push_back(DenseDesc(DType::kFloat32, graph->value(v).type.shape->Concrete()));
    constants.push_back(graph->Constant(v));
  }
  for (ValueId v : node.outputs)
    outputs.push_back(DenseDesc(DType::kFloat32, graph->value(v).type.shape->Concrete()));
  const KernelRequest request{&node, inputs, outputs, constants, threads};
  std::string best;
  double least = 1e9;
  for (const KernelEntry& entry : CpuKernels(*node.op)) {
    if (!entry.accept(request)) continue;
    const double seconds = entry.estimate(request);
    EXPECT_GT(seconds, 0) << entry.name;
    EXPECT_EQ(seconds, entry.estimate(request)) << entry.name;
    if (seconds < least) least = seconds, best = entry.name;
  }
  return best;
}

TEST(Cost, ChoosesWhatTheProfileSays) {
  if (BestTarget() != Target::kAvx2 && BestTarget() != Target::kAvx512)
    GTEST_SKIP() << "the profile is of a machine with AVX2";
  const ScopedProfile scoped(BestTarget() == Target::kAvx2 ? TestProfile() : TestProfile512());
  for (int threads : {1, 2}) {
    EXPECT_EQ(ChosenFor("[1,64,56,56] const %w: float32[64,64,1,1] = random(1) %y = Conv(%x, %w)",
                        threads),
              "implicit_gemm");
    EXPECT_TRUE(ChosenFor("[1,128,56,56] const %w: float32[128,128,3,3] = random(1) "
                          "%y = Conv(%x, %w) {pads=[1, 1, 1, 1]}",
                          threads)
                    .starts_with("winograd"));
    EXPECT_EQ(ChosenFor("[1,96,56,56] const %w: float32[96,1,3,3] = random(1) "
                        "%y = Conv(%x, %w) {pads=[1, 1, 1, 1], group=96}",
                        threads),
              "depthwise");
  }
}

}  // namespace
}  // namespace sula::cpu
