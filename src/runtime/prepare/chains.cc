// Nodes in a row as one step, where a backend has a kernel for them that costs less.
#include <algorithm>

#include "runtime/prepare/scheduler.h"

namespace sula {
bool Scheduler::IsMade(ValueId v) const {
  return v == kNoValue || graph_.Constant(v) || !forms_[v].empty() || recipes_[v].has_value();
}

std::vector<NodeId> Scheduler::PathFrom(NodeId id) const {
  std::vector<NodeId> path = {id};
  while (path.size() < max_path_) {
    const Node& node = graph_.node(path.back());
    const ValueId v = node.outputs[0];
    for (size_t i = 1; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue) return path;
    if (v == kNoValue || readers_[v].size() != 1 || graph_.IsOutput(v)) return path;
    const Node& next = graph_.node(readers_[v][0]);
    if (next.inputs[0] != v || std::count(next.inputs.begin(), next.inputs.end(), v) != 1 ||
        next.op->Has(kDataMovement))
      return path;
    for (size_t i = 1; i < next.inputs.size(); ++i)
      if (!IsMade(next.inputs[i]) || (next.inputs[i] != kNoValue && !IsStatic(next.inputs[i])))
        return path;
    for (ValueId y : next.outputs)
      if (y != kNoValue && !IsStatic(y)) return path;
    path.push_back(readers_[v][0]);
  }
  return path;
}

bool Scheduler::IsChain(std::span<const NodeId> path, const ChainEntry& entry) const {
  return entry.ops.size() <= path.size() &&
         std::equal(entry.ops.begin(), entry.ops.end(), path.begin(),
                    [&](const OpDef* op, NodeId id) { return graph_.node(id).op == op; });
}

const Scheduler::Foreseen& Scheduler::Foresee(NodeId id, Layout layout) {
  const auto [known, fresh] = foreseen_.try_emplace({id, layout});
  if (fresh) {
    assumed_ = {graph_.node(id).inputs[0], layout};
    known->second = {BestKernel(id, nullptr), ChainsFrom(PathFrom(id), nullptr)};
    assumed_.reset();
  }
  return known->second;
}

double Scheduler::CostWith(const KernelChoice& choice, std::span<const NodeId> path,
                           KnownCosts& known) {
  const std::span<const NodeId> rest = path.subspan(static_cast<size_t>(choice.nodes));
  if (rest.empty()) return choice.total();
  return choice.seconds + CostAlong(rest, choice.outputs[0], known);
}

double Scheduler::CostAlong(std::span<const NodeId> path, Layout layout, KnownCosts& known) {
  const auto [cost, fresh] = known.try_emplace({path.size(), layout}, kNever);
  if (!fresh) return cost->second;
  const Foreseen& first = Foresee(path[0], layout);
  double best = kNever;
  const auto weigh = [&](const KernelChoice& choice) {
    if (choice.backend && static_cast<size_t>(choice.nodes) <= path.size())
      best = std::min(best, CostWith(choice, path, known));
  };
  weigh(first.apart);
  for (const KernelChoice& chain : first.chains) weigh(chain);
  return cost->second = best;
}

const ChainOption& Scheduler::ChainOptionOf(std::span<const NodeId> path, Backend& backend,
                                            const ChainEntry& entry) {
  // Who follows whom is the same whenever it is asked.
  std::vector<ChainOption>& known = OptionsOf(path[0]).chains;
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const ChainOption& c) { return c.entry == &entry; });
  if (found != known.end()) return *found;
  return known.emplace_back(AskAbout(path, backend, entry));
}

ChainOption Scheduler::AskAbout(std::span<const NodeId> path, Backend& backend,
                                const ChainEntry& entry) const {
  std::vector<Ports> ports;
  std::vector<KernelRequest> requests;
  path = path.first(entry.ops.size());
  for (NodeId id : path) ports.push_back(PortsOf(graph_, id));
  for (size_t i = 0; i < path.size(); ++i)
    requests.push_back(ports[i].Request(graph_.node(path[i]), options_));
  const ChainRequest request{requests};
  ChainOption option{.backend = &backend, .entry = &entry, .whole = Joined(ports)};
  const bool too_large = options_.refused.contains({path[0], &entry});
  const Verdict verdict = option.whole.HasEmptyInput() ? Verdict::No("an input has no elements")
                          : too_large ? Verdict::No("its memory does not fit into max_bytes")
                                      : entry.accept(request);
  if (verdict) {
    option.needs = NeedsOf(entry, option.whole, request);
    option.estimate = entry.estimate(request);
    option.measured = MeasuredSeconds(request.nodes, &entry);
  } else {
    option.refused = verdict.reason();
  }
  return option;
}

std::vector<KernelChoice> Scheduler::ChainsFrom(std::span<const NodeId> path,
                                                std::vector<CandidateReport>* reports) {
  std::vector<KernelChoice> choices;
  for (Backend* backend : backends_) {
    for (const ChainEntry& entry : backend->Chains()) {
      const size_t n = entry.ops.size();
      if (!IsChain(path, entry)) continue;
      const ChainOption& option = ChainOptionOf(path, *backend, entry);
      CandidateReport report;
      if (option.needs) {
        KernelChoice choice{.backend = backend, .scheme = &entry, .nodes = static_cast<int>(n)};
        choice.estimate = option.estimate;
        choice.measured = option.measured;
        choice.kernel = Weight(choice.estimate, choice.measured, OptionsOf(path[0]).scale);
        SetLayouts(option.whole, *option.needs, choice);
        report.seconds = choice.total();
        choices.push_back(std::move(choice));
      }
      if (!reports) continue;
      report.backend = backend->name();
      report.kernel = entry.name;
      report.nodes = static_cast<int>(n);
      report.kernel_seconds = option.estimate;
      report.measured_seconds = option.measured;
      report.refused = option.refused;
      reports->push_back(std::move(report));
    }
  }
  return choices;
}

KernelChoice Scheduler::BestOf(std::span<const NodeId> path, KernelChoice apart,
                               std::vector<CandidateReport>& reports) {
  const size_t first = reports.size();
  std::vector<KernelChoice> chains = ChainsFrom(path, &reports);
  // What the nodes of each chain cost apart.
  for (size_t i = first; i < reports.size(); ++i) {
    double sum = apart.seconds;
    Layout layout = apart.outputs[0];
    for (int n = 1; n < reports[i].nodes; ++n) {
      const KernelChoice& next = Foresee(path[static_cast<size_t>(n)], layout).apart;
      sum += n + 1 == reports[i].nodes ? next.total() : next.seconds;
      if (!next.backend) break;
      layout = next.outputs[0];
    }
    reports[i].seconds_apart = sum;
  }
  if (chains.empty()) return apart;
  KnownCosts known;
  double least = CostWith(apart, path, known);
  KernelChoice best = std::move(apart);
  for (KernelChoice& chain : chains) {
    const double seconds = CostWith(chain, path, known);
    // At equal cost a chain needs less memory than its nodes apart.
    if (best.nodes > 1 ? seconds >= least : seconds > least) continue;
    least = seconds;
    best = std::move(chain);
  }
  return best;
}

}  // namespace sula
