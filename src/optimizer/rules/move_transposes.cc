// Moving transposes out of the way: models that keep channels last inside come with a transpose
// before and after every convolution. Around each transpose lies a region of operators that could
// as well work on the other order of axes. For each of them there are two choices, and a transpose
// is needed wherever two neighbours choose differently; the choice with the least data moved is a
// minimum cut.
#include <algorithm>
#include <map>
#include <set>

#include "ops/movement.h"
#include "ops/shape_ops.h"
#include "optimizer/match.h"
#include "optimizer/min_cut.h"
#include "optimizer/permute.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// Nodes of a region: enough for a whole network, and a bound on the time for enormous ones.
constexpr size_t kMaxRegion = 1000;
// What a transpose costs beside the elements it moves, in elements.
constexpr int64_t kStartCost = 256;
constexpr int64_t kMaxElements = int64_t{1} << 40;
// Stands for sizes known only at run time.
constexpr int64_t kTypicalSize = 16;

// The cost of a transpose of a value of this shape.
int64_t TransposeCost(const Shape& shape, const Perm& perm) {
  if (MovesNothing(shape, perm)) return 0;
  int64_t elements = 1;
  for (const Dim& dim : shape) {
    DimBindings typical;
    for (const std::string& name : dim.Symbols()) typical.emplace(name, kTypicalSize);
    const Result<int64_t> size = dim.Evaluate(typical);
    const int64_t factor = size.has_value() ? std::max<int64_t>(*size, 1) : kTypicalSize;
    elements = factor > kMaxElements / elements ? kMaxElements : elements * factor;
  }
  return elements + kStartCost;
}

// The shape of what a value of this shape is the transpose of.
Shape SourceShape(const Shape& shape, const Perm& perm) {
  std::vector<Dim> dims(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) dims[perm[i]] = shape[static_cast<int>(i)];
  return Shape(std::move(dims));
}

class Region {
 public:
  Region(const Graph& g, const UseIndex& uses) : g_(g), uses_(uses) {}

  // Gathers what could work on the source of this transpose. False if there is nothing.
  bool Grow(ValueId transposed, const Perm& perm) {
    AddValue(transposed, perm);
    while (!work_.empty() && plans_.size() < kMaxRegion) {
      const ValueId v = work_.back();
      work_.pop_back();
      const Perm perm = perms_.at(v);  // a copy: the map grows
      for (NodeId reader : uses_.Of(v)) {
        if (g_.node(reader).Is(op::kTranspose) || plans_.contains(reader)) continue;
        const Node& node = g_.node(reader);
        const size_t at = std::ranges::find(node.inputs, v) - node.inputs.begin();
        AddNode(reader, PermuteFromInput(g_, node, at, perm));
      }
      const NodeId producer = g_.value(v).producer;
      if (producer == kNoNode || g_.node(producer).Is(op::kTranspose) || plans_.contains(producer))
        continue;
      AddNode(producer, PermuteFromOutput(g_, g_.node(producer), g_.value(v).output_index, perm));
    }
    return !plans_.empty();
  }

  // Divides the region. False if no choice is better than what is there.
  bool Divide() {
    for (const auto& [id, plan] : plans_) {
      cut_nodes_.emplace(id, cut_.AddNode());
      if (plan.slower) AddUnary(id, CostOf(g_.node(id).outputs[0]) / 4, 0);
    }
    for (const auto& [v, perm] : perms_) AddCosts(v, perm);
    return cut_.Solve() < cost_now_;
  }

  std::optional<Patch> Rewrite() {
    Patch patch(g_);
    for (NodeId id : Order()) {
      const Node& node = g_.node(id);
      const PermutedNode& plan = plans_.at(id);
      std::vector<ValueId> inputs = node.inputs;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (!plan.inputs[i].empty()) inputs[i] = SourceOf(inputs[i], patch);
      const std::vector<ValueId> outputs = AddPermuted(g_, node, plan, std::move(inputs), patch);
      if (outputs.size() < node.outputs.size()) return std::nullopt;
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        if (!node.HasOutput(i)) continue;
        const ValueId v = node.outputs[i];
        if (plan.outputs[i].empty()) {
          patch.Replace(v, outputs[i]);
        } else {
          sources_.emplace(v, outputs[i]);
        }
      }
    }
    for (const auto& [v, source] : sources_) {
      const NodeId producer = g_.value(v).producer;
      if (producer == kNoNode || !Flipped(producer)) continue;
      // Transposes that follow are merged at once, so that the cost is what was reckoned.
      bool outside = g_.IsOutput(v);
      for (NodeId reader : uses_.Of(v)) {
        const std::optional<Perm> after = AfterPerm(reader);
        if (after) {
          const Perm all = Compose(perms_.at(v), *after);
          patch.Replace(g_.node(reader).outputs[0],
                        IsIdentity(all) ? source
                                        : patch.AddNode(op::kTranspose, TransposeBy(all), {source},
                                                        g_.node(reader).name));
        } else {
          outside |= !Flipped(reader) || !ReadsAsData(reader, v);
        }
      }
      if (!outside) continue;
      patch.Replace(v, patch.AddNode(op::kTranspose, TransposeBy(perms_.at(v)), {source},
                                     g_.node(producer).name + "/transpose"));
    }
    return patch;
  }

 private:
  void AddValue(ValueId v, const Perm& perm) {
    perms_.emplace(v, perm);
    work_.push_back(v);
  }

  // Takes a node into the region unless its values are there already with other permutations.
  void AddNode(NodeId id, std::optional<PermutedNode> plan) {
    if (!plan) return;
    const Node& node = g_.node(id);
    std::vector<std::pair<ValueId, Perm>> values;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!plan->inputs[i].empty()) values.emplace_back(node.inputs[i], plan->inputs[i]);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (IsIdentity(plan->outputs[i])) plan->outputs[i].clear();
      if (node.HasOutput(i) && !plan->outputs[i].empty())
        values.emplace_back(node.outputs[i], plan->outputs[i]);
    }
    for (const auto& [v, perm] : values) {
      const auto it = perms_.find(v);
      if (!ShapeOf(g_, v) || (it != perms_.end() && it->second != perm)) return;
    }
    for (const auto& [v, perm] : values)
      if (!perms_.contains(v)) AddValue(v, perm);
    plans_.emplace(id, *std::move(plan));
  }

  int64_t CostOf(ValueId v) const {
    const auto it = perms_.find(v);
    return it == perms_.end() ? 0 : TransposeCost(*ShapeOf(g_, v), Inverse(it->second));
  }

  // A node's costs if it changes and if it stays.
  void AddUnary(NodeId id, int64_t changed, int64_t stays) {
    cut_.AddCost(cut_nodes_.at(id), MinCut::kSink, changed);
    cut_.AddCost(MinCut::kSource, cut_nodes_.at(id), stays);
    cost_now_ += stays;
  }

  // Whether the region's node reads v as data (not as indices, say).
  bool ReadsAsData(NodeId id, ValueId v) const {
    const auto it = plans_.find(id);
    if (it == plans_.end()) return false;
    const std::vector<ValueId>& inputs = g_.node(id).inputs;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i] == v && it->second.inputs[i].empty()) return false;
    return true;
  }

  void AddCosts(ValueId v, const Perm& perm) {
    const int64_t cost = CostOf(v);
    std::vector<int> readers;  // in the region
    std::vector<Perm> transposes;
    bool outside = g_.IsOutput(v);
    for (NodeId reader : uses_.Of(v)) {
      if (const std::optional<Perm> after = AfterPerm(reader)) {
        transposes.push_back(*after);
      } else if (ReadsAsData(reader, v)) {
        readers.push_back(cut_nodes_.at(reader));
      } else {
        outside = true;
      }
    }
    const NodeId producer = g_.value(v).producer;
    if (producer != kNoNode && plans_.contains(producer)) {
      for (const Perm& after : transposes) {
        // They merge with the transpose that the value needs then.
        AddUnary(producer, TransposeCost(SourceShape(*ShapeOf(g_, v), perm), Compose(perm, after)),
                 TransposeCost(*ShapeOf(g_, v), after));
      }
      const int node = cut_nodes_.at(producer);
      if (outside) {
        AddUnary(producer, cost, 0);
      } else {
        AnyOf(readers, node, cost, /*changed=*/false);
      }
      AnyOf(readers, node, cost, /*changed=*/true);
    } else if (producer != kNoNode && g_.node(producer).Is(op::kTranspose)) {
      const std::optional<Perm> before = PermOf(g_, producer);
      if (before && *before == perm) {
        if (!outside && transposes.empty()) {
          AnyOf(readers, MinCut::kSource, cost, /*changed=*/false);
          if (!readers.empty()) cost_now_ += cost;
        }
      } else {
        const Shape* in = ShapeOf(g_, g_.node(producer).inputs[0]);
        const int64_t merged =
            before && in ? TransposeCost(*in, Compose(*before, Inverse(perm))) : cost;
        AnyOf(readers, MinCut::kSink, merged, /*changed=*/true);
      }
    } else {
      AnyOf(readers, MinCut::kSink, cost, /*changed=*/true);
    }
  }

  // A cost that arises once if any reader changes while `other` stays, or the reverse.
  void AnyOf(const std::vector<int>& readers, int other, int64_t cost, bool changed) {
    if (readers.empty() || cost == 0) return;
    const int any = cut_.AddNode();
    for (int reader : readers) {
      if (changed) {
        cut_.AddCost(reader, any, MinCut::kNever);
      } else {
        cut_.AddCost(any, reader, MinCut::kNever);
      }
    }
    if (changed) {
      cut_.AddCost(any, other, cost);
    } else {
      cut_.AddCost(other, any, cost);
    }
  }

  bool Flipped(NodeId id) const {
    const auto it = cut_nodes_.find(id);
    return it != cut_nodes_.end() && cut_.OnSourceSide(it->second);
  }

  // The permutation of a reader that is a transpose.
  std::optional<Perm> AfterPerm(NodeId reader) const {
    return g_.node(reader).Is(op::kTranspose) ? PermOf(g_, reader) : std::nullopt;
  }

  // The nodes that change, producers first.
  std::vector<NodeId> Order() const {
    std::map<NodeId, int> waiting;
    std::vector<NodeId> order;
    for (const auto& [id, plan] : plans_) {
      if (!Flipped(id)) continue;
      std::set<NodeId> producers;
      for (ValueId v : g_.node(id).inputs)
        if (v != kNoValue && g_.value(v).producer != kNoNode && Flipped(g_.value(v).producer))
          producers.insert(g_.value(v).producer);
      waiting[id] = static_cast<int>(producers.size());
      if (producers.empty()) order.push_back(id);
    }
    for (size_t next = 0; next < order.size(); ++next) {
      std::set<NodeId> readers;
      for (ValueId v : g_.node(order[next]).outputs)
        if (v != kNoValue) readers.insert(uses_.Of(v).begin(), uses_.Of(v).end());
      for (NodeId reader : readers)
        if (Flipped(reader) && --waiting.at(reader) == 0) order.push_back(reader);
    }
    return order;
  }

  // The value of which v is the transpose, made once.
  ValueId SourceOf(ValueId v, Patch& patch) {
    const auto it = sources_.find(v);
    if (it != sources_.end()) return it->second;
    const Perm& perm = perms_.at(v);
    ValueId from = v;
    Perm undo = Inverse(perm);
    const NodeId producer = g_.value(v).producer;
    if (producer != kNoNode && g_.node(producer).Is(op::kTranspose)) {
      if (const std::optional<Perm> before = PermOf(g_, producer)) {
        from = g_.node(producer).inputs[0];
        undo = Compose(*before, undo);
      }
    }
    ValueId source = from;
    if (!IsIdentity(undo)) {
      const std::string name = StrCat(g_.value(v).name, "/transpose");
      source = patch.AddNode(op::kTranspose, TransposeBy(undo), {from}, name);
    }
    sources_.emplace(v, source);
    return source;
  }

  const Graph& g_;
  const UseIndex& uses_;
  std::map<ValueId, Perm> perms_;  // of the values that the region reads and computes
  std::map<NodeId, PermutedNode> plans_;
  std::vector<ValueId> work_;
  MinCut cut_;
  std::map<NodeId, int> cut_nodes_;
  int64_t cost_now_ = 0;
  std::map<ValueId, ValueId> sources_;
};

std::optional<Patch> MoveTransposes(const Graph& g, const UseIndex& uses, NodeId id) {
  const std::optional<Perm> perm = PermOf(g, id);
  const Node& node = g.node(id);
  if (!perm || IsIdentity(*perm) || !ShapeOf(g, node.outputs[0])) return std::nullopt;
  // What follows could work on its input; what comes before it, on its output.
  for (const bool down : {true, false}) {
    Region region(g, uses);
    const bool any =
        down ? region.Grow(node.outputs[0], *perm) : region.Grow(node.inputs[0], Inverse(*perm));
    if (any && region.Divide()) return region.Rewrite();
  }
  return std::nullopt;
}

// ---- at no cost

// Past element-wise operators: the operator before the transpose can then take them in.
std::optional<Patch> SinkTranspose(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  if (!node.op->Has(kElementwise) || !node.op->Has(kLayoutAgnostic) || node.outputs.size() != 1)
    return std::nullopt;
  const auto transpose = std::ranges::find_if(
      node.inputs, [&](ValueId v) { return ProducedBy(g, v, op::kTranspose) != kNoNode; });
  if (transpose == node.inputs.end()) return std::nullopt;
  const std::optional<Perm> perm = PermOf(g, g.value(*transpose).producer);
  if (!perm || IsIdentity(*perm)) return std::nullopt;
  const std::optional<PermutedNode> plan =
      PermuteFromInput(g, node, transpose - node.inputs.begin(), *perm);
  if (!plan) return std::nullopt;
  std::vector<ValueId> inputs = node.inputs;
  std::set<ValueId> saved;
  bool unused = false;
  int64_t cost = TransposeCost(*ShapeOf(g, node.outputs[0]), Inverse(*perm));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (plan->inputs[i].empty()) continue;
    const ValueId v = node.inputs[i];
    const NodeId producer = ProducedBy(g, v, op::kTranspose);
    if (producer == kNoNode || PermOf(g, producer) != perm) return std::nullopt;
    inputs[i] = g.node(producer).inputs[0];
    if (uses.Count(v) != 1 || !saved.insert(v).second) continue;
    unused = true;
    cost -= TransposeCost(*ShapeOf(g, v), Inverse(*perm));
  }
  if (!unused || cost > 0) return std::nullopt;
  // Nor may a transpose that follows, which the new one is merged with, come to cost more.
  const Shape& shape = *ShapeOf(g, node.outputs[0]);
  for (NodeId reader : uses.Of(node.outputs[0])) {
    if (!g.node(reader).Is(op::kTranspose)) continue;
    const std::optional<Perm> after = PermOf(g, reader);
    if (!after || TransposeCost(SourceShape(shape, *perm), Compose(*perm, *after)) >
                      TransposeCost(shape, *after))
      return std::nullopt;
  }
  Patch patch(g);
  const std::vector<ValueId> y = AddPermuted(g, node, *plan, std::move(inputs), patch);
  if (y.empty()) return std::nullopt;
  patch.Replace(node.outputs[0], patch.AddNode(op::kTranspose, TransposeBy(*perm), {y[0]},
                                               node.name + "/transpose"));
  return patch;
}

constexpr const OpDef* kTransposes[] = {&op::kTranspose};

}  // namespace

constinit const Rule kMoveTransposes = {
    "move-transposes",
    "T(x), f, g, T'(y) -> f', g': operators between transposes work on the other order of axes, "
    "where less data is moved so",
    kTransposes, MoveTransposes};

constinit const Rule kSinkTranspose = {
    "sink-transpose", "f(T(a), T(b)) -> T(f(a, b)) for element-wise f", {}, SinkTranspose};

}  // namespace sula::rules
