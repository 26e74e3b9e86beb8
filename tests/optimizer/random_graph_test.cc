// Random graphs through the optimizer, every change verified.
#include <gtest/gtest.h>

#include "ir/text.h"
#include "optimizer/optimizer.h"
#include "support/random_graph.h"

namespace sula {
namespace {

TEST(RandomGraphs, EveryChangeKeepsTheNumbers) {
  const test::SeedRange seeds = test::SeedsToTest(400);
  uint64_t applications = 0;
  for (uint64_t seed = seeds.first; seed < seeds.end; ++seed) {
    const Graph graph = test::RandomGraph(seed);
    Graph optimized = graph;
    OptimizeOptions options;
    options.verify = true;
    options.verify_seed = seed;
    const Result<OptimizeReport> report = Optimize(optimized, options);
    ASSERT_TRUE(report.has_value())
        << "SULA_RANDOM_SEED=" << seed << ": " << report.status().ToString() << "\n"
        << Print(graph);
    applications += report->log.size();
    EXPECT_EQ(report->verified->unchecked, 0) << "SULA_RANDOM_SEED=" << seed;
  }
  EXPECT_GT(applications, 2 * (seeds.end - seeds.first));  // or the graphs test nothing
}

}  // namespace
}  // namespace sula
