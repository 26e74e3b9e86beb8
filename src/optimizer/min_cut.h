// Minimum cuts of small networks: how to divide nodes in two at the least cost.
#pragma once

#include <cstdint>
#include <vector>

namespace sula {

// Node 0 is the source, node 1 the sink; others are added. Costs are capacities, not negative.
class MinCut {
 public:
  static constexpr int kSource = 0, kSink = 1;
  static constexpr int64_t kNever = int64_t{1} << 60;  // more than any sum of costs

  MinCut() : edges_of_(2) {}
  int AddNode();
  // The cost of a division with `from` on the source's side and `to` on the sink's.
  void AddCost(int from, int to, int64_t cost);
  // The least cost. Maximum flow along shortest paths (Dinic, 1970).
  int64_t Solve();
  // After Solve: whether a node is on the source's side in the division of least cost with the
  // fewest nodes there.
  bool OnSourceSide(int node) const { return level_[node] >= 0; }

 private:
  struct Edge {
    int to;
    int64_t left;
  };
  bool FindLevels();

  std::vector<Edge> edges_;  // each at an even place, its reverse behind it
  std::vector<std::vector<int>> edges_of_;
  std::vector<int> level_;  // steps from the source; -1 where no capacity leads
};

}  // namespace sula
