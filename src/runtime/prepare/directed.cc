// Choices that are told from outside: by scheme locks and by measured times.
#include <algorithm>

#include "runtime/prepare/requests.h"
#include "runtime/prepare/scheduler.h"
#include "runtime/prepare/tune.h"

namespace sula {
namespace {

using LockedLayouts = std::vector<std::optional<Layout>>;

LockedLayouts Present(std::span<const TensorDesc> descs, const std::vector<Layout>& layouts) {
  LockedLayouts present;
  for (size_t i = 0; i < descs.size(); ++i)
    present.push_back(descs[i].present ? std::optional(layouts[i]) : std::nullopt);
  return present;
}

// A kernel of some backend, for the first of a row of nodes or for more of them.
struct NamedScheme {
  Backend* backend;
  std::string_view name;
  Scheme scheme;
  size_t nodes;
};

std::string KernelList(const std::vector<CandidateReport>& candidates) {
  std::string text;
  for (const CandidateReport& c : candidates)
    text += StrCat(text.empty() ? "" : ", ", c.backend, "/", c.kernel);
  return text;
}

}  // namespace

double Scheduler::MeasuredSeconds(std::span<const KernelRequest> nodes,
                                  const Scheme& scheme) const {
  return options_.times ? options_.times->Of(KeyOf(nodes), scheme) : 0;
}

Result<bool> Scheduler::FollowLock(std::span<const NodeId> path, KernelChoice& choice,
                                   NodeReport& report) {
  if (!options_.lock) return false;
  const auto locked = locked_.find(graph_.node(path[0]).name);
  if (locked == locked_.end()) {
    if (options_.adapt_lock) return false;
    return InvalidArgument("the scheme lock has no line for this node");
  }
  const NodeScheme& scheme = *locked->second;
  Result<KernelChoice> followed = Follow(path, scheme, report);
  if (!followed) {
    if (options_.adapt_lock) return false;
    return Status(followed.error()).AddContext(StrCat("line ", scheme.line, " of the scheme lock"));
  }
  choice = *std::move(followed);
  followed_.insert(scheme.name);
  report.locked = true;
  return true;
}

void Scheduler::AskAbout(std::span<const NodeId> path, const NodeScheme& scheme,
                         std::vector<CandidateReport>& candidates) const {
  const auto add = [&](std::string_view kernel, size_t nodes, std::string refused) {
    candidates.push_back({.backend = scheme.backend,
                          .kernel = std::string(kernel),
                          .refused = std::move(refused),
                          .seconds = scheme.predicted_seconds,
                          .kernel_seconds = scheme.predicted_seconds,
                          .nodes = static_cast<int>(nodes)});
  };
  const Node& node = graph_.node(path[0]);
  for (Backend* backend : backends_) {
    if (backend->name() != scheme.backend) continue;
    for (const KernelEntry& entry : backend->Kernels(*node.op)) {
      if (entry.name != scheme.kernel) continue;
      const Ports ports = PortsOf(graph_, path[0]);
      const Verdict verdict =
          entry.accept ? entry.accept(ports.Request(node, options_)) : Verdict::Yes();
      add(entry.name, 1, verdict.reason());
    }
    for (const ChainEntry& entry : backend->Chains())
      if (entry.name == scheme.kernel && IsChain(path, entry))
        add(entry.name, entry.ops.size(), AskAbout(path, *backend, entry).refused);
  }
}

Result<KernelChoice> Scheduler::Follow(std::span<const NodeId> path, const NodeScheme& scheme,
                                       NodeReport& report) {
  std::vector<CandidateReport> candidates = report.candidates;
  if (options_.lock_alone) AskAbout(path, scheme, candidates);
  // Chains that begin here are candidates, too.
  std::vector<NamedScheme> schemes;
  for (Backend* backend : backends_)
    for (const KernelEntry& entry : backend->Kernels(*graph_.node(path[0]).op))
      schemes.push_back({backend, entry.name, &entry, 1});
  if (options_.chains && path.size() > 1) {
    if (!options_.lock_alone) ChainsFrom(path, &candidates);
    for (Backend* backend : backends_)
      for (const ChainEntry& entry : backend->Chains())
        schemes.push_back({backend, entry.name, &entry, entry.ops.size()});
  }
  const auto candidate =
      std::find_if(candidates.begin(), candidates.end(), [&](const CandidateReport& c) {
        return c.backend == scheme.backend && c.kernel == scheme.kernel;
      });
  if (candidate == candidates.end())
    return InvalidArgument("there is no kernel '", scheme.kernel_name(), "' for ",
                           graph_.node(path[0]).op->name, " here, but ", KernelList(candidates));
  if (!candidate->refused.empty())
    return InvalidArgument("kernel '", scheme.kernel_name(),
                           "' refuses the node: ", candidate->refused);
  const auto named = std::find_if(schemes.begin(), schemes.end(), [&](const NamedScheme& s) {
    return s.backend->name() == scheme.backend && s.name == scheme.kernel;
  });
  SULA_CHECK(named != schemes.end());

  path = path.first(named->nodes);
  std::string op;
  for (NodeId id : path) op += StrCat(op.empty() ? "" : " + ", graph_.node(id).op->name);
  if (scheme.op != op)
    return InvalidArgument("node '", scheme.name, "' is a ", op, " for this kernel, not a ",
                           scheme.op);
  std::vector<Ports> ports;
  std::vector<KernelRequest> requests;
  for (NodeId id : path) ports.push_back(PortsOf(graph_, id));
  for (size_t i = 0; i < path.size(); ++i)
    requests.push_back(ports[i].Request(graph_.node(path[i]), options_));
  const Ports whole = Joined(ports);
  const auto* const chain = std::get_if<const ChainEntry*>(&named->scheme);
  const PortNeeds needs =
      chain ? NeedsOf(**chain, whole, {requests})
            : NeedsOf(*std::get<const KernelEntry*>(named->scheme), whole, requests[0]);
  for (Layout follow : {Layout::kRowMajor, Layout::kChannelLast}) {
    PortLayouts layouts = LayoutsOf(whole, needs, follow);
    if (Present(whole.inputs, layouts.inputs) != scheme.inputs ||
        Present(whole.outputs, layouts.outputs) != scheme.outputs)
      continue;
    if (candidate->measured_seconds == 0) candidate->measured_seconds = scheme.measured_seconds;
    KernelChoice choice{.backend = named->backend, .scheme = named->scheme};
    choice.nodes = static_cast<int>(named->nodes);
    choice.inputs = std::move(layouts.inputs);
    choice.outputs = std::move(layouts.outputs);
    choice.estimate = candidate->kernel_seconds;
    choice.measured = candidate->measured_seconds;
    choice.kernel = choice.measured > 0 ? choice.measured : choice.estimate;
    choice.seconds = 0;  // nothing is compared any more
    report.candidates = std::move(candidates);
    return choice;
  }
  return InvalidArgument("kernel '", scheme.kernel_name(), "' does not take these layouts");
}

Status Scheduler::CheckFollowed() const {
  if (!options_.lock || options_.adapt_lock) return {};
  for (const NodeScheme& scheme : options_.lock->nodes)
    if (!followed_.contains(scheme.name))
      return InvalidArgument("line ", scheme.line, " of the scheme lock: the plan has no node '",
                             scheme.name, "' that needs a kernel of its own");
  return {};
}

NodeScheme SchemeOf(const Graph& graph, const Step& step) {
  const auto layouts = [](const std::vector<ValueId>& values, const std::vector<FormUse>& uses) {
    LockedLayouts result;
    for (size_t i = 0; i < values.size(); ++i)
      result.push_back(values[i] == kNoValue ? std::nullopt : std::optional(uses[i].layout));
    return result;
  };
  NodeScheme scheme{.name = graph.node(step.node).name,
                    .op = step.report.op,
                    .backend = step.report.backend,
                    .kernel = step.report.kernel,
                    .detail = step.report.detail,
                    .inputs = layouts(InputValues(graph, step), step.inputs),
                    .outputs = layouts(OutputValues(graph, step), step.outputs),
                    .predicted_seconds = step.report.seconds};
  for (const CandidateReport& c : step.report.candidates)
    if (c.backend == scheme.backend && c.kernel == scheme.kernel)
      scheme.measured_seconds = c.measured_seconds;
  return scheme;
}

}  // namespace sula
