#include "optimizer/verify/verify.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "ops/catalogue.h"
#include "optimizer/verify/compare.h"

namespace sula {
namespace {

// Tensors of the imported model that are kept between changes.
constexpr int64_t kMaxHeldBytes = int64_t{1} << 30;
// Nodes of a replaced region that are run again with moved numbers.
constexpr size_t kMaxRegion = 64;
constexpr double kAllowedSpreads = 32;
constexpr uint64_t kMovedSeeds[] = {11, 12};

// The nodes from which `from` is computed, producers first, back to the values in `stays`.
std::vector<Node> RegionOf(const Graph& g, ValueId from, const std::vector<ValueId>& stays) {
  std::set<NodeId> region;
  std::vector<ValueId> work = {from};
  for (size_t next = 0; next < work.size() && region.size() < kMaxRegion; ++next) {
    const NodeId producer = g.value(work[next]).producer;
    if (producer == kNoNode || !region.insert(producer).second) continue;
    for (ValueId v : g.node(producer).inputs)
      if (v != kNoValue && !g.Constant(v) && std::ranges::count(stays, v) == 0) work.push_back(v);
  }
  // Producers first: the region is small, so it is searched for what is ready.
  std::vector<Node> nodes;
  std::set<NodeId> left = region;
  while (!left.empty()) {
    const auto ready = std::ranges::find_if(left, [&](NodeId id) {
      return std::ranges::none_of(g.node(id).inputs, [&](ValueId v) {
        return v != kNoValue && g.value(v).producer != kNoNode &&
               left.contains(g.value(v).producer);
      });
    });
    nodes.push_back(g.node(*ready));
    left.erase(ready);
  }
  return nodes;
}

double Relative(const Difference& d) { return d.scale > 0 ? d.largest / d.scale : d.largest; }

// Whether there is a finite number in each output, so that a comparison means something.
int CountMeaningful(const std::vector<Tensor>& outputs) {
  int count = 0;
  for (const Tensor& t : outputs) {
    bool any = false;
    for (int64_t i = 0; i < t.num_elements() && !any; ++i) any = std::isfinite(t.AsDouble(i));
    count += any;
  }
  return count;
}

std::string Show(const Difference& d, const Tensor& before, const Tensor& after) {
  const auto number = [](double x) { return std::isnan(x) ? "NaN" : StrCat(x); };
  return StrCat("element ", d.at, " was ", number(before.AsDouble(d.at)), " and became ",
                number(after.AsDouble(d.at)), ", an error of ", Relative(d),
                d.scale > 0 ? " relative to the largest number" : "");
}

std::vector<Node> AllNodes(const Graph& graph) {
  std::vector<Node> nodes;
  for (NodeId id : graph.TopologicalOrder()) nodes.push_back(graph.node(id));
  return nodes;
}

}  // namespace

Result<NumbersWatch> NumbersWatch::Create(const Graph& graph, uint64_t seed) {
  std::optional<NumbersWatch> best;
  int best_count = -1;
  Status last = InvalidModel("an input's sizes are negative or too large");
  for (const SampleKind& kind : SampleKinds(graph)) {
    std::optional<std::vector<Tensor>> inputs = MakeSample(graph, kind, seed);
    if (!inputs) continue;
    Result<std::vector<Tensor>> outputs = EvaluateGraph(graph, *inputs);
    if (!outputs.has_value()) {
      last = outputs.status();
      continue;
    }
    const int count = CountMeaningful(*outputs);
    if (count > best_count) {
      best_count = count;
      best.emplace(graph, *std::move(inputs));
      best->original_ = std::make_shared<const Graph>(graph);
      best->kind_ = kind;
      best->outputs_ = *std::move(outputs);
      best->report_.seed = seed;
    }
    if (count == static_cast<int>(graph.outputs().size())) break;
  }
  if (best_count > 0 || (best && graph.outputs().empty())) return *std::move(best);
  const std::string remedy =
      "give sizes that the model runs with (--input-shape NAME=1,3,224,224), another --verify-seed,"
      " or convert without --verify";
  if (best) {
    return Unsupported(
        "the optimizer's changes cannot be verified: with none of the inputs tried "
        "does the model as imported give a finite number; ",
        remedy);
  }
  return Unsupported(
      "the optimizer's changes cannot be verified: the model as imported runs with "
      "none of the inputs tried, the last error was: ",
      last.ToString(), "; ", remedy);
}

NumbersWatch::NumbersWatch(const Graph& graph, std::vector<Tensor> inputs)
    : inputs_(inputs), store_(graph, std::move(inputs), kMaxHeldBytes) {
  report_.inputs = DescribeSample(graph, inputs_);
}

void NumbersWatch::CannotCheck(const Status& why, int64_t changes) {
  if (report_.unchecked == 0) report_.unchecked_reason = why.ToString();
  report_.unchecked += changes;
}

void NumbersWatch::Absorb(const VerifyReport& body) {
  report_.checked += body.checked;
  if (report_.unchecked == 0) report_.unchecked_reason = body.unchecked_reason;
  report_.unchecked += body.unchecked;
  if (body.largest_error > report_.largest_error) {
    report_.largest_error = body.largest_error;
    report_.largest_error_at = body.largest_error_at;
  }
}

Status NumbersWatch::Judge(const Graph& graph, const Replaced& before, const Tensor& after,
                           std::string_view rule, std::string_view step) {
  const auto blame = [&](const std::string& what) {
    return Internal("the change ", step, " is wrong: value '", before.name, "' ", what,
                    " (inputs: ", report_.inputs, "; seed ", report_.seed,
                    "). Convert with --disable ", rule, ", and report this as a bug of sula");
  };
  const Difference d = Compare(before.tensor, after);
  if (!d.same_type) {
    return blame(StrCat("was ", Name(before.tensor.dtype()), ToString(before.tensor.dims()),
                        " and became ", Name(after.dtype()), ToString(after.dims())));
  }
  double allowed = AlwaysAllowed(before.tensor, d.scale);
  for (uint64_t seed : kMovedSeeds) {
    if (d.largest <= allowed) break;
    const ValueSource outside = [&](ValueId v) { return store_.Get(graph, v); };
    const Result<std::vector<Tensor>> moved =
        RunMoved(before.nodes, graph, outside, {&before.from, 1}, seed);
    if (!moved.has_value()) break;
    const Difference spread = Compare(before.tensor, moved->front());
    if (spread.same_type) allowed = std::max(allowed, kAllowedSpreads * spread.largest);
  }
  if (!(d.largest <= allowed)) {
    return blame(StrCat("differs: ", Show(d, before.tensor, after), "; roundings explain ",
                        d.scale > 0 ? allowed / d.scale : allowed));
  }
  if (std::isfinite(d.largest) && Relative(d) > report_.largest_error) {
    report_.largest_error = Relative(d);
    report_.largest_error_at = step;
  }
  return {};
}

void NumbersWatch::BeforePatch(const Graph& graph, const Patch& patch) {
  replaced_.clear();
  patch_unchecked_ = false;
  const std::vector<ValueId> stays = patch.Reads();
  for (const auto& [from, to] : patch.replaced()) {
    Result<Tensor> tensor = store_.Get(graph, from);
    if (!tensor.has_value()) {
      if (!std::exchange(patch_unchecked_, true)) CannotCheck(tensor.status());
      continue;
    }
    replaced_.push_back(
        {from, to, graph.value(from).name, *std::move(tensor), RegionOf(graph, from, stays)});
  }
}

Status NumbersWatch::AfterPatch(const Graph& graph, std::string_view rule, std::string_view step) {
  for (const Replaced& r : replaced_) {
    if (graph.value(r.to).name.empty()) continue;  // nobody reads it, so it was removed
    Result<Tensor> after = store_.Get(graph, r.to);
    if (!after.has_value()) {
      return Internal("the change ", step, " is wrong: what replaces value '", r.name,
                      "' does not run: ", after.status().ToString(), ". Convert with --disable ",
                      rule, ", and report this as a bug of sula");
    }
    RETURN_IF_ERROR(Judge(graph, r, *after, rule, step));
    // From here on what was imported counts, not what the change made of it.
    if (!graph.Constant(r.to) && graph.value(r.to).producer != kNoNode) store_.Put(r.to, r.tensor);
  }
  for (const Replaced& r : replaced_) store_.Drop(r.from);
  if (!patch_unchecked_) ++report_.checked;
  replaced_.clear();
  return {};
}

void NumbersWatch::BeforePass(const Graph& graph) {
  before_pass_ = std::make_shared<const Graph>(graph);
}

Status NumbersWatch::AfterPass(const Graph& graph, std::string_view pass) {
  const std::shared_ptr<const Graph> old = std::move(before_pass_);
  bool unchecked = false;
  const auto same_input = [&](ValueId a, ValueId b) {
    if (a == b) return true;
    if (a == kNoValue || b == kNoValue) return false;
    const Result<Tensor> x = store_.Get(*old, a), y = store_.Get(graph, b);
    return x.has_value() && y.has_value() && *x == *y;
  };
  for (NodeId id : graph.TopologicalOrder()) {
    const Node& node = graph.node(id);
    if (id >= old->node_slots() || !old->IsLive(id)) continue;  // a new one counts by its readers
    const Node& was = old->node(id);
    if (was.outputs != node.outputs) return Internal("pass ", pass, " changed a node's outputs");
    if (was.op == node.op && Equal(*node.op, was.params, node.params) && node.subgraphs.empty() &&
        std::ranges::equal(was.inputs, node.inputs, same_input))
      continue;
    if (was.op == node.op && was.inputs == node.inputs && !node.subgraphs.empty()) continue;
    std::vector<Tensor> inputs;
    std::vector<const Tensor*> pointers;
    Status status;
    for (ValueId v : node.inputs) {
      Result<Tensor> tensor = v == kNoValue ? Tensor() : store_.Get(graph, v);
      if (!tensor.has_value()) status = tensor.status();
      inputs.push_back(tensor.has_value() ? *std::move(tensor) : Tensor());
    }
    for (size_t i = 0; i < inputs.size(); ++i)
      pointers.push_back(node.HasInput(i) ? &inputs[i] : nullptr);
    std::vector<Replaced> before;
    for (ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      Result<Tensor> tensor = store_.Get(*old, v);
      if (!tensor.has_value()) {
        status = tensor.status();
        break;
      }
      before.push_back({v, v, old->value(v).name, *std::move(tensor), {was}});
    }
    if (!status.ok()) {
      if (!std::exchange(unchecked, true)) CannotCheck(status);
      continue;
    }
    auto after = EvaluateNode(node, pointers);
    if (!after) {
      return Internal("pass ", pass, " is wrong: node '", node.name,
                      "' does not run any more: ", after.error().ToString(),
                      ". Convert with --disable ", pass, ", and report this as a bug of sula");
    }
    size_t next = 0;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.HasOutput(i)) continue;
      RETURN_IF_ERROR(Judge(*old, before[next++], (*after)[i], pass, pass));
    }
  }
  for (size_t i = 0; i < graph.outputs().size() && i < old->outputs().size(); ++i) {
    const ValueId was = old->outputs()[i], now = graph.outputs()[i];
    if (was == now) continue;
    const Result<Tensor> a = store_.Get(*old, was), b = store_.Get(graph, now);
    if (!a.has_value() || !b.has_value()) {
      if (!std::exchange(unchecked, true)) CannotCheck(a.has_value() ? b.status() : a.status());
      continue;
    }
    RETURN_IF_ERROR(Judge(*old, {was, now, old->value(was).name, *a, {}}, *b, pass, pass));
  }
  for (ValueId v = 0; v < graph.value_slots(); ++v)
    if (graph.value(v).name.empty()) store_.Drop(v);
  if (!unchecked) ++report_.checked;
  return {};
}

Status NumbersWatch::CompareRun(const Graph& graph, const std::vector<Tensor>& inputs,
                                const std::vector<Tensor>& expected) {
  const auto frame = [&] {
    return StrCat("(inputs: ", DescribeSample(graph, inputs), "; seed ", report_.seed,
                  "). Each change by itself was right; convert with --stop-after N to find where "
                  "it breaks, and report this as a bug of sula");
  };
  const Result<std::vector<Tensor>> outputs = EvaluateGraph(graph, inputs);
  if (!outputs.has_value())
    return Internal("the optimized graph does not run: ", outputs.status().ToString(), " ",
                    frame());
  std::vector<std::vector<Tensor>> moved;  // made when needed
  for (size_t i = 0; i < expected.size() && i < outputs->size(); ++i) {
    const std::string& name = graph.value(graph.outputs()[i]).name;
    const Tensor& after = (*outputs)[i];
    const Difference d = Compare(expected[i], after);
    if (!d.same_type) {
      return Internal("output '", name, "' of the optimized graph has sizes ",
                      ToString(after.dims()), ", not ", ToString(expected[i].dims()), " ", frame());
    }
    double allowed = AlwaysAllowed(expected[i], d.scale);
    if (d.largest > allowed && moved.empty()) {
      const ValueSource outside = [&](ValueId v) -> Result<Tensor> {
        const auto at = std::ranges::find(original_->inputs(), v);
        if (at == original_->inputs().end()) return Internal("not a graph input");
        return inputs[at - original_->inputs().begin()];
      };
      const std::vector<Node> nodes = AllNodes(*original_);
      for (uint64_t seed : kMovedSeeds) {
        auto run = RunMoved(nodes, *original_, outside, original_->outputs(), seed);
        if (run.has_value()) moved.push_back(*std::move(run));
      }
    }
    for (const std::vector<Tensor>& run : moved) {
      const Difference spread = Compare(expected[i], run[i]);
      // Other sizes: the rounding of a number decides how many results there are.
      if (!spread.same_type) allowed = d.largest;
      allowed = std::max(allowed, kAllowedSpreads * spread.largest);
    }
    if (!(d.largest <= allowed)) {
      return Internal(
          "output '", name, "' of the optimized graph differs: ", Show(d, expected[i], after),
          "; roundings explain ", d.scale > 0 ? allowed / d.scale : allowed, " ", frame());
    }
    if (std::isfinite(d.largest) && Relative(d) > report_.largest_error) {
      report_.largest_error = Relative(d);
      report_.largest_error_at = StrCat("all changes, output '", name, "'");
    }
  }
  return {};
}

Status NumbersWatch::Finish(const Graph& graph) {
  RETURN_IF_ERROR(CompareRun(graph, inputs_, outputs_));
  // Once more with the first other sizes that the imported graph runs with.
  const std::vector<SampleKind> kinds = SampleKinds(*original_);
  for (const SampleKind& kind : kinds) {
    if (kind.SameSizes(kind_) || kind.ints != kind_.ints || kind.positive != kind_.positive)
      continue;
    const auto inputs = MakeSample(*original_, kind, report_.seed + 1000);
    if (!inputs) continue;
    const Result<std::vector<Tensor>> expected = EvaluateGraph(*original_, *inputs);
    if (!expected.has_value()) continue;
    return CompareRun(graph, *inputs, *expected);
  }
  return {};
}

}  // namespace sula
