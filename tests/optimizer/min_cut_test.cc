#include "optimizer/min_cut.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sula {
namespace {

// Against every way of dividing a few nodes.
TEST(MinCut, FindsTheLeastOfAllDivisions) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const int count = 2 + static_cast<int>(random() % 7);
    struct Edge {
      int from, to;
      int64_t cost;
    };
    std::vector<Edge> edges;
    MinCut cut;
    for (int i = 2; i < count; ++i) cut.AddNode();
    for (int i = 0; i < 3 * count; ++i) {
      const Edge e = {static_cast<int>(random() % count), static_cast<int>(random() % count),
                      static_cast<int64_t>(random() % 10)};
      edges.push_back(e);
      cut.AddCost(e.from, e.to, e.cost);
    }
    const auto cost_of = [&](uint32_t source_side) {
      int64_t cost = 0;
      for (const Edge& e : edges)
        if (source_side >> e.from & 1 && !(source_side >> e.to & 1)) cost += e.cost;
      return cost;
    };
    int64_t least = INT64_MAX;
    for (uint32_t side = 0; side < 1u << count; ++side)
      if ((side & 1) && !(side & 2)) least = std::min(least, cost_of(side));
    ASSERT_EQ(cut.Solve(), least) << "seed " << seed;
    uint32_t found = 0;
    for (int node = 0; node < count; ++node) found |= cut.OnSourceSide(node) ? 1u << node : 0;
    EXPECT_EQ(found & 3, 1u);
    EXPECT_EQ(cost_of(found), least) << "seed " << seed;
  }
}

}  // namespace
}  // namespace sula
