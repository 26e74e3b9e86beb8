#include "runtime/prepare/memory_fit.h"

#include <algorithm>
#include <map>

#include "base/aligned_buffer.h"
#include "runtime/packs.h"
#include "runtime/prepare/block_plan.h"

namespace sula {
namespace {

class Fitter {
 public:
  Fitter(const ConcreteGraph& graph, std::span<Backend* const> backends, SchemeOptions options,
         size_t max_bytes)
      : graph_(graph), backends_(backends), options_(std::move(options)), max_bytes_(max_bytes) {}

  Result<std::set<KernelRefusal>> Run() {
    for (;;) {
      ASSIGN_OR_RETURN(const Attempt now, Try(options_));
      if (now.excess == 0) {
        const MemoryPlan packed = PlanMemory(now.blocks.requests, kAlignment);
        const size_t gap = packed.peak_bytes - packed.lower_bound_bytes;
        if (packed.peak_bytes + now.blocks.ports + now.blocks.constants <= max_bytes_ ||
            gap <= reserve_)
          return options_.refused;
        reserve_ = gap;  // what packing loses has to be saved as well
        continue;
      }
      ASSIGN_OR_RETURN(std::vector<Saving> savings, Savings(now));
      if (savings.empty()) return options_.refused;
      std::stable_sort(savings.begin(), savings.end(), [](const Saving& a, const Saving& b) {
        return a.seconds * b.bytes < b.seconds * a.bytes;
      });
      double saved = 0;
      for (const Saving& saving : savings) {
        if (saved >= now.excess) break;
        options_.refused.insert(saving.refusal);
        saved += saving.bytes;
      }
    }
  }

 private:
  struct Attempt {
    Schedule schedule;
    BlockPlan blocks;
    double excess = 0;   // bytes above the limit, summed over the steps
    double seconds = 0;  // estimate of a run
  };
  struct Saving {
    KernelRefusal refusal;
    double bytes = 0, seconds = 0;  // of excess; longer run
  };

  Result<Attempt> Try(const SchemeOptions& options) {
    Attempt attempt;
    ASSIGN_OR_RETURN(attempt.schedule, MakeSchedule(graph_, backends_, options));
    std::vector<StepMemory> memory;
    for (const Step& step : attempt.schedule.steps) {
      attempt.seconds += step.report.seconds;
      ASSIGN_OR_RETURN(memory.emplace_back(), Memory(attempt.schedule, step));
    }
    attempt.blocks = PlanBlocks(attempt.schedule, memory);
    const double fixed =
        static_cast<double>(attempt.blocks.constants + attempt.blocks.ports + reserve_);
    const double allowed = static_cast<double>(max_bytes_) - fixed;
    for (size_t live : attempt.blocks.LiveBytes(attempt.schedule.steps.size()))
      attempt.excess += std::max(0.0, static_cast<double>(live) - allowed);
    return attempt;
  }

  Result<StepMemory> Memory(const Schedule& schedule, const Step& step) {
    if (step.kind != Step::Kind::kKernel) return StepMemory();
    const KernelRefusal key{step.node, step.scheme};
    if (const auto known = memory_.find(key); known != memory_.end()) return known->second;
    SizedPacks packs;
    Result<std::unique_ptr<Kernel>> kernel =
        MakeKernel(graph_.graph, schedule, step, options_, [&](NodeId) { return &packs; });
    if (!kernel) return Status(kernel.error()).AddContext(Describe(graph_.graph, step.node));
    const StepMemory memory = *kernel ? MemoryOf(**kernel, step, graph_.graph) : StepMemory();
    memory_.emplace(key, memory);
    return memory;
  }

  // True if another kernel than the fallback's could take the place of the step's.
  bool Replaceable(const Step& step) const {
    if (step.kind != Step::Kind::kKernel || step.backend == backends_.back()) return false;
    return std::any_of(
        step.report.candidates.begin(), step.report.candidates.end(),
        [&](const CandidateReport& c) {
          return c.refused.empty() && c.backend != backends_.back()->name() &&
                 (c.backend != step.report.backend || c.kernel != step.report.kernel);
        });
  }

  // What it saves to refuse one more kernel, for those where it does.
  Result<std::vector<Saving>> Savings(const Attempt& now) {
    std::vector<Saving> savings;
    for (const Step& step : now.schedule.steps) {
      if (!Replaceable(step)) continue;
      SchemeOptions options = options_;
      const KernelRefusal refusal{step.node, step.scheme};
      options.refused.insert(refusal);
      ASSIGN_OR_RETURN(const Attempt then, Try(options));
      if (then.excess < now.excess)
        savings.push_back(
            {refusal, now.excess - then.excess, std::max(0.0, then.seconds - now.seconds)});
    }
    return savings;
  }

  const ConcreteGraph& graph_;
  std::span<Backend* const> backends_;
  SchemeOptions options_;
  size_t max_bytes_;
  size_t reserve_ = 0;
  std::map<KernelRefusal, StepMemory> memory_;
};

}  // namespace

Result<std::set<KernelRefusal>> FitSchemes(const ConcreteGraph& graph,
                                           std::span<Backend* const> backends,
                                           SchemeOptions options, size_t max_bytes) {
  return Fitter(graph, backends, std::move(options), max_bytes).Run();
}

}  // namespace sula
