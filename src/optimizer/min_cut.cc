#include "optimizer/min_cut.h"

#include <algorithm>

namespace sula {

int MinCut::AddNode() {
  edges_of_.emplace_back();
  return static_cast<int>(edges_of_.size()) - 1;
}

void MinCut::AddCost(int from, int to, int64_t cost) {
  if (cost <= 0) return;
  edges_of_[from].push_back(static_cast<int>(edges_.size()));
  edges_.push_back({to, cost});
  edges_of_[to].push_back(static_cast<int>(edges_.size()));
  edges_.push_back({from, 0});
}

bool MinCut::FindLevels() {
  level_.assign(edges_of_.size(), -1);
  level_[kSource] = 0;
  std::vector<int> queue = {kSource};
  for (size_t next = 0; next < queue.size(); ++next) {
    for (int e : edges_of_[queue[next]]) {
      const Edge& edge = edges_[e];
      if (edge.left == 0 || level_[edge.to] >= 0) continue;
      level_[edge.to] = level_[queue[next]] + 1;
      queue.push_back(edge.to);
    }
  }
  return level_[kSink] >= 0;
}

int64_t MinCut::Solve() {
  int64_t flow = 0;
  while (FindLevels()) {
    std::vector<size_t> next(edges_of_.size(), 0);
    std::vector<int> path;  // edges from the source
    for (;;) {
      const int at = path.empty() ? kSource : edges_[path.back()].to;
      if (at == kSink) {
        int64_t least = kNever;
        for (int e : path) least = std::min(least, edges_[e].left);
        size_t keep = path.size();
        for (size_t i = path.size(); i-- > 0;) {
          edges_[path[i]].left -= least;
          edges_[path[i] ^ 1].left += least;
          if (edges_[path[i]].left == 0) keep = i;
        }
        path.resize(keep);
        flow += least;
        continue;
      }
      const std::vector<int>& edges = edges_of_[at];
      while (next[at] < edges.size() && (edges_[edges[next[at]]].left == 0 ||
                                         level_[edges_[edges[next[at]]].to] != level_[at] + 1))
        ++next[at];
      if (next[at] < edges.size()) {
        path.push_back(edges[next[at]]);
      } else if (path.empty()) {
        break;
      } else {
        const int from = edges_[path.back() ^ 1].to;
        path.pop_back();
        ++next[from];
      }
    }
  }
  return flow;
}

}  // namespace sula
