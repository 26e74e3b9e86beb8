// A plan of measured kernels, if as a whole it is faster than the plan of the estimates.
#include <algorithm>
#include <chrono>

#include "base/aligned_buffer.h"
#include "runtime/plan_impl.h"
#include "runtime/prepare/concrete.h"
#include "runtime/prepare/node_order.h"

namespace sula {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool SameChoices(const Plan& a, const Plan& b) {
  const auto same = [](const NodeScheme& x, const NodeScheme& y) {
    return x.name == y.name && x.kernel_name() == y.kernel_name() && x.op == y.op &&
           x.inputs == y.inputs && x.outputs == y.outputs;
  };
  return std::ranges::equal(a.schemes(), b.schemes(), same);
}

// Two plans that run in turns, on the same inputs.
class Race {
 public:
  Race(Plan& a, Plan& b) : plans_{&a, &b} {}
  ~Race() {
    for (Plan* plan : plans_) plan->Unbind();
  }
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  // False if there was no room for inputs.
  bool BindInputs(const std::vector<TensorType>& types) {
    for (size_t i = 0; i < types.size(); ++i) {
      const int64_t elements = NumElements(types[i].shape->Concrete());
      const size_t bytes = static_cast<size_t>(elements) * SizeOf(types[i].dtype);
      AlignedBuffer& input = inputs_.emplace_back(std::max<size_t>(bytes, 1));
      if (!input.data()) return false;
      FillForTiming(types[i].dtype, elements, input.data());
      for (Plan* plan : plans_) plan->BindInput(static_cast<int>(i), input.data());
    }
    return true;
  }

  // False if the deadline came before enough rounds had been run, or a run failed.
  bool Run(Clock::time_point deadline) {
    const Clock::time_point start = Clock::now();
    for (int round = 0; round < kMostRounds; ++round) {
      const bool enough = round > kFewestRounds;  // the first one warms up
      if (enough && (SecondsSince(start) > kEnoughSeconds || IsClear())) break;
      for (int turn = 0; turn < 2; ++turn) {
        const int which = (round + turn) % 2;
        if (Clock::now() > deadline) return enough;
        const Clock::time_point begin = Clock::now();
        if (!plans_[which]->Run(false).ok()) return false;
        if (round > 0) least_[which] = std::min(least_[which], SecondsSince(begin));
      }
    }
    return true;
  }
  double least(int which) const { return least_[which]; }

 private:
  // What else runs on the machine only slows down, so the least of many runs counts.
  static constexpr int kFewestRounds = 4, kMostRounds = 1000;
  static constexpr double kEnoughSeconds = 1, kClearly = 1.2;

  bool IsClear() const {
    return std::max(least_[0], least_[1]) > kClearly * std::min(least_[0], least_[1]);
  }

  Plan* plans_[2];
  std::vector<AlignedBuffer> inputs_;
  double least_[2] = {1e300, 1e300};
};

}  // namespace

Result<std::unique_ptr<Plan>> Plan::MakeTuned(const Graph& model,
                                              const std::vector<TensorType>& input_types,
                                              std::span<Backend* const> backends,
                                              const PlanOptions& options) {
  const Clock::time_point start = Clock::now();
  TuneReport report;
  SchemeTimes times;
  {
    ASSIGN_OR_RETURN(ConcreteGraph concrete, MakeConcrete(model, input_types));
    OrderForMemory(concrete);
    const SchemeOptions schemes{.threads = options.threads,
                                .max_error = options.max_error,
                                .pad_pixels = options.pad_pixels,
                                .chains = options.chains,
                                .refused = {},
                                .lock = options.lock,
                                .adapt_lock = options.adapt_lock};
    ASSIGN_OR_RETURN(times, MeasureSchemes(concrete, backends, schemes, options.tune, report));
  }
  PlanOptions one = options;
  one.tune = {};
  one.times = &times;
  one.pack_cache = nullptr;  // it is for the plan that is kept
  const auto make = [&](bool times_decide) {
    one.times_decide = times_decide;
    return Make(model, input_types, backends, one);
  };
  ASSIGN_OR_RETURN(std::unique_ptr<Plan> kept, make(true));
  bool tuned = true;
  if (report.measured_nodes > 0) {
    ASSIGN_OR_RETURN(std::unique_ptr<Plan> untuned, make(false));
    report.outcome = TuneOutcome::kSame;
    if (!SameChoices(*kept, *untuned)) {
      Race race(*kept, *untuned);
      const Clock::time_point deadline =
          start + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>(std::clamp(options.tune.seconds, 0.0, 1e6)));
      report.outcome = TuneOutcome::kUncompared;
      if (race.BindInputs(input_types) && race.Run(deadline)) {
        report.tuned_run_seconds = race.least(0);
        report.untuned_run_seconds = race.least(1);
        report.outcome =
            race.least(0) < race.least(1) ? TuneOutcome::kTuned : TuneOutcome::kUntuned;
      }
    }
    tuned = report.outcome == TuneOutcome::kTuned || report.outcome == TuneOutcome::kSame;
    if (!tuned) kept.swap(untuned);
  }
  if (options.pack_cache) {
    kept.reset();
    one.pack_cache = options.pack_cache;
    ASSIGN_OR_RETURN(kept, make(tuned));
  }
  report.seconds = SecondsSince(start);
  kept->impl_->report.tune = report;
  return kept;
}

}  // namespace sula
