// Layouts and kernels by a greedy walk in topological order.
#include <algorithm>
#include <limits>
#include <map>

#include "ops/movement.h"
#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr Layout kKernelLayouts[] = {Layout::kRowMajor, Layout::kChannelLast};

// A kernel that would do, with the layouts it would get.
struct KernelChoice {
  Backend* backend = nullptr;
  const KernelEntry* entry = nullptr;
  std::vector<Layout> inputs, outputs;
  double estimate = 0;      // of the kernel alone
  double seconds = kNever;  // with the layout copies
};

// A way without kernel: copies of the inputs into their places in an output of this layout.
struct MovementChoice {
  Layout layout = Layout::kRowMajor;
  double seconds = kNever;
};

class Scheduler {
 public:
  Scheduler(const ConcreteGraph& concrete, std::span<Backend* const> backends,
            const SchemeOptions& options)
      : graph_(concrete.graph),
        order_(concrete.order),
        backends_(backends),
        options_(options),
        forms_(concrete.graph.value_slots()) {}

  Result<Schedule> Run() {
    for (size_t i = 0; i < graph_.inputs().size(); ++i) {
      const ValueId v = graph_.inputs()[i];
      AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kInput, static_cast<int>(i)));
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
    return std::move(s_);
  }

 private:
  // ---- forms of values
  bool IsStatic(ValueId v) const { return KnownDims(graph_.value(v)).has_value(); }
  Dims DimsOf(ValueId v) const { return *KnownDims(graph_.value(v)); }

  int AddRoot(ValueId v, Layout layout, int storage) {
    const int form = s_.AddRoot(v, graph_.value(v).type.dtype, DimsOf(v), layout, storage);
    forms_[v].push_back(form);
    return form;
  }

  // Forms that exist; a constant gets its row-major one on first use.
  const std::vector<int>& FormsOf(ValueId v) {
    if (forms_[v].empty() && graph_.Constant(v))
      AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kConstant));
    return forms_[v];
  }

  // The layout that kernels without a wish of their own take this value in: one it has, else the
  // one whose order of axes is more like its own.
  Layout PreferredLayout(ValueId v) {
    const Form& form = s_.forms[FormsOf(v)[0]];
    const Layout layout = s_.AnyUse(FormsOf(v)[0]).layout;
    if (layout != Layout::kStrided) return layout;
    const bool channels_inside =
        form.dims.size() >= 3 && form.at.strides[1] < form.at.strides.back();
    return channels_inside ? Layout::kChannelLast : Layout::kRowMajor;
  }

  // Seconds of the copy that would bring v to this layout: 0 if it lies so already.
  double CostOf(ValueId v, Layout layout) {
    double cost = kNever;
    const TensorDesc to = DenseDesc(graph_.value(v).type.dtype, DimsOf(v), layout);
    for (int form : FormsOf(v)) {
      if (graph_.Constant(v) || s_.DescIn(form, layout)) return 0;
      cost = std::min(cost, CopyCost(s_.AnyUse(form), to));
    }
    return cost;
  }

  // The cheapest form to copy from.
  FormUse BestSource(ValueId v, const TensorDesc& to) {
    FormUse best;
    double least = kNever;
    for (int form : FormsOf(v)) {
      FormUse use = s_.AnyUse(form);
      if (to.layout != Layout::kStrided && s_.DescIn(form, to.layout)) use.layout = to.layout;
      const double cost = CopyCost(use, to);
      if (cost >= least) continue;
      least = cost;
      best = use;
    }
    return best;
  }

  // A form of v in this layout, made by a copy if there is none.
  FormUse Get(ValueId v, Layout layout) {
    for (int form : FormsOf(v))
      if (s_.DescIn(form, layout)) return Used({form, layout});
    if (graph_.Constant(v))
      return Used({AddRoot(v, layout, s_.AddStorage(Place::kConstant, 0, layout)), layout});
    const FormUse from = BestSource(v, DenseDesc(graph_.value(v).type.dtype, DimsOf(v), layout));
    const int form = AddRoot(v, layout, s_.AddStorage(Place::kArena));
    AddCopy(v, from, {form, layout});
    return {form, layout};
  }

  FormUse Used(FormUse use) {
    s_.MarkUsed(use);
    return use;
  }

  void AddCopy(ValueId v, FormUse from, FormUse to) {
    Step step;
    step.kind = Step::Kind::kCopy;
    step.backend = &Copier();
    step.inputs = {Used(from)};
    step.outputs = {Used(to)};
    step.report.name = graph_.value(v).name;
    step.report.op = "Copy";
    step.report.backend = Copier().name();
    step.report.kernel = "copy";
    step.report.seconds = CopyCost(from, s_.Desc(to));
    s_.steps.push_back(std::move(step));
  }

  // Copies a value of known size to the memory of graph output i.
  void WriteOutput(size_t i) {
    const ValueId v = graph_.outputs()[i];
    if (!IsStatic(v)) return;
    const FormUse from = Get(v, Layout::kRowMajor);
    const int form =
        AddRoot(v, Layout::kRowMajor, s_.AddStorage(Place::kOutput, static_cast<int>(i)));
    AddCopy(v, from, {form, Layout::kRowMajor});
  }

  Backend& Copier() const { return *backends_[0]; }
  double CopyCost(FormUse from, const TensorDesc& to) const {
    return Copier().CopyCost(s_.Desc(from), to, options_.threads);
  }

  // ---- nodes
  Status Visit(NodeId id) {
    const Node& node = graph_.node(id);
    for (const auto* values : {&node.inputs, &node.outputs})
      for (ValueId v : *values)
        if (v != kNoValue && !IsStatic(v)) return AddDynamic(id);
    if (TryViews(id)) return {};

    Step step;
    step.node = id;
    step.report.name = node.name;
    step.report.op = node.op->name;
    const KernelChoice kernel = BestKernel(node, step.report.candidates);
    const MovementChoice reshape = BestReshape(node);
    const MovementChoice parts = BestConcat(node);
    if (reshape.seconds <= kernel.seconds && reshape.seconds < kNever) {
      AddReshape(id, reshape.layout);
    } else if (parts.seconds <= kernel.seconds && parts.seconds < kNever) {
      AddConcat(std::move(step), parts.layout);
    } else if (kernel.entry) {
      AddKernel(std::move(step), kernel);
    } else {
      return NoKernel(step.report.candidates);
    }
    return {};
  }

  static Status NoKernel(const std::vector<CandidateReport>& candidates) {
    std::string reasons;
    for (const CandidateReport& c : candidates)
      reasons += StrCat("; ", c.backend, " ", c.kernel, ": ", c.refused);
    return Unsupported("no backend has a kernel for this node", reasons);
  }

  Status AddDynamic(NodeId id) {
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

  // ---- kernels
  KernelChoice BestKernel(const Node& node, std::vector<CandidateReport>& reports) {
    std::vector<TensorDesc> inputs, outputs;
    std::vector<const Tensor*> constants;
    bool empty_input = false;
    for (const auto& [values, descs] :
         {std::pair{&node.inputs, &inputs}, std::pair{&node.outputs, &outputs}})
      for (ValueId v : *values)
        descs->push_back(v == kNoValue ? TensorDesc{}
                                       : DenseDesc(graph_.value(v).type.dtype, DimsOf(v)));
    for (ValueId v : node.inputs) {
      constants.push_back(graph_.Constant(v));
      empty_input |= v != kNoValue && NumElements(DimsOf(v)) == 0;
    }
    const KernelRequest request{&node, inputs, outputs, constants, options_.threads};

    KernelChoice best;
    for (Backend* backend : backends_) {
      for (const KernelEntry& entry : backend->Kernels(*node.op)) {
        CandidateReport report{std::string(backend->name()), std::string(entry.name), {}, 0};
        const bool fallback = backend == backends_.back();
        const Verdict verdict = empty_input && !fallback ? Verdict::No("an input has no elements")
                                : entry.accept           ? entry.accept(request)
                                                         : Verdict::Yes();
        if (verdict) {
          KernelChoice choice = WithLayouts(node, request, backend, entry);
          report.seconds = choice.seconds;
          if (choice.seconds < best.seconds) best = std::move(choice);
        } else {
          report.refused = verdict.reason();
        }
        reports.push_back(std::move(report));
      }
    }
    return best;
  }

  KernelChoice WithLayouts(const Node& node, const KernelRequest& request, Backend* backend,
                           const KernelEntry& entry) {
    std::vector<LayoutNeed> in(node.inputs.size(), LayoutNeed::kRowMajor);
    std::vector<LayoutNeed> out(node.outputs.size(), LayoutNeed::kRowMajor);
    if (entry.layouts) entry.layouts(request, in, out);

    Layout follow = Layout::kRowMajor;
    int64_t largest = -1;
    for (size_t i = 0; i < in.size(); ++i) {
      const TensorDesc& desc = request.inputs[i];
      if (in[i] != LayoutNeed::kFollow || !desc.present || request.constants[i] ||
          desc.dims.size() < 3 || desc.num_elements() <= largest)
        continue;
      largest = desc.num_elements();
      follow = PreferredLayout(node.inputs[i]);
    }
    auto layout_of = [&](LayoutNeed need, const TensorDesc& desc) {
      if (need == LayoutNeed::kChannelLast && desc.dims.size() >= 2) return Layout::kChannelLast;
      if (need == LayoutNeed::kFollow && desc.dims.size() >= 3) return follow;
      return Layout::kRowMajor;
    };
    const double estimate = entry.estimate ? entry.estimate(request) : 0;
    KernelChoice choice{backend, &entry, {}, {}, estimate, estimate};
    for (size_t i = 0; i < in.size(); ++i) {
      choice.inputs.push_back(layout_of(in[i], request.inputs[i]));
      if (request.inputs[i].present) choice.seconds += CostOf(node.inputs[i], choice.inputs[i]);
    }
    for (size_t i = 0; i < out.size(); ++i)
      choice.outputs.push_back(layout_of(out[i], request.outputs[i]));
    return choice;
  }

  void AddKernel(Step step, const KernelChoice& choice) {
    const Node& node = graph_.node(step.node);
    step.backend = choice.backend;
    step.entry = choice.entry;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      step.inputs.push_back(node.inputs[i] == kNoValue ? FormUse()
                                                       : Get(node.inputs[i], choice.inputs[i]));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      step.outputs.emplace_back();
      if (node.outputs[i] == kNoValue) continue;
      const int form = AddRoot(node.outputs[i], choice.outputs[i], s_.AddStorage(Place::kArena));
      step.outputs.back() = Used({form, choice.outputs[i]});
    }
    step.report.backend = choice.backend->name();
    step.report.kernel = choice.entry->name;
    step.report.seconds = choice.estimate;
    s_.steps.push_back(std::move(step));
  }

  // ---- views
  // How output `i` of a node follows from its input 0.
  Derive DeriveView(const Node& node, const Dims& dims, std::vector<Dims> output_dims,
                    std::vector<const Tensor*> constants, int i) const {
    return [&node, dims, output_dims = std::move(output_dims), constants = std::move(constants),
            i](const Strided& base) -> std::optional<Strided> {
      auto views = ViewsOf(node, dims, base, output_dims, constants);
      if (!views) return std::nullopt;
      return (*views)[i];
    };
  }

  struct ViewNode {
    Dims dims;
    std::vector<Dims> output_dims;
    std::vector<const Tensor*> constants;
  };
  // Nothing if the node is not one that could be a view.
  std::optional<ViewNode> AsView(const Node& node) const {
    if (node.inputs.empty() || node.inputs[0] == kNoValue) return std::nullopt;
    if (!IsViewOperator(node)) return std::nullopt;
    ViewNode view;
    view.dims = DimsOf(node.inputs[0]);
    for (ValueId v : node.outputs) {
      if (v == kNoValue) return std::nullopt;
      view.output_dims.push_back(DimsOf(v));
    }
    for (ValueId v : node.inputs) view.constants.push_back(graph_.Constant(v));
    return view;
  }

  // Makes the outputs views of the forms of input 0 that allow it. False if none does.
  bool TryViews(NodeId id) {
    const Node& node = graph_.node(id);
    const std::optional<ViewNode> view = AsView(node);
    if (!view) return false;
    const std::vector<int> sources = FormsOf(node.inputs[0]);
    FormUse source;
    for (int form : sources) {
      std::vector<int> derived;
      const size_t forms_before = s_.forms.size();
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        derived.push_back(s_.AddDerived(
            node.outputs[i], view->output_dims[i], form,
            DeriveView(node, view->dims, view->output_dims, view->constants, static_cast<int>(i))));
        if (derived.back() < 0) break;
      }
      if (derived.back() < 0) {
        s_.forms.resize(forms_before);
        continue;
      }
      source = s_.AnyUse(form);
      for (size_t i = 0; i < derived.size(); ++i) {
        // What kernels can read as it is comes first.
        std::vector<int>& forms = forms_[node.outputs[i]];
        const bool strided = s_.AnyUse(derived[i]).layout == Layout::kStrided;
        forms.insert(strided ? forms.end() : forms.begin(), derived[i]);
      }
    }
    if (source.form < 0) return false;
    AddAlias(id, {source}, node.outputs);
    return true;
  }

  void AddAlias(NodeId id, std::vector<FormUse> inputs, std::span<const ValueId> outputs) {
    Step step;
    step.kind = Step::Kind::kAlias;
    step.node = id;
    step.report.name = graph_.node(id).name;
    step.report.op = graph_.node(id).op->name;
    step.report.kernel = "alias";
    step.inputs = std::move(inputs);
    for (ValueId v : outputs) step.outputs.push_back(s_.AnyUse(forms_[v][0]));
    s_.steps.push_back(std::move(step));
  }

  // Where a reshape needs a copy, its input is copied into place in an output of this layout.
  Derive DeriveReshaped(const Node& node) const {
    return [from = DimsOf(node.outputs[0]),
            to = DimsOf(node.inputs[0])](const Strided& base) -> std::optional<Strided> {
      std::optional<Dims> strides = ReshapeStrides(from, base.strides, to);
      if (!strides) return std::nullopt;
      return Strided{base.offset, *std::move(strides)};
    };
  }

  MovementChoice BestReshape(const Node& node) {
    MovementChoice best;
    if (!node.op->Has(kReinterpret)) return best;
    const Dims dims = DimsOf(node.outputs[0]);
    for (Layout layout : kKernelLayouts) {
      if (layout == Layout::kChannelLast && dims.size() < 3) continue;
      const auto part = DeriveReshaped(node)({0, StridesOf(dims, layout)});
      if (!part) continue;
      const ValueId input = node.inputs[0];
      const auto to = FitAny(graph_.value(input).type.dtype, DimsOf(input), part->strides);
      if (!to) continue;
      const double cost = CopyCost(BestSource(input, *to), *to);
      if (cost < best.seconds) best = {layout, cost};
    }
    return best;
  }

  void AddReshape(NodeId id, Layout layout) {
    const Node& node = graph_.node(id);
    const ValueId input = node.inputs[0];
    const int whole = AddRoot(node.outputs[0], layout, s_.AddStorage(Place::kArena));
    const int part = s_.AddDerived(input, DimsOf(input), whole, DeriveReshaped(node));
    SULA_CHECK(part >= 0);
    const FormUse to = s_.AnyUse(part);
    AddCopy(input, BestSource(input, s_.Desc(to)), to);
    forms_[input].push_back(part);
    AddAlias(id, {to}, node.outputs);
  }

  // ---- concatenation
  // The sizes of the inputs and the normalised axis.
  std::pair<std::vector<Dims>, int> ConcatParts(const Node& node) const {
    std::vector<Dims> parts;
    for (ValueId v : node.inputs) parts.push_back(DimsOf(v));
    const int64_t axis = node.As<ConcatParams>().axis;
    return {std::move(parts), static_cast<int>(axis < 0 ? axis + parts[0].size() : axis)};
  }

  // True if a copy of this form into place can probably be forwarded.
  bool Forwardable(int form) const {
    const Form& f = s_.forms[form];
    return s_.storages[f.storage].place == Place::kArena &&
           NumElements(s_.forms[s_.RootOf(form)].dims) == NumElements(f.dims);
  }

  MovementChoice BestConcat(const Node& node) {
    MovementChoice best;
    if (!node.Is(op::kConcat)) return best;
    const auto [parts, axis] = ConcatParts(node);
    const DType dtype = graph_.value(node.outputs[0]).type.dtype;
    const Dims dims = DimsOf(node.outputs[0]);
    for (Layout layout : kKernelLayouts) {
      if (layout == Layout::kChannelLast && dims.size() < 3) continue;
      const Strided whole{0, StridesOf(dims, layout)};
      double cost = 0;
      for (size_t i = 0; i < parts.size(); ++i) {
        const Strided part = PartOf(whole, parts, axis, static_cast<int>(i));
        const auto to = FitLayout(dtype, parts[i], part.strides, layout);
        if (!to) {
          cost = kNever;
          break;
        }
        const FormUse from = BestSource(node.inputs[i], *to);
        const bool free = from.layout == layout && Forwardable(from.form);
        if (!free) cost += CopyCost(from, *to);
      }
      if (cost < best.seconds) best = {layout, cost};
    }
    return best;
  }

  void AddConcat(Step step, Layout layout) {
    const Node& node = graph_.node(step.node);
    const auto [parts, axis] = ConcatParts(node);
    const int whole = AddRoot(node.outputs[0], layout, s_.AddStorage(Place::kArena));
    std::vector<FormUse> inputs;
    for (size_t i = 0; i < parts.size(); ++i) {
      const int part = s_.AddDerived(
          node.inputs[i], parts[i], whole,
          [parts = parts, axis = axis, i](const Strided& base) -> std::optional<Strided> {
            return PartOf(base, parts, axis, static_cast<int>(i));
          });
      SULA_CHECK(part >= 0);
      inputs.push_back({part, layout});
      if (NumElements(parts[i]) == 0) continue;
      const TensorDesc to = s_.Desc(inputs.back());
      AddCopy(node.inputs[i], BestSource(node.inputs[i], to), inputs.back());
    }
    AddAlias(step.node, std::move(inputs), node.outputs);
  }

  const Graph& graph_;
  const std::vector<NodeId>& order_;
  std::span<Backend* const> backends_;
  const SchemeOptions& options_;
  Schedule s_;
  std::vector<std::vector<int>> forms_;                // by value
  std::map<ValueId, std::vector<size_t>> outputs_of_;  // graph outputs computed by nodes
};

}  // namespace

Result<Schedule> ChooseSchemes(const ConcreteGraph& graph, std::span<Backend* const> backends,
                               const SchemeOptions& options) {
  return Scheduler(graph, backends, options).Run();
}

}  // namespace sula
