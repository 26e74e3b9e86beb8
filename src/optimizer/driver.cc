#include <algorithm>
#include <map>

#include "ops/elementwise.h"
#include "optimizer/optimizer.h"

namespace sula {
namespace {

// Applications in one stage, per node of the graph: no terminating set of rules comes near.
constexpr int64_t kMaxApplicationsPerNode = 50;

class Driver {
 public:
  Driver(Graph& graph, std::span<const Stage> stages, const OptimizeOptions& options)
      : g_(graph), stages_(stages), options_(options) {}

  Result<OptimizeReport> Run() {
    RETURN_IF_ERROR(CheckNames());
    RETURN_IF_ERROR(InferShapes(g_));
    RETURN_IF_ERROR(Verify(g_));
    if (options_.verify) {
      if (options_.on_verify) options_.on_verify("running the imported model");
      ASSIGN_OR_RETURN(watch_, NumbersWatch::Create(g_, options_.verify_seed));
    }
    for (const Stage& stage : stages_) {
      if (stage.pass) RETURN_IF_ERROR(RunPass(*stage.pass));
      RETURN_IF_ERROR(RunRules(stage.rules));
    }
    g_.RemoveDead();
    if (watch_) {
      if (options_.on_verify) options_.on_verify("running the optimized model");
      RETURN_IF_ERROR(watch_->Finish(g_));
      report_.verified = watch_->report();
    }
    g_.Compact();
    for (const Stage& stage : stages_) {
      if (stage.pass) Report(stage.pass->name);
      for (const Rule* rule : stage.rules) Report(rule->name);
    }
    return std::move(report_);
  }

 private:
  Status CheckNames() const {
    std::set<std::string_view> known;
    for (const Stage& stage : stages_) {
      if (stage.pass) known.insert(stage.pass->name);
      for (const Rule* rule : stage.rules) known.insert(rule->name);
    }
    for (const std::string& name : options_.disabled) {
      if (known.contains(name)) continue;
      std::string list;
      for (std::string_view k : known) list += (list.empty() ? "" : ", ") + std::string(k);
      return InvalidArgument("there is no rule or pass '", name, "'; known are ", list);
    }
    return {};
  }

  bool Stopped() const {
    return options_.stop_after >= 0 && static_cast<int>(report_.log.size()) >= options_.stop_after;
  }

  void Log(std::string_view name, std::string step, int changes) {
    counts_[name] += changes;
    report_.log.push_back(std::move(step));
    if (options_.on_step) options_.on_step(report_.log.back(), g_);
  }

  void Report(std::string_view name) {
    const auto it = counts_.find(name);
    if (it == counts_.end()) return;
    report_.counts.emplace_back(name, it->second);
    counts_.erase(it);  // a rule may stand in several stages
  }

  Status RunPass(const Pass& pass) {
    if (options_.disabled.contains(pass.name) || Stopped()) return {};
    const auto frame = [&] { return StrCat("pass ", pass.name); };
    if (watch_) watch_->BeforePass(g_);
    std::string warning = pass.warning ? pass.warning(g_) : "";
    Result<int> changes = pass.run(g_);
    if (!changes.has_value()) return Status(changes.status()).AddContext(frame());
    if (*changes == 0) return {};
    if (Status s = Verify(g_); !s.ok()) return std::move(s).AddContext(frame());
    if (watch_) RETURN_IF_ERROR(watch_->AfterPass(g_, pass.name));
    if (!warning.empty()) report_.warnings.push_back(std::move(warning));
    Log(pass.name, std::string(pass.name), *changes);
    return {};
  }

  Status RunRules(std::span<const Rule* const> all) {
    std::vector<const Rule*> rules;
    for (const Rule* rule : all)
      if (!options_.disabled.contains(rule->name)) rules.push_back(rule);
    if (rules.empty()) return {};
    UseIndex uses(g_);
    const size_t applied_before = report_.log.size();
    const int64_t limit = kMaxApplicationsPerNode * (g_.num_nodes() + 20);
    // Sweeps over the nodes in order; those that a patch adds come at the end of the sweep.
    for (bool changed = true; changed && !Stopped();) {
      changed = false;
      std::vector<NodeId> work = g_.TopologicalOrder();
      for (size_t i = 0; i < work.size() && !Stopped(); ++i) {
        const int slots_before = g_.node_slots();
        ASSIGN_OR_RETURN(const bool applied, TryRules(rules, uses, work[i]));
        if (!applied) continue;
        changed = true;
        for (NodeId id = slots_before; id < g_.node_slots(); ++id) work.push_back(id);
        if (g_.IsLive(work[i])) work.push_back(work[i]);
        if (static_cast<int64_t>(report_.log.size() - applied_before) > limit) {
          return Internal("the optimizer does not come to rest; its last step was ",
                          report_.log.back());
        }
      }
    }
    if (report_.log.size() == applied_before) return {};
    if (Status s = Verify(g_); !s.ok())
      return std::move(s).AddContext(StrCat("the stage of rule ", rules.front()->name));
    return {};
  }

  // Applies the first rule that has something to do at this node.
  Result<bool> TryRules(std::span<const Rule* const> rules, UseIndex& uses, NodeId id) {
    for (const Rule* rule : rules) {
      if (!g_.IsLive(id)) return false;
      const Node& node = g_.node(id);
      if (!rule->roots.empty() && std::ranges::count(rule->roots, node.op) == 0) continue;
      std::optional<Patch> patch = rule->apply(g_, uses, id);
      if (!patch || patch->empty()) continue;
      std::string step = StrCat(rule->name, "@", node.name);
      patch->ProtectOutputs(g_, op::kIdentity);
      if (watch_) watch_->BeforePatch(g_, *patch);
      if (Status s = Apply(*std::move(patch), g_, uses); !s.ok())
        return std::move(s).AddContext(StrCat("rule ", step));
      if (watch_) RETURN_IF_ERROR(watch_->AfterPatch(g_, rule->name, step));
      Log(rule->name, std::move(step), 1);
      return true;
    }
    return false;
  }

  Graph& g_;
  std::span<const Stage> stages_;
  const OptimizeOptions& options_;
  OptimizeReport report_;
  std::map<std::string_view, int> counts_;
  std::optional<NumbersWatch> watch_;  // if asked to verify
};

}  // namespace

Result<OptimizeReport> RunStages(Graph& graph, std::span<const Stage> stages,
                                 const OptimizeOptions& options) {
  return Driver(graph, stages, options).Run();
}

Result<OptimizeReport> Optimize(Graph& graph, const OptimizeOptions& options) {
  return RunStages(graph, DefaultPipeline(), options);
}

}  // namespace sula
