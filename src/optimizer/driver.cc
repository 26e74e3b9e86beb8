#include <algorithm>
#include <map>

#include "ops/control.h"
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
    RETURN_IF_ERROR(RunAll());
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
  Status RunAll() {
    for (const Stage& stage : stages_) {
      if (stage.pass) RETURN_IF_ERROR(RunPass(*stage.pass));
      RETURN_IF_ERROR(RunRules(stage.rules));
    }
    RETURN_IF_ERROR(RunBodies());
    g_.RemoveDead();
    return {};
  }

  // The stages on every body, whose types are known by now.
  Status RunBodies() {
    const size_t before = report_.log.size();
    for (NodeId id : g_.TopologicalOrder()) {
      Node& node = g_.node(id);
      for (size_t i = 0; i < node.subgraphs.size() && !Stopped(); ++i) {
        Graph& body = node.subgraphs[i];
        if (!body.contradiction.empty()) continue;
        Driver inner(body, stages_, options_);
        inner.report_ = std::move(report_);
        inner.counts_ = std::move(counts_);
        inner.path_ = StrCat(path_, node.name, "/");
        const size_t steps = inner.report_.log.size();
        Status no_inputs;
        if (watch_) {
          Result<std::vector<Tensor>> inputs = BodyInputs(id, i);
          if (inputs.has_value()) {
            inner.watch_.emplace(body, *std::move(inputs));
          } else {
            no_inputs = inputs.status();
          }
        }
        Status s = inner.RunAll();
        report_ = std::move(inner.report_);
        counts_ = std::move(inner.counts_);
        if (!s.ok()) return std::move(s).AddContext(StrCat("body '", body.name, "'"));
        body.Compact();
        if (inner.watch_) watch_->Absorb(inner.watch_->report());
        if (!no_inputs.ok())
          watch_->CannotCheck(no_inputs, static_cast<int64_t>(report_.log.size() - steps));
      }
    }
    if (report_.log.size() == before) return {};
    RETURN_IF_ERROR(InferShapes(g_));
    return Verify(g_);
  }

  // What a body is run with: the captured values, and before them, in a Loop, those of the first
  // trip.
  Result<std::vector<Tensor>> BodyInputs(NodeId id, size_t which) {
    const Node& node = g_.node(id);
    size_t next = node.inputs.size();
    for (size_t i = which; i < node.subgraphs.size(); ++i)
      next -= node.subgraphs[i].captures.size();
    size_t first = node.inputs.size();
    for (const Graph& body : node.subgraphs) first -= body.captures.size();
    const Graph& body = node.subgraphs[which];
    const size_t own = body.inputs().size() - body.captures.size();
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < body.inputs().size(); ++i) {
      if (i < own && node.Is(op::kLoop) && i < 2) {
        inputs.push_back(i == 0 ? Tensor::Scalar<int64_t>(0) : Tensor::Scalar(true));
        continue;
      }
      const size_t at = i < own ? i : next + (i - own);
      if (i < own && at >= first) return Internal("the body has more inputs than its node");
      if (!node.HasInput(at)) return InvalidModel("input ", at, " is absent");
      ASSIGN_OR_RETURN(Tensor tensor, watch_->Get(g_, node.inputs[at]));
      inputs.push_back(std::move(tensor));
    }
    return inputs;
  }

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
    Log(pass.name, StrCat(path_, pass.name), *changes);
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
      std::string step = StrCat(rule->name, "@", path_, node.name);
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
  std::string path_;                   // of a body: the names of the nodes around it
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
