// From a schedule to a plan: kernels, memory, commands.
#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <optional>

#include "base/aligned_buffer.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "runtime/plan.h"
#include "runtime/plan_impl.h"
#include "runtime/prepare/block_plan.h"
#include "runtime/prepare/concrete.h"
#include "runtime/prepare/memory_fit.h"
#include "runtime/prepare/node_order.h"
#include "runtime/prepare/schedule.h"

namespace sula {

class PlanBuilder {
 public:
  PlanBuilder(const Graph& model, std::span<Backend* const> backends, const PlanOptions& options)
      : model_(model), options_(options), plan_(std::make_unique<Plan::Impl>()) {
    plan_->backends.assign(backends.begin(), backends.end());
    plan_->threads = options.threads;
  }

  Result<std::unique_ptr<Plan>> Build(const std::vector<TensorType>& input_types) {
    ASSIGN_OR_RETURN(concrete_, MakeConcrete(model_, input_types));
    OrderForMemory(concrete_);
    SchemeOptions schemes{.threads = options_.threads,
                          .max_error = options_.max_error,
                          .pad_pixels = options_.pad_pixels,
                          .chains = options_.chains,
                          .refused = {},
                          .times = options_.times,
                          .times_decide = options_.times_decide,
                          .lock = options_.lock,
                          .adapt_lock = options_.adapt_lock,
                          .lock_alone = options_.kept_choice};
    const bool fixed = options_.lock && !options_.adapt_lock;
    RETURN_IF_ERROR(MakeSteps(schemes));
    if (IsTooLarge()) {
      if (fixed) return LockTooLarge();
      // What was made for the fastest plan goes before another one is made.
      plan_->kernels.clear();
      ASSIGN_OR_RETURN(schemes.refused,
                       FitSchemes(concrete_, plan_->backends, schemes, options_.max_bytes));
      RETURN_IF_ERROR(MakeSteps(schemes));
      if (IsTooLarge()) return TooLarge();
    }
    ReportMemory();
    RETURN_IF_ERROR(PlaceBlocks());
    RETURN_IF_ERROR(FillConstants());
    MakeCommands();
    RETURN_IF_ERROR(KeepPacks());
    MakePorts();
    DropConstants();
    return std::unique_ptr<Plan>(new Plan(std::move(plan_)));
  }

 private:
  const Graph& graph() const { return concrete_.graph; }

  TensorDesc DescOf(const FormUse& use) const { return use.form < 0 ? TensorDesc{} : s_.Desc(use); }
  std::vector<TensorDesc> DescsOf(const std::vector<FormUse>& uses) const {
    std::vector<TensorDesc> descs;
    for (const FormUse& use : uses) descs.push_back(DescOf(use));
    return descs;
  }

  // ---- kernels
  // The schedule, its kernels, and what memory they need.
  Status MakeSteps(const SchemeOptions& schemes) {
    ASSIGN_OR_RETURN(s_, MakeSchedule(concrete_, plan_->backends, schemes));
    kernels_.assign(s_.steps.size(), nullptr);
    packs_.emplace(options_.packs ? *options_.packs : own_packs_, options_.pack_cache, model_,
                   graph());
    std::vector<StepMemory> memory(s_.steps.size());
    for (size_t i : ByConstants()) {
      if (Status status = MakeStepKernel(i, schemes, memory[i]); !status.ok())
        return std::move(status).AddContext(Describe(graph(), s_.steps[i].node));
    }
    for (Step& step : s_.steps) Report(step);
    blocks_ = PlanBlocks(s_, memory);
    layout_ = PlanMemory(blocks_.requests, kAlignment);
    return {};
  }

  // Steps that need kernels, those with the largest constants first: while they are packed, the
  // originals are in memory as well, and the fewer packs are there by then, the lower is the peak.
  std::vector<size_t> ByConstants() const {
    std::vector<std::pair<size_t, size_t>> steps;  // bytes, step
    for (size_t i = 0; i < s_.steps.size(); ++i) {
      if (s_.steps[i].kind != Step::Kind::kKernel) continue;
      size_t bytes = 0;
      for (ValueId v : InputValues(graph(), s_.steps[i]))
        if (const Tensor* const constant = graph().Constant(v)) bytes += constant->bytes();
      steps.emplace_back(bytes, i);
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<size_t> order;
    for (const auto& [bytes, i] : steps) order.push_back(i);
    return order;
  }

  Status MakeStepKernel(size_t index, const SchemeOptions& schemes, StepMemory& memory) {
    Step& step = s_.steps[index];
    std::list<NodePacks> packs;
    const auto packs_of = [&](NodeId id) { return &packs.emplace_back(*packs_, graph().node(id)); };
    ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel,
                     MakeKernel(graph(), s_, step, schemes, packs_of));
    if (!kernel) return {};
    memory = MemoryOf(*kernel, step, graph());
    const bool packed =
        std::any_of(packs.begin(), packs.end(), [](const NodePacks& p) { return p.made(); });
    if (options_.source && packed) ReleaseOriginals(step, memory);
    for (size_t i = 0; i < step.inputs.size(); ++i)
      if (memory.unread[i]) step.inputs[i].form = -1;
    step.report.workspace_bytes = memory.workspace;
    step.report.constant_bytes = memory.constants;
    step.report.detail = kernel->Detail();
    kernels_[index] = kernel.get();
    plan_->kernels.push_back(std::move(kernel));
    return {};
  }

  // The pages of what a kernel has packed and reads no more: the originals would count as memory of
  // the process until somebody else needs some.
  void ReleaseOriginals(const Step& step, const StepMemory& memory) const {
    const std::vector<ValueId> inputs = InputValues(graph(), step);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor* const original = graph().Constant(inputs[i]);
      if (original && memory.unread[i])
        options_.source->Release({original->raw(), original->bytes()});
    }
  }

  // Completes the report of a step; called while its constant inputs still have forms or, for
  // those a kernel does not read, from the node.
  void Report(Step& step) {
    NodeReport& report = step.report;
    if (step.node == kNoNode) {
      for (const FormUse& use : step.inputs) {
        if (use.form < 0) continue;
        const std::string text = s_.Desc(s_.AnyUse(use.form)).ToString();
        if (report.inputs.empty() || report.inputs.back() != text) report.inputs.push_back(text);
      }
      const TensorDesc desc = s_.Desc(step.outputs[0]);
      report.outputs = {desc.ToString()};
      int64_t elements = step.kind == Step::Kind::kCopy ? desc.num_elements() : 0;
      for (const Region& region : step.regions) elements += region.num_elements();
      report.bytes = 2.0 * static_cast<double>(elements) * static_cast<double>(SizeOf(desc.dtype));
      return;
    }
    const Node& node = graph().node(step.node);
    const auto describe = [&](const std::vector<ValueId>& values,
                              const std::vector<FormUse>& uses) {
      std::vector<std::string> texts;
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i] == kNoValue)
          texts.push_back("absent");
        else if (i < uses.size() && uses[i].form >= 0)
          texts.push_back(
              s_.Desc(step.kind == Step::Kind::kAlias ? s_.AnyUse(uses[i].form) : uses[i])
                  .ToString());
        else
          texts.push_back(graph().value(values[i]).type.ToString());
      }
      return texts;
    };
    report.fields = FieldTexts(node);
    report.inputs = describe(InputValues(graph(), step), step.inputs);
    report.outputs = describe(OutputValues(graph(), step), step.outputs);
    if (step.kind == Step::Kind::kAlias) return;
    AddCost(node, report);
    for (NodeId id : step.rest) {
      const Node& next = graph().node(id);
      for (auto& [field, text] : FieldTexts(next))
        report.fields.emplace_back(StrCat(next.name, " ", field), std::move(text));
      AddCost(next, report);
      report.bytes -= 2 * Bytes(std::array{graph().value(next.inputs[0]).type});
    }
  }

  void AddCost(const Node& node, NodeReport& report) const {
    const auto types = [&](const std::vector<ValueId>& values) {
      std::vector<TensorType> result;
      for (ValueId v : values)
        result.push_back(v == kNoValue ? TensorType{} : graph().value(v).type);
      return result;
    };
    const std::vector<TensorType> inputs = types(node.inputs), outputs = types(node.outputs);
    Cost cost;
    if (node.op->cost) {
      cost = node.op->cost(node, inputs, outputs);
    } else {
      cost.bytes_read = Bytes(inputs);
      cost.bytes_written = Bytes(outputs);
    }
    report.flops += cost.flops;
    report.bytes += cost.bytes_read + cost.bytes_written;
  }

  static double Bytes(std::span<const TensorType> types) {
    double bytes = 0;
    for (const TensorType& type : types) {
      if (!type.shape) continue;
      if (const auto dims = type.shape->TryConcrete())
        bytes += static_cast<double>(NumElements(*dims)) * static_cast<double>(SizeOf(type.dtype));
    }
    return bytes;
  }

  // ---- memory
  size_t TotalBytes() const { return layout_.peak_bytes + blocks_.constants + blocks_.ports; }
  bool IsTooLarge() const { return options_.max_bytes > 0 && TotalBytes() > options_.max_bytes; }

  Status TooLarge() const {
    const std::vector<size_t> live = blocks_.LiveBytes(s_.steps.size());
    std::string peak;
    if (!live.empty()) {
      const auto most = std::max_element(live.begin(), live.end()) - live.begin();
      const NodeReport& report = s_.steps[static_cast<size_t>(most)].report;
      peak = StrCat("; most activations are live at node '", report.name, "' (", report.op, ")");
    }
    return ResourceExhausted(
        "the smallest plan needs ", TotalBytes(), " bytes (", layout_.peak_bytes,
        " for activations, ", blocks_.constants, " for weights, ", blocks_.ports,
        " for inputs and outputs), max_bytes allows ", options_.max_bytes, peak);
  }

  Status LockTooLarge() const {
    return ResourceExhausted("the plan of the scheme lock needs ", TotalBytes(),
                             " bytes, max_bytes allows ", options_.max_bytes,
                             "; make the lock with this max_bytes, or adapt it (adapt_schemes)");
  }

  void ReportMemory() {
    PlanReport& report = plan_->report;
    report.threads = options_.threads;
    report.arena_bytes = layout_.peak_bytes;
    report.lower_bound_bytes = layout_.lower_bound_bytes;
    report.constant_bytes = blocks_.constants;
    report.port_bytes = blocks_.ports;
    report.mapped_bytes = packs_->mapped_bytes();
    report.shared_bytes = packs_->shared_bytes();
    for (const Form& f : s_.forms)
      if (f.base < 0 && blocks_.constant[f.storage] && IsBorrowed(f))
        report.borrowed_bytes += blocks_.bytes[f.storage];
    report.total_bytes = TotalBytes();
  }

  Status KeepPacks() {
    if (!options_.pack_cache) return {};
    if (!options_.choice_key.empty())
      packs_->Take(options_.choice_key,
                   Print({.library = {}, .scope = {}, .kept = {}, .nodes = plan_->schemes}));
    RETURN_IF_ERROR(packs_->Keep());
    plan_->report.pack_cache = options_.pack_cache->outcome();
    return {};
  }

  // True if a constant is read where the model has it.
  bool IsBorrowed(const Form& form) const {
    return s_.storages[form.storage].layout == Layout::kRowMajor && model_.Constant(form.value);
  }

  Status PlaceBlocks() {
    std::vector<std::string> names(s_.storages.size());
    for (const Form& f : s_.forms) {
      if (f.base >= 0) continue;
      std::string& name = names[f.storage];
      name += (name.empty() ? "" : " ") + graph().value(f.value).name;
    }
    plan_->blocks.assign(s_.storages.size(), nullptr);
    workspaces_.assign(s_.steps.size(), nullptr);
    ASSIGN_OR_RETURN(std::byte * arena, Acquire(layout_.peak_bytes, StorageKind::kDynamic));
    for (size_t r = 0; r < blocks_.requests.size(); ++r) {
      const MemoryRequest& request = blocks_.requests[r];
      const int owner = blocks_.owners[r];
      std::byte* const at = arena + layout_.offsets[r];
      const bool workspace = owner < 0;
      if (workspace)
        workspaces_[-1 - owner] = at;
      else
        plan_->blocks[owner] = at;
      plan_->report.placements.push_back(
          {workspace ? s_.steps[-1 - owner].report.name + " workspace" : names[owner],
           layout_.offsets[r], request.bytes, request.first, request.last});
    }
    for (size_t b = 0; b < s_.storages.size(); ++b) {
      if (s_.storages[b].place != Place::kInput && s_.storages[b].place != Place::kOutput) continue;
      ASSIGN_OR_RETURN(plan_->blocks[b], Acquire(blocks_.bytes[b], StorageKind::kSeparate));
    }
    return {};
  }

  Result<std::byte*> Acquire(size_t bytes, StorageKind kind) {
    ASSIGN_OR_RETURN(const DeviceBuffer buffer, plan_->backends[0]->AcquireBuffer(bytes, kind));
    plan_->buffers.push_back(buffer);
    return static_cast<std::byte*>(buffer.data);
  }

  Status FillConstants() {
    for (const Form& f : s_.forms) {
      const Storage& storage = s_.storages[f.storage];
      if (storage.place != Place::kConstant || f.base >= 0 || !blocks_.constant[f.storage])
        continue;
      const std::shared_ptr<const Tensor>& tensor = graph().value(f.value).constant;
      if (storage.layout == Layout::kRowMajor) {
        // Commands only read it.
        plan_->blocks[f.storage] = const_cast<std::byte*>(tensor->raw());
        plan_->constants.push_back(tensor);
        continue;
      }
      ASSIGN_OR_RETURN(std::byte * data, Acquire(blocks_.bytes[f.storage], StorageKind::kStatic));
      RETURN_IF_ERROR(plan_->backends[0]->CopyBuffer(DenseDesc(f.dtype, f.dims), tensor->raw(),
                                                     DenseDesc(f.dtype, f.dims, storage.layout),
                                                     data, Parallel(options_.threads)));
      plan_->blocks[f.storage] = data;
    }
    return {};
  }

  // ---- commands
  void MakeCommands() {
    ReportProducers();
    plan_->times.resize(s_.steps.size());
    for (Step& step : s_.steps) {
      if (step.kind == Step::Kind::kKernel) plan_->schemes.push_back(SchemeOf(graph(), step));
      if (options_.kept_choice) step.report.locked = false;
      plan_->report.locked_nodes += step.report.locked;
    }
    plan_->block_pointers.resize(s_.storages.size());
    for (size_t i = 0; i < s_.steps.size(); ++i) {
      Step& step = s_.steps[i];
      const int report = static_cast<int>(plan_->report.nodes.size());
      plan_->report.nodes.push_back(std::move(step.report));
      if (step.kind == Step::Kind::kAlias) continue;
      if (step.kind == Step::Kind::kKernel && !kernels_[i]) continue;  // has nothing to write
      Command command;
      command.report = report;
      command.backend = step.backend;
      if (step.kind == Step::Kind::kMove) {
        AddMove(step, command);
        plan_->commands.push_back(command);
        continue;
      }
      command.inputs = AddPointers(step.inputs);
      command.outputs = AddPointers(step.outputs);
      if (step.kind == Step::Kind::kKernel) {
        command.kernel = kernels_[i];
        command.workspace = workspaces_[i];
      } else if (step.kind == Step::Kind::kCopy) {
        command.kind = Command::Kind::kCopy;
        command.detail = static_cast<int>(plan_->copies.size());
        plan_->copies.push_back({s_.Desc(step.inputs[0]), s_.Desc(step.outputs[0])});
      } else {
        command.kind = Command::Kind::kDynamic;
        command.detail = static_cast<int>(plan_->dynamics.size());
        plan_->dynamics.push_back({step.node, DescsOf(step.inputs), DescsOf(step.outputs), {}});
      }
      plan_->commands.push_back(command);
    }
    plan_->tensors.resize(graph().value_slots());
    FindLastReaders();
  }

  // Who wrote what each step reads: the writer of the form or, where a copy into this form was
  // found unnecessary, of the value.
  void ReportProducers() {
    std::vector<int> writer_of_form(s_.forms.size(), -1);
    std::vector<int> writer_of_value(graph().value_slots(), -1);
    for (size_t i = 0; i < s_.steps.size(); ++i) {
      Step& step = s_.steps[i];
      // Steps without node copy what their inputs hold.
      std::vector<ValueId> inputs, outputs;
      std::vector<int> forms;
      if (step.node == kNoNode) {
        for (const FormUse& use : step.inputs) {
          if (use.form < 0 || std::count(forms.begin(), forms.end(), use.form) > 0) continue;
          forms.push_back(use.form);
          inputs.push_back(s_.forms[use.form].value);
        }
        outputs = {s_.forms[step.outputs[0].form].value};
      } else {
        inputs = InputValues(graph(), step);
        outputs = OutputValues(graph(), step);
        for (const FormUse& use : step.inputs) forms.push_back(use.form);
      }
      for (size_t k = 0; k < inputs.size(); ++k) {
        const ValueId v = inputs[k];
        const int form = k < forms.size() ? forms[k] : -1;
        int producer = form < 0 ? -1 : writer_of_form[form];
        if (producer < 0 && v != kNoValue) producer = writer_of_value[v];
        step.report.producers.push_back(producer);
        step.report.input_values.push_back(v == kNoValue ? "" : graph().value(v).name);
      }
      for (ValueId v : outputs) {
        step.report.output_values.push_back(v == kNoValue ? "" : graph().value(v).name);
        if (v != kNoValue && step.kind != Step::Kind::kCopy)
          writer_of_value[v] = static_cast<int>(i);
      }
      for (const FormUse& use : step.outputs)
        if (use.form >= 0) writer_of_form[use.form] = static_cast<int>(i);
    }
  }

  // One copy for each region, all of them strided.
  void AddMove(const Step& step, Command& command) {
    command.kind = Command::Kind::kCopy;
    command.detail = static_cast<int>(plan_->copies.size());
    const Form& output = s_.forms[step.outputs[0].form];
    const int count = static_cast<int>(step.regions.size());
    std::vector<RegionLoops> loops;
    for (int i = 0; i < count; ++i) {
      const int input = step.inputs[i].form;
      loops.push_back(LoopsOf(step.regions[i], output.at.strides,
                              input < 0 ? Dims() : s_.forms[input].at.strides));
      TensorDesc desc{true, output.dtype, loops[i].dims, Layout::kStrided, 0, {}};
      desc.strides = loops[i].from.strides;
      plan_->copies.push_back({desc, desc});
      plan_->copies.back().to.strides = loops[i].to.strides;
    }
    command.inputs = {static_cast<int>(plan_->pointers.size()), count};
    for (int i = 0; i < count; ++i) AddPointer(step.inputs[i].form, loops[i].from.offset);
    command.outputs = {static_cast<int>(plan_->pointers.size()), count};
    for (int i = 0; i < count; ++i) AddPointer(step.outputs[0].form, loops[i].to.offset);
  }

  PointerRange AddPointers(const std::vector<FormUse>& uses) {
    const PointerRange range{static_cast<int>(plan_->pointers.size()),
                             static_cast<int>(uses.size())};
    for (const FormUse& use : uses) AddPointer(use.form, 0);
    return range;
  }

  // A pointer to an element of a form, `offset` elements from its first; null for form -1.
  void AddPointer(int form, int64_t offset) {
    if (form < 0) {
      plan_->pointers.push_back(nullptr);
      plan_->origins.emplace_back();
      return;
    }
    const Form& f = s_.forms[form];
    const PointerOrigin origin{f.storage,
                               static_cast<size_t>(f.at.offset + offset) * SizeOf(f.dtype)};
    void* const base = plan_->blocks[f.storage];
    plan_->block_pointers[f.storage].push_back(static_cast<int>(plan_->pointers.size()));
    plan_->pointers.push_back(base ? static_cast<std::byte*>(base) + origin.offset : nullptr);
    plan_->origins.push_back(origin);
  }

  void FindLastReaders() {
    std::map<ValueId, DynamicCommand*> last;
    for (DynamicCommand& dynamic : plan_->dynamics) {
      const Node& node = graph().node(dynamic.node);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId v = node.inputs[i];
        if (v != kNoValue && !dynamic.inputs[i].present && !graph().IsOutput(v)) last[v] = &dynamic;
      }
    }
    for (const auto& [v, dynamic] : last)
      if (!graph().Constant(v)) dynamic->release.push_back(v);
  }

  void MakePorts() {
    for (ValueId v : graph().inputs()) plan_->inputs.push_back(MakePort(v));
    for (ValueId v : graph().outputs()) plan_->outputs.push_back(MakePort(v));
    for (size_t b = 0; b < s_.storages.size(); ++b) {
      const Storage& storage = s_.storages[b];
      if (storage.place != Place::kInput && storage.place != Place::kOutput) continue;
      PlanPort& port =
          (storage.place == Place::kInput ? plan_->inputs : plan_->outputs)[storage.index];
      port.block = static_cast<int>(b);
      port.own = plan_->blocks[b];
    }
  }

  PlanPort MakePort(ValueId v) const {
    PlanPort port;
    port.value = v;
    port.dims = KnownDims(graph().value(v)).value_or(Dims());
    return port;
  }

  // Originals that were packed, or folded into others, are needed no more.
  void DropConstants() {
    plan_->graph = std::move(concrete_.graph);
    std::vector<bool> needed(plan_->graph.value_slots(), false);
    for (const DynamicCommand& dynamic : plan_->dynamics)
      for (ValueId v : plan_->graph.node(dynamic.node).inputs)
        if (v != kNoValue) needed[v] = true;
    for (ValueId v = 0; v < plan_->graph.value_slots(); ++v)
      if (!needed[v]) plan_->graph.value(v).constant.reset();
  }

  const Graph& model_;
  const PlanOptions& options_;
  std::unique_ptr<Plan::Impl> plan_;
  ConcreteGraph concrete_;
  Schedule s_;
  PackStore own_packs_;
  std::optional<PlanPacks> packs_;
  std::vector<const Kernel*> kernels_;  // by step; null: not a kernel, or nothing to do
  BlockPlan blocks_;
  MemoryPlan layout_;
  std::vector<std::byte*> workspaces_;  // by step
};

Result<std::unique_ptr<Plan>> Plan::Make(const Graph& model,
                                         const std::vector<TensorType>& input_types,
                                         std::span<Backend* const> backends,
                                         const PlanOptions& options) {
  const bool fixed = options.lock && !options.adapt_lock;
  if (options.tune.seconds > 0 && !fixed) return MakeTuned(model, input_types, backends, options);
  return PlanBuilder(model, backends, options).Build(input_types);
}

}  // namespace sula
