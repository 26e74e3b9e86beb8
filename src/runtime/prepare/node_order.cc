#include "runtime/prepare/node_order.h"

#include <algorithm>
#include <random>
#include <set>
#include <tuple>

namespace sula {
namespace {

// What an order of nodes means for memory. Nodes and storages are numbered from 0.
struct Problem {
  struct Item {
    std::vector<int> makes, reads;  // storages, each once
    std::vector<int> next;          // nodes that wait for this one, each once
    int waits_for = 0;              // number of nodes
  };
  std::vector<Item> items;
  std::vector<int64_t> bytes;  // by storage
  std::vector<int> readers;    // by storage: nodes that read it
};

void InsertOnce(std::vector<int>& list, int x) {
  if (std::ranges::find(list, x) == list.end()) list.push_back(x);
}

Problem MakeProblem(const ConcreteGraph& concrete) {
  const Graph& graph = concrete.graph;
  Problem p;
  p.items.resize(concrete.order.size());
  std::vector<int> storage(graph.value_slots(), -1), producer(graph.value_slots(), -1);
  for (size_t i = 0; i < concrete.order.size(); ++i) {
    const Node& node = graph.node(concrete.order[i]);
    Problem::Item& item = p.items[i];
    for (ValueId v : node.inputs) {
      if (v == kNoValue || producer[v] < 0) continue;
      const size_t before = p.items[producer[v]].next.size();
      InsertOnce(p.items[producer[v]].next, static_cast<int>(i));
      item.waits_for += p.items[producer[v]].next.size() > before;
      if (storage[v] >= 0) InsertOnce(item.reads, storage[v]);
    }
    const int viewed =
        node.op->Has(kReinterpret) && node.inputs[0] != kNoValue ? storage[node.inputs[0]] : -1;
    for (ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      producer[v] = static_cast<int>(i);
      if (viewed >= 0) {
        storage[v] = viewed;
        continue;
      }
      const std::optional<Dims> dims = KnownDims(graph.value(v));
      if (!dims || graph.value(v).constant) continue;
      storage[v] = static_cast<int>(p.bytes.size());
      item.makes.push_back(storage[v]);
      p.bytes.push_back(NumElements(*dims) *
                        static_cast<int64_t>(SizeOf(graph.value(v).type.dtype)));
    }
  }
  for (ValueId v : graph.outputs())
    if (storage[v] >= 0) p.bytes[storage[v]] = 0;
  p.readers.assign(p.bytes.size(), 0);
  for (const Problem::Item& item : p.items)
    for (int s : item.reads) ++p.readers[s];
  return p;
}

// Some nodes have run.
struct State {
  std::vector<int> readers_left, waits_for;
  std::vector<int> ready;
  std::vector<int> order;
  int64_t live = 0, peak = 0;
  uint64_t set = 0;  // a hash of the nodes that have run

  // live after the node, and peak until then.
  std::pair<int64_t, int64_t> After(const Problem& p, int node) const {
    int64_t now = live;
    for (int s : p.items[node].makes) now += p.bytes[s];
    const int64_t most = std::max(peak, now);
    for (int s : p.items[node].makes)
      if (p.readers[s] == 0) now -= p.bytes[s];
    for (int s : p.items[node].reads)
      if (readers_left[s] == 1) now -= p.bytes[s];
    return {now, most};
  }

  void Run(const Problem& p, int node) {
    std::tie(live, peak) = After(p, node);
    for (int s : p.items[node].reads) --readers_left[s];
    order.push_back(node);
    ready.erase(std::ranges::find(ready, node));
    for (int n : p.items[node].next)
      if (--waits_for[n] == 0) ready.push_back(n);
  }
};

State Begin(const Problem& p) {
  State s;
  s.readers_left = p.readers;
  for (size_t i = 0; i < p.items.size(); ++i) {
    s.waits_for.push_back(p.items[i].waits_for);
    if (p.items[i].waits_for == 0) s.ready.push_back(static_cast<int>(i));
  }
  return s;
}

int64_t PeakOf(const Problem& p) {
  State s = Begin(p);
  for (size_t i = 0; i < p.items.size(); ++i) s.Run(p, static_cast<int>(i));
  return s.peak;
}

// The best of the orders that keep `width` states at each length.
State Search(const Problem& p, size_t width) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> key(p.items.size());
  for (uint64_t& k : key) k = random();
  std::vector<State> beam = {Begin(p)};
  // A move by what it leads to; the node's place in the given order breaks ties.
  struct Move {
    int64_t peak, live;
    int node;
    size_t state;
    uint64_t set;
    auto operator<=>(const Move&) const = default;
  };
  for (size_t step = 0; step < p.items.size(); ++step) {
    std::vector<Move> moves;
    for (size_t b = 0; b < beam.size(); ++b)
      for (int node : beam[b].ready) {
        const auto [live, peak] = beam[b].After(p, node);
        moves.push_back({peak, live, node, b, beam[b].set ^ key[node]});
      }
    std::ranges::sort(moves);
    std::vector<State> next;
    std::set<uint64_t> seen;  // the first way to a set of nodes is the best: what follows is equal
    for (const Move& m : moves) {
      if (next.size() == width) break;
      if (!seen.insert(m.set).second) continue;
      next.push_back(beam[m.state]);
      next.back().Run(p, m.node);
      next.back().set = m.set;
    }
    beam = std::move(next);
  }
  return std::move(beam.front());
}

}  // namespace

size_t LiveBytes(const ConcreteGraph& graph) {
  return static_cast<size_t>(PeakOf(MakeProblem(graph)));
}

void OrderForMemory(ConcreteGraph& graph) {
  const size_t n = graph.order.size();
  for (NodeId id : graph.order)
    if (graph.graph.node(id).op->Has(kImpure)) return;
  // A state is copied for each node and each place of the beam.
  constexpr size_t kMaxCopied = 4'000'000;
  const size_t width = std::min<size_t>(16, kMaxCopied / (n * n + 1));
  if (width == 0) return;
  const Problem p = MakeProblem(graph);
  const int64_t given = PeakOf(p);
  const State best = Search(p, width);
  if (best.peak > given - given / 100 || best.peak == given) return;
  std::vector<NodeId> order;
  for (int i : best.order) order.push_back(graph.order[i]);
  graph.order = std::move(order);
}

}  // namespace sula
