// Layouts and kernels by a greedy walk in topological order.
#include <algorithm>

#include "backend/host.h"
#include "runtime/prepare/scheduler.h"

namespace sula {
namespace {

Status NoKernel(const std::vector<CandidateReport>& candidates) {
  std::string reasons;
  for (const CandidateReport& c : candidates)
    reasons += StrCat("; ", c.backend, " ", c.kernel, ": ", c.refused);
  return Unsupported("no backend has a kernel for this node", reasons);
}

}  // namespace

Scheduler::Scheduler(const ConcreteGraph& concrete, std::span<Backend* const> backends,
                     const SchemeOptions& options, KnownOptions& known, std::vector<uint8_t> laid)
    : graph_(concrete.graph),
      order_(concrete.order),
      backends_(backends),
      options_(options),
      forms_(concrete.graph.value_slots()),
      recipes_(concrete.graph.value_slots()),
      readers_(concrete.graph.value_slots()),
      viewed_(concrete.graph.value_slots()),
      node_options_(known),
      laid_(std::move(laid)) {
  for (NodeId id : order_)
    for (ValueId v : graph_.node(id).inputs)
      if (v != kNoValue && (readers_[v].empty() || readers_[v].back() != id))
        readers_[v].push_back(id);
  // Twice the longest chain, less one: a chain that begins within another one ends there.
  if (options.chains)
    for (const Backend* backend : backends)
      for (const ChainEntry& entry : backend->Chains())
        max_path_ = std::max(max_path_, 2 * entry.ops.size() - 1);
  if (options_.lock)
    for (const NodeScheme& scheme : options_.lock->nodes) locked_.emplace(scheme.name, &scheme);
}

Result<Schedule> Scheduler::Run() {
  if (!options_.lock || options_.adapt_lock) LookAhead();
  for (size_t i = 0; i < graph_.inputs().size(); ++i) {
    const ValueId v = graph_.inputs()[i];
    AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kInput, static_cast<int>(i)));
    Promise(v, Layout::kRowMajor);
  }
  for (size_t i = 0; i < graph_.outputs().size(); ++i) {
    const ValueId v = graph_.outputs()[i];
    if (graph_.Constant(v) || !forms_[v].empty())
      WriteOutput(i);
    else
      outputs_of_[v].push_back(i);
  }
  for (NodeId id : order_) {
    if (Status status = Visit(id); !status.ok())
      return std::move(status).AddContext(Describe(graph_, id));
    for (ValueId v : graph_.node(id).outputs)
      if (const auto outputs = outputs_of_.find(v); outputs != outputs_of_.end())
        for (size_t i : outputs->second) WriteOutput(i);
  }
  RETURN_IF_ERROR(CheckFollowed());
  return std::move(s_);
}

// ---- forms of values

int Scheduler::AddRoot(ValueId v, Layout layout, int storage) {
  const int form = s_.AddRoot(v, TypeOf(v), DimsOf(v), layout, storage);
  forms_[v].push_back(form);
  return form;
}

const std::vector<int>& Scheduler::FormsOf(ValueId v) {
  if (forms_[v].empty() && graph_.Constant(v))
    AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kConstant));
  return forms_[v];
}

void Scheduler::AddView(ValueId v, int form) {
  std::vector<int>& forms = forms_[v];
  const bool strided = s_.AnyUse(form).layout == Layout::kStrided;
  forms.insert(strided ? forms.end() : forms.begin(), form);
}

Layout Scheduler::PreferredLayout(ValueId v) {
  if (assumed_ && assumed_->first == v) return assumed_->second;
  if (FormsOf(v).empty()) TryViews(v);
  if (FormsOf(v).empty()) return BestAssembly(v).first;
  const Form& form = s_.forms[FormsOf(v)[0]];
  const Layout layout = s_.AnyUse(FormsOf(v)[0]).layout;
  if (layout != Layout::kStrided) return layout;
  const bool channels_inside = form.dims.size() >= 3 && form.at.strides[1] < form.at.strides.back();
  return channels_inside ? Layout::kChannelLast : Layout::kRowMajor;
}

double Scheduler::CostOf(ValueId v, Layout layout) {
  if (layout == Layout::kStrided) {
    if (assumed_ && assumed_->first == v) return 0;
    if (FormsOf(v).empty()) TryViews(v);
    return FormsOf(v).empty() ? CostOf(v, Layout::kRowMajor) : 0;
  }
  const TensorDesc to = DenseDesc(TypeOf(v), DimsOf(v), layout);
  if (assumed_ && assumed_->first == v) {
    if (assumed_->second == layout) return 0;
    return CopyCost(DenseDesc(TypeOf(v), DimsOf(v), assumed_->second), to);
  }
  if (FormsOf(v).empty()) TryViews(v);
  double cost = kNever;
  for (int form : FormsOf(v)) {
    if (graph_.Constant(v) || s_.DescIn(form, layout)) return 0;
    cost = std::min(cost, CopyCost(s_.Desc(s_.AnyUse(form)), to));
  }
  return cost < kNever ? cost : Assemble(v, layout).seconds;
}

FormUse Scheduler::BestSource(ValueId v, const TensorDesc& to) {
  FormUse best;
  double least = kNever;
  for (int form : FormsOf(v)) {
    FormUse use = s_.AnyUse(form);
    if (to.layout != Layout::kStrided && s_.DescIn(form, to.layout)) use.layout = to.layout;
    const double cost = CopyCost(s_.Desc(use), to);
    if (cost >= least) continue;
    least = cost;
    best = use;
  }
  return best;
}

FormUse Scheduler::Get(ValueId v, Layout layout) {
  if (FormsOf(v).empty()) TryViews(v);
  if (layout == Layout::kStrided) {
    const int form = FormsOf(v).empty() ? Get(v, Layout::kRowMajor).form : FormsOf(v)[0];
    return Used({form, layout});
  }
  for (int form : FormsOf(v))
    if (s_.DescIn(form, layout)) return Used({form, layout});
  if (graph_.Constant(v))
    return Used({AddRoot(v, layout, s_.AddStorage(Place::kConstant, 0, layout)), layout});
  if (FormsOf(v).empty()) return Build(v, layout, Assemble(v, layout));
  const FormUse from = BestSource(v, DenseDesc(TypeOf(v), DimsOf(v), layout));
  const int form = AddRoot(v, layout, s_.AddStorage(Place::kArena));
  AddCopy(v, from, {form, layout});
  return {form, layout};
}

FormUse Scheduler::Used(FormUse use) {
  s_.MarkUsed(use);
  return use;
}

void Scheduler::AddCopy(ValueId v, FormUse from, FormUse to) {
  Step step;
  step.kind = Step::Kind::kCopy;
  step.backend = &Copier();
  step.inputs = {Used(from)};
  step.outputs = {Used(to)};
  step.report.name = graph_.value(v).name;
  step.report.op = "Copy";
  step.report.backend = Copier().name();
  step.report.kernel = "copy";
  step.report.seconds = CopyCost(s_.Desc(from), s_.Desc(to));
  if (from.layout != to.layout) {
    s_.seconds += step.report.seconds;
    s_.avoidable += step.report.seconds;
  }
  s_.steps.push_back(std::move(step));
}

void Scheduler::WriteOutput(size_t i) {
  const ValueId v = graph_.outputs()[i];
  if (!IsStatic(v)) return;
  const FormUse from = Get(v, Layout::kRowMajor);
  const int form =
      AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kOutput, static_cast<int>(i)));
  AddCopy(v, from, {form, Layout::kRowMajor});
}

double Scheduler::CopyCost(const TensorDesc& from, const TensorDesc& to) const {
  if (options_.lock && !options_.adapt_lock) return HostCopyCost(from, to, options_.threads);
  return Copier().CopyCost(from, to, options_.threads);
}

// ---- nodes

Status Scheduler::Visit(NodeId id) {
  if (chained_.contains(id)) return {};
  const Node& node = graph_.node(id);
  for (const auto* values : {&node.inputs, &node.outputs})
    for (ValueId v : *values)
      if (v != kNoValue && !IsStatic(v)) return AddDynamic(id);
  if (AddMovement(id)) return {};

  Step step;
  step.node = id;
  step.report.name = node.name;
  step.report.op = node.op->name;
  KernelChoice kernel;
  if (!options_.lock_alone) {
    kernel = BestKernel(id, &step.report.candidates);
    if (!kernel.backend) return NoKernel(step.report.candidates);
  }
  const std::vector<NodeId> path = PathFrom(id);
  ASSIGN_OR_RETURN(const bool locked, FollowLock(path, kernel, step.report));
  if (!locked && path.size() > 1) kernel = BestOf(path, std::move(kernel), step.report.candidates);
  step.rest.assign(path.begin() + 1, path.begin() + kernel.nodes);
  for (NodeId next : step.rest) {
    chained_.insert(next);
    step.report.op += StrCat(" + ", graph_.node(next).op->name);
    step.report.chain.push_back(graph_.node(next).name);
  }
  AddKernel(std::move(step), kernel);
  return {};
}

Status Scheduler::AddDynamic(NodeId id) {
  const Node& node = graph_.node(id);
  Step step;
  step.kind = Step::Kind::kDynamic;
  step.node = id;
  step.report.name = node.name;
  step.report.op = node.op->name;
  step.report.kernel = "dynamic";
  for (ValueId v : node.inputs)
    step.inputs.push_back(v != kNoValue && IsStatic(v) && !graph_.Constant(v)
                              ? Get(v, Layout::kRowMajor)
                              : FormUse());
  for (ValueId v : node.outputs) {
    step.outputs.emplace_back();
    if (v == kNoValue || !IsStatic(v)) continue;
    const int form = AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kArena));
    step.outputs.back() = Used({form, Layout::kRowMajor});
  }
  s_.steps.push_back(std::move(step));
  return {};
}

NodeOptions& Scheduler::OptionsOf(NodeId id) {
  std::optional<NodeOptions>& known = node_options_[static_cast<size_t>(id)];
  if (known) return *known;
  const Node& node = graph_.node(id);
  NodeOptions& options = known.emplace(NodeOptions{PortsOf(graph_, id), 1, {}, {}, {}});
  const bool empty_input = options.ports.HasEmptyInput();
  const KernelRequest request = options.ports.Request(node, options_);
  for (Backend* backend : backends_) {
    for (const KernelEntry& entry : backend->Kernels(*node.op)) {
      CandidateReport report{.backend = std::string(backend->name()),
                             .kernel = std::string(entry.name)};
      const bool fallback = backend == backends_.back();
      const bool too_large = options_.refused.contains({id, &entry});
      // Its estimate would be held against measured times.
      const bool needless = fallback && TimesDecide() && !options.accepted.empty();
      const Verdict verdict = empty_input && !fallback ? Verdict::No("an input has no elements")
                              : too_large    ? Verdict::No("its memory does not fit into max_bytes")
                              : needless     ? Verdict::No("measured kernels come before it")
                              : entry.accept ? entry.accept(request)
                                             : Verdict::Yes();
      if (verdict) {
        KernelOption option{backend, &entry, NeedsOf(entry, options.ports, request)};
        option.estimate = entry.estimate ? entry.estimate(request) : 0;
        option.measured = MeasuredSeconds({&request, 1}, option.scheme);
        option.report = options.reports.size();
        report.kernel_seconds = option.estimate;
        report.measured_seconds = option.measured;
        options.accepted.push_back(std::move(option));
      } else {
        report.refused = verdict.reason();
      }
      options.reports.push_back(std::move(report));
    }
  }
  double fastest = kNever;
  for (const KernelOption& option : options.accepted) {
    if (!TimesDecide() || option.measured <= 0 || option.estimate <= 0 ||
        option.measured >= fastest)
      continue;
    fastest = option.measured;
    options.scale = option.measured / option.estimate;
  }
  for (KernelOption& option : options.accepted)
    option.kernel = Weight(option.estimate, option.measured, options.scale);
  return options;
}

KernelChoice Scheduler::BestKernel(NodeId id, std::vector<CandidateReport>* reports) {
  const NodeOptions& options = OptionsOf(id);
  const size_t first = reports ? reports->size() : 0;
  if (reports) reports->insert(reports->end(), options.reports.begin(), options.reports.end());
  KernelChoice best;
  for (const KernelOption& option : options.accepted) {
    KernelChoice choice{.backend = option.backend, .scheme = option.scheme};
    choice.estimate = option.estimate;
    choice.measured = option.measured;
    choice.kernel = option.kernel;
    SetLayouts(options.ports, option.needs, choice);
    if (reports) (*reports)[first + option.report].seconds = choice.total();
    if (!option.passed_over && choice.total() < best.total()) best = std::move(choice);
  }
  return best;
}

void Scheduler::SetLayouts(const Ports& ports, const PortNeeds& needs, KernelChoice& choice) {
  // Ports that take any layout: as the largest of them lies, unless another way costs less.
  std::vector<Layout> ways = {Layout::kRowMajor};
  int64_t largest = -1;
  for (size_t i = 0; i < ports.inputs.size(); ++i) {
    const TensorDesc& desc = ports.inputs[i];
    if (needs.inputs[i] != LayoutNeed::kFollow || !desc.present || ports.constants[i] ||
        desc.dims.size() < 3 || desc.num_elements() <= largest)
      continue;
    largest = desc.num_elements();
    ways = {PreferredLayout(ports.input_values[i])};
    if (!outlook_.empty())
      ways.push_back(ways[0] == Layout::kRowMajor ? Layout::kChannelLast : Layout::kRowMajor);
  }
  choice.seconds = kNever;
  for (Layout follow : ways) {
    double seconds = choice.kernel, outlook = 0;
    PortLayouts layouts = LayoutsOf(ports, needs, follow);
    for (size_t i = 0; i < ports.inputs.size(); ++i) {
      const ValueId v = ports.input_values[i];
      if (ports.inputs[i].present && !expected_.contains({v, layouts.inputs[i]}))
        seconds += CostOf(v, layouts.inputs[i]);
    }
    for (size_t i = 0; i < ports.outputs.size(); ++i)
      if (ports.outputs[i].present) outlook += Outlook(ports.output_values[i], layouts.outputs[i]);
    if (seconds + outlook >= choice.total()) continue;
    choice.seconds = seconds;
    choice.outlook = outlook;
    choice.inputs = std::move(layouts.inputs);
    choice.outputs = std::move(layouts.outputs);
  }
}

void Scheduler::AddKernel(Step step, const KernelChoice& choice) {
  step.backend = choice.backend;
  step.scheme = choice.scheme;
  const std::vector<ValueId> inputs = InputValues(graph_, step);
  for (size_t i = 0; i < inputs.size(); ++i)
    step.inputs.push_back(inputs[i] == kNoValue ? FormUse() : Get(inputs[i], choice.inputs[i]));
  const std::vector<ValueId>& outputs = OutputValues(graph_, step);
  for (size_t i = 0; i < outputs.size(); ++i) {
    step.outputs.emplace_back();
    if (outputs[i] == kNoValue) continue;
    const int form = AddRoot(outputs[i], choice.outputs[i], s_.AddStorage(Place::kArena));
    step.outputs.back() = Used({form, choice.outputs[i]});
    Promise(outputs[i], choice.outputs[i]);
  }
  step.report.backend = choice.backend->name();
  step.report.kernel = std::visit([](const auto* entry) { return entry->name; }, choice.scheme);
  step.report.seconds = choice.estimate;
  s_.seconds += choice.kernel;
  if (choice.nodes == 1 && !options_.lock_alone) {
    double least = choice.kernel;
    for (const KernelOption& option : OptionsOf(step.node).accepted)
      if (!option.passed_over) least = std::min(least, option.kernel);
    s_.avoidable += choice.kernel - least;
  }
  s_.steps.push_back(std::move(step));
}

namespace {

// The layouts (bits) in which steps read and write each value.
std::vector<uint8_t> LayoutsIn(const Schedule& schedule, const Graph& graph) {
  std::vector<uint8_t> layouts(static_cast<size_t>(graph.value_slots()), 0);
  for (const Form& form : schedule.forms) layouts[static_cast<size_t>(form.value)] |= form.used;
  return layouts;
}

}  // namespace

Result<Schedule> ChooseSchemes(const ConcreteGraph& graph, std::span<Backend* const> backends,
                               const SchemeOptions& options) {
  KnownOptions known(graph.graph.node_slots());
  Scheduler scheduler(graph, backends, options, known, {});
  ASSIGN_OR_RETURN(Schedule best, scheduler.Run());
  if (options.lock && !options.adapt_lock) return best;
  // Measured times are more than predictions: what they choose stays.
  if (!options.times && scheduler.SaveConstants(best)) {
    ASSIGN_OR_RETURN(best, Scheduler(graph, backends, options, known, {}).Run());
  }
  // Where branches meet, a walk cannot know how the values of the other branch will lie. More walks
  // are told: that they lie as in the walk before, or all one way. Less than this share of the time
  // is no gain that estimates could tell.
  constexpr double kGoodEnough = 0.003;
  if (best.avoidable <= kGoodEnough * best.seconds) return best;
  const size_t values = static_cast<size_t>(graph.graph.value_slots());
  const std::vector<uint8_t> last(values, Bit(Layout::kChannelLast)),
      row(values, Bit(Layout::kRowMajor));
  std::vector<uint8_t> before = LayoutsIn(best, graph.graph);
  std::set<std::vector<uint8_t>> walked = {scheduler.Heeded({})};
  const std::vector<uint8_t>* const hints[] = {&before, &before, &last, &row};
  for (const std::vector<uint8_t>* laid : hints) {
    if (!walked.insert(scheduler.Heeded(*laid)).second) continue;
    ASSIGN_OR_RETURN(Schedule next, Scheduler(graph, backends, options, known, *laid).Run());
    before = LayoutsIn(next, graph.graph);
    if (next.seconds < best.seconds) best = std::move(next);
    if (best.avoidable <= kGoodEnough * best.seconds) break;
  }
  return best;
}

}  // namespace sula
