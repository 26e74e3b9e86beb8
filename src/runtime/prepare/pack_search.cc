#include "runtime/prepare/pack_search.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sula {
namespace {

// Time from one beginning or end of a lifetime to the next: what is live does not change in it.
struct Section {
  size_t top = 0;       // end of the highest block placed
  size_t unplaced = 0;  // bytes of the blocks still to be placed
};

class Search {
 public:
  Search(std::span<const MemoryRequest> requests, size_t capacity)
      : requests_(requests), capacity_(capacity), blocks_(requests.size()) {
    std::vector<int> bounds;
    for (const MemoryRequest& r : requests) {
      bounds.push_back(r.first);
      bounds.push_back(r.last + 1);
    }
    std::sort(bounds.begin(), bounds.end());
    bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
    const auto section = [&](int step) {
      return static_cast<int>(std::lower_bound(bounds.begin(), bounds.end(), step) -
                              bounds.begin());
    };
    empty_.resize(bounds.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      Block& block = blocks_[i];
      block.first = section(requests[i].first);
      block.end = section(requests[i].last + 1);
      for (int s = block.first; s < block.end; ++s) empty_[s].unplaced += requests[i].bytes;
      for (size_t k = 0; k < i; ++k) {
        if (requests[k].last < requests[i].first || requests[i].last < requests[k].first) continue;
        block.neighbours.push_back(static_cast<int>(k));
        blocks_[k].neighbours.push_back(static_cast<int>(i));
      }
    }
  }

  // preference: all requests, those to be tried first at the front.
  std::optional<std::vector<size_t>> Run(std::span<const int> preference, int max_nodes) {
    sections_ = empty_;
    for (Block& block : blocks_) block.placed = false, block.least = 0;
    levels_.clear();
    candidates_.clear();
    saved_tops_.clear();
    saved_least_.clear();
    AddLevel(preference, 0);
    for (int nodes = 0; nodes < max_nodes;) {
      if (levels_.empty()) {
        impossible_ = true;
        break;
      }
      Level& level = levels_.back();
      if (level.placed >= 0) Remove(level);
      if (level.next == level.candidates_end) {
        candidates_.resize(level.candidates_begin);
        levels_.pop_back();
        continue;
      }
      ++nodes;
      if (!Place(level, candidates_[level.next++])) continue;
      if (levels_.size() == blocks_.size()) return Offsets();
      AddLevel(preference, blocks_[level.placed].least);
    }
    return std::nullopt;
  }

  // True if a run looked at everything and found nothing.
  bool impossible() const { return impossible_; }

 private:
  struct Block {
    int first = 0, end = 0;       // sections
    std::vector<int> neighbours;  // live at the same time
    size_t least = 0;  // the lowest offset above all placed neighbours; final once placed
    bool placed = false;
  };
  // One decision: which block is placed next.
  struct Level {
    size_t candidates_begin = 0, candidates_end = 0, next = 0;  // into candidates_
    int placed = -1;                                            // the one being tried
    size_t tops = 0, least = 0;  // sizes of saved_tops_ and saved_least_ before
  };

  size_t EndOf(int i) const { return blocks_[i].least + requests_[i].bytes; }

  // Candidates at or above `offset`. A block that would leave room for another one below it would
  // come after that one.
  void AddLevel(std::span<const int> preference, size_t offset) {
    size_t limit = std::numeric_limits<size_t>::max();
    for (size_t i = 0; i < blocks_.size(); ++i)
      if (!blocks_[i].placed)
        limit = std::min(limit, std::max(blocks_[i].least, offset) + requests_[i].bytes);
    Level level;
    level.candidates_begin = level.next = candidates_.size();
    for (int i : preference)
      if (!blocks_[i].placed && blocks_[i].least >= offset && blocks_[i].least < limit)
        candidates_.push_back(i);
    std::stable_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(level.candidates_begin),
                     candidates_.end(),
                     [&](int a, int b) { return blocks_[a].least < blocks_[b].least; });
    level.candidates_end = candidates_.size();
    levels_.push_back(level);
  }

  // Places a block at its least offset; false if the rest can then not fit any more. Remove undoes
  // either.
  bool Place(Level& level, int i) {
    Block& block = blocks_[i];
    level.placed = i;
    level.tops = saved_tops_.size();
    level.least = saved_least_.size();
    block.placed = true;
    const size_t offset = block.least, end = EndOf(i);
    for (int s = block.first; s < block.end; ++s) {
      saved_tops_.push_back(sections_[s].top);
      sections_[s].top = end;
      sections_[s].unplaced -= requests_[i].bytes;
    }
    // Nothing will be placed below `offset` any more.
    for (const Section& s : sections_)
      if (s.unplaced > 0 && std::max(s.top, offset) + s.unplaced > capacity_) return false;
    for (int k : block.neighbours) {
      if (blocks_[k].placed || blocks_[k].least >= end) continue;
      saved_least_.emplace_back(k, blocks_[k].least);
      blocks_[k].least = end;
    }
    return end <= capacity_;
  }

  void Remove(Level& level) {
    Block& block = blocks_[level.placed];
    for (; saved_least_.size() > level.least; saved_least_.pop_back())
      blocks_[saved_least_.back().first].least = saved_least_.back().second;
    for (int s = block.first; s < block.end; ++s) {
      sections_[s].top = saved_tops_[level.tops + static_cast<size_t>(s - block.first)];
      sections_[s].unplaced += requests_[level.placed].bytes;
    }
    saved_tops_.resize(level.tops);
    block.placed = false;
    level.placed = -1;
  }

  std::vector<size_t> Offsets() const {
    std::vector<size_t> offsets;
    for (const Block& block : blocks_) offsets.push_back(block.least);
    return offsets;
  }

  std::span<const MemoryRequest> requests_;
  size_t capacity_;
  std::vector<Block> blocks_;
  std::vector<Section> empty_, sections_;
  std::vector<Level> levels_;
  std::vector<int> candidates_;
  std::vector<size_t> saved_tops_;
  std::vector<std::pair<int, size_t>> saved_least_;
  bool impossible_ = false;
};

}  // namespace

std::optional<std::vector<size_t>> PackWithin(std::span<const MemoryRequest> requests,
                                              size_t capacity, int max_nodes) {
  if (requests.empty()) return std::vector<size_t>();
  Search search(requests, capacity);
  const auto steps = [&](int i) {
    return static_cast<double>(requests[i].last - requests[i].first + 1);
  };
  const auto bytes = [&](int i) { return static_cast<double>(requests[i].bytes); };
  std::vector<int> orders[3];
  for (std::vector<int>& order : orders) {
    order.resize(requests.size());
    std::iota(order.begin(), order.end(), 0);
  }
  const auto descending = [](std::vector<int>& order, auto key) {
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) > key(b); });
  };
  descending(orders[0], [&](int i) { return bytes(i) * steps(i); });
  descending(orders[1], steps);
  descending(orders[2], bytes);
  // Mostly one of the orders leads straight to a packing, so each gets a short attempt first.
  const int attempt = std::min(max_nodes, 4 * static_cast<int>(requests.size()));
  for (int nodes : {attempt, max_nodes}) {
    for (const std::vector<int>& order : orders) {
      if (auto offsets = search.Run(order, nodes)) return offsets;
      if (search.impossible()) return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace sula
