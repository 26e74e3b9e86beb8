#include "runtime/session.h"

#include <bit>
#include <list>

#include "backends/cpu/cpu_backend.h"
#include "backends/null/null_backend.h"
#include "backends/reference/reference_backend.h"
#include "base/cpu_info.h"
#include "base/cpu_kind.h"
#include "runtime/plan.h"
#include "runtime/prepare/concrete.h"
#include "runtime/prepare/scheme_lock.h"

namespace sula {
namespace {

constexpr double kMostTuneSeconds = 86400;

// The backend asked for, then the one that takes every node.
Result<std::vector<std::unique_ptr<Backend>>> MakeBackends(const std::string& name) {
  std::vector<std::unique_ptr<Backend>> backends;
  if (name.empty() || name == "cpu") {
    backends.push_back(MakeCpuBackend());
    if (Status status = backends.back()->Probe(); !status.ok()) {
      if (!name.empty()) return std::move(status).AddContext("backend 'cpu'");
      backends.clear();
    }
  } else if (name == "null") {
    backends.push_back(MakeNullBackend());
  } else if (name != "reference") {
    return InvalidArgument("there is no backend '", name,
                           "'; this build has 'cpu', 'reference' and 'null'");
  }
  backends.push_back(MakeReferenceBackend());
  return backends;
}

std::optional<KeptPlan> KeptPlanOf(const TuneReport& tune) {
  if (tune.outcome == TuneOutcome::kNone || tune.outcome == TuneOutcome::kSame) return {};
  return KeptPlan{.tuned = tune.outcome == TuneOutcome::kTuned,
                  .tuned_seconds = tune.tuned_run_seconds,
                  .untuned_seconds = tune.untuned_run_seconds};
}

}  // namespace

struct Session::Impl {
  struct CachedPlan {
    std::vector<TensorType> inputs;
    std::unique_ptr<Plan> plan;
  };

  std::shared_ptr<const Model> model;
  std::shared_ptr<const Model> source;  // without extra outputs
  std::optional<SchemeLock> lock;
  SessionOptions options;
  std::vector<std::unique_ptr<Backend>> backends;
  std::optional<PackCache> pack_cache;
  std::list<CachedPlan> plans;  // most recently used first; the first one is in use
  bool profile = false;

  const Graph& graph() const { return model->graph(); }
  Plan& plan() const { return *plans.front().plan; }
  const Value& input(int i) const { return graph().value(graph().inputs()[i]); }
  const Value& output(int i) const { return graph().value(graph().outputs()[i]); }

  // What a lock for a plan with these inputs holds for.
  Result<SchemeScope> ScopeOf(const std::vector<TensorType>& inputs) const {
    SchemeScope scope;
    ASSIGN_OR_RETURN(scope.model, source->ContentHash());
    scope.cpu = CpuKind();
    scope.isa = Name(CpuInfo::Get().best_isa);
    scope.threads = options.threads;
    for (size_t i = 0; i < inputs.size(); ++i)
      scope.inputs[input(static_cast<int>(i)).name] = inputs[i].shape->Concrete();
    return scope;
  }

  // Under which the pack cache keeps what was chosen for these inputs; empty if it does not: then
  // somebody else says what to choose, or how much memory it may need.
  std::string ChoiceKey(const std::vector<TensorType>& inputs) const {
    if (!pack_cache || lock || options.tune_seconds > 0 || options.max_bytes > 0) return {};
    std::string key = StrCat("choice ", options.backend, " ", options.threads, " ",
                             std::bit_cast<uint64_t>(options.max_error), " ", options.chains);
    for (const TensorType& type : inputs) key += "\n" + type.ToString();
    for (const std::string& name : options.extra_outputs)
      key += StrCat("\n", name.size(), " ", name);
    return key;
  }
  std::optional<SchemeLock> KeptChoice(const std::string& key) const {
    if (key.empty() || !pack_cache->file()) return std::nullopt;
    const Pack text = PackFile::Find(pack_cache->file(), key);
    if (!text.data()) return std::nullopt;
    Result<SchemeLock> kept = ParseSchemeLock({text.as<char>(), text.bytes()});
    return kept ? std::optional(*std::move(kept)) : std::nullopt;
  }

  Status Use(const InputShapes& shapes) {
    ASSIGN_OR_RETURN(std::vector<TensorType> types, ConcreteInputTypes(graph(), shapes));
    for (auto it = plans.begin(); it != plans.end(); ++it) {
      if (it->inputs != types) continue;
      plans.splice(plans.begin(), plans, it);
      plan().Unbind();
      return {};
    }
    if (lock && !options.adapt_schemes) {
      ASSIGN_OR_RETURN(const SchemeScope here, ScopeOf(types));
      RETURN_IF_ERROR(CheckScope(lock->scope, here));
    }
    std::vector<Backend*> pointers;
    for (const auto& backend : backends) pointers.push_back(backend.get());
    PlanOptions plan_options{.threads = options.threads,
                             .max_bytes = options.max_bytes,
                             .max_error = options.max_error,
                             .chains = options.chains,
                             .packs = &model->packs(),
                             .pack_cache = pack_cache ? &*pack_cache : nullptr,
                             .source = model->source().file.get(),
                             .choice_key = ChoiceKey(types),
                             .tune = {options.tune_seconds, options.on_tune},
                             .lock = lock ? &*lock : nullptr,
                             .adapt_lock = options.adapt_schemes};
    Result<std::unique_ptr<Plan>> made = Internal("");
    if (const std::optional<SchemeLock> kept = KeptChoice(plan_options.choice_key)) {
      PlanOptions follow = plan_options;
      follow.choice_key.clear();
      follow.lock = &*kept, follow.kept_choice = true;
      made = Plan::Make(graph(), types, pointers, follow);
    }
    if (!made) made = Plan::Make(graph(), types, pointers, plan_options);
    if (!made) return made.error();
    plans.push_front({std::move(types), *std::move(made)});
    if (plans.size() > static_cast<size_t>(options.plan_cache)) plans.pop_back();
    return {};
  }
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::Create(std::shared_ptr<const Model> model,
                                                 const SessionOptions& options,
                                                 const InputShapes& shapes) {
  if (!model) return InvalidArgument("a session needs a model");
  if (options.threads < 0 || options.threads > ThreadPool::kMaxThreads)
    return InvalidArgument("threads is ", options.threads, ", must be between 0 and ",
                           ThreadPool::kMaxThreads);
  if (!(options.max_error >= 1e-7 && options.max_error <= 1e-3))
    return InvalidArgument("max_error is ", options.max_error, ", must be between 1e-7 and 1e-3");
  if (options.plan_cache < 1)
    return InvalidArgument("plan_cache is ", options.plan_cache, ", must be at least 1");
  if (!(options.tune_seconds >= 0 && options.tune_seconds <= kMostTuneSeconds))
    return InvalidArgument("tune_seconds is ", options.tune_seconds, ", must be between 0 and ",
                           kMostTuneSeconds);
  auto impl = std::make_unique<Impl>();
  impl->source = model;
  impl->model = std::move(model);
  if (!options.schemes.empty()) {
    Result<SchemeLock> lock = ParseSchemeLock(options.schemes);
    if (!lock) return Status(lock.error()).AddContext("the scheme lock");
    impl->lock = *std::move(lock);
  }
  if (!options.extra_outputs.empty()) {
    ASSIGN_OR_RETURN(impl->model, impl->model->WithOutputs(options.extra_outputs));
  }
  impl->options = options;
  if (options.threads == 0) impl->options.threads = AvailableCpus();
  ASSIGN_OR_RETURN(impl->backends, MakeBackends(options.backend));
  if (!options.pack_cache.empty()) {
    const ModelSource& source = impl->model->source();
    if (!source.file)
      return InvalidArgument("a pack cache is for models that come from a .sula file; graph '",
                             impl->graph().name, "' does not: convert it first");
    ASSIGN_OR_RETURN(
        impl->pack_cache,
        PackCache::Open(options.pack_cache, PackIdentity::Of(source.hash), options.check_packs));
  }
  RETURN_IF_ERROR(impl->Use(shapes).AddContext(StrCat("graph '", impl->graph().name, "'")));
  if (impl->options.threads > 1) ThreadPool::Shared().Reserve(impl->options.threads);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Status Session::Resize(const InputShapes& shapes) { return impl_->Use(shapes); }

int Session::num_inputs() const { return static_cast<int>(impl_->graph().inputs().size()); }
int Session::num_outputs() const { return static_cast<int>(impl_->graph().outputs().size()); }
const std::string& Session::input_name(int i) const { return impl_->input(i).name; }
const std::string& Session::output_name(int i) const { return impl_->output(i).name; }
DType Session::input_type(int i) const { return impl_->input(i).type.dtype; }
DType Session::output_type(int i) const { return impl_->output(i).type.dtype; }
const Dims& Session::input_dims(int i) const { return impl_->plan().input_dims(i); }
const Dims& Session::output_dims(int i) const { return impl_->plan().output_dims(i); }

void* Session::input_data(int i) { return impl_->plan().input_data(i); }
const void* Session::output_data(int i) const { return impl_->plan().output_data(i); }

Status Session::BindInput(int i, const void* data) {
  if (i < 0 || i >= num_inputs())
    return InvalidArgument("there is no input ", i, ", the model has ", num_inputs());
  impl_->plan().BindInput(i, data);
  return {};
}

Status Session::BindOutput(int i, void* data) {
  if (i < 0 || i >= num_outputs())
    return InvalidArgument("there is no output ", i, ", the model has ", num_outputs());
  if (impl_->plan().output_is_dynamic(i))
    return InvalidArgument("the size of output '", output_name(i),
                           "' depends on the data: read it from output_data after Run");
  impl_->plan().BindOutput(i, data);
  return {};
}

Status Session::Run() { return impl_->plan().Run(impl_->profile); }

void Session::SetProfiling(bool on) { impl_->profile = on; }
PlanReport Session::Report() const { return impl_->plan().report(); }
Result<std::string> Session::Schemes() const {
  SchemeLock lock{
      .library = SULA_VERSION, .scope = {}, .kept = {}, .nodes = impl_->plan().schemes()};
  if (impl_->lock && !impl_->options.adapt_schemes)
    lock.kept = impl_->lock->kept;
  else
    lock.kept = KeptPlanOf(impl_->plan().report().tune);
  ASSIGN_OR_RETURN(lock.scope, impl_->ScopeOf(impl_->plans.front().inputs));
  return Print(lock);
}
std::span<const CommandTime> Session::LastTimes() const { return impl_->plan().times(); }

}  // namespace sula
