#include "runtime/prepare/schedule.h"

#include <algorithm>
#include <unordered_map>

namespace sula {
namespace {

constexpr Layout kLayouts[] = {Layout::kRowMajor, Layout::kChannelLast, Layout::kStrided};

// The first layout that describes these strides, the one of `form` before others.
std::optional<Layout> AnyLayout(const Form& form) {
  if (FitLayout(form.dtype, form.dims, form.at.strides, form.layout)) return form.layout;
  const auto desc = FitAny(form.dtype, form.dims, form.at.strides);
  return desc ? std::optional(desc->layout) : std::nullopt;
}

}  // namespace

int Schedule::AddStorage(Place place, int index, Layout layout) {
  storages.push_back({place, index, layout});
  return static_cast<int>(storages.size()) - 1;
}

int Schedule::AddRoot(ValueId value, DType dtype, const Dims& dims, Layout layout, int storage) {
  Form form;
  form.value = value;
  form.dtype = dtype;
  form.dims = dims;
  form.storage = storage;
  form.at.strides = StridesOf(dims, layout);
  form.layout = layout;
  forms.push_back(std::move(form));
  return static_cast<int>(forms.size()) - 1;
}

int Schedule::AddDerived(ValueId value, const Dims& dims, int base, Derive derive) {
  std::optional<Strided> at = derive(forms[base].at);
  if (!at) return -1;
  Form form = forms[base];
  form.value = value;
  form.dims = dims;
  form.at = *std::move(at);
  form.used = 0;
  form.base = base;
  form.derive = std::move(derive);
  const std::optional<Layout> layout = AnyLayout(form);
  if (!layout) return -1;
  form.layout = *layout;
  forms.push_back(std::move(form));
  return static_cast<int>(forms.size()) - 1;
}

std::optional<TensorDesc> Schedule::DescIn(int form, Layout layout) const {
  const Form& f = forms[form];
  return FitLayout(f.dtype, f.dims, f.at.strides, layout);
}

TensorDesc Schedule::Desc(const FormUse& use) const {
  std::optional<TensorDesc> desc = DescIn(use.form, use.layout);
  SULA_CHECK(desc.has_value());
  return *std::move(desc);
}

FormUse Schedule::AnyUse(int form) const {
  const std::optional<Layout> layout = AnyLayout(forms[form]);
  SULA_CHECK(layout.has_value());
  return {form, *layout};
}

void Schedule::MarkUsed(const FormUse& use) {
  if (use.form >= 0) forms[use.form].used |= Bit(use.layout);
}

int Schedule::RootOf(int form) const {
  while (forms[form].base >= 0) form = forms[form].base;
  return form;
}

bool Schedule::TryMove(int root, int base, Derive derive, const Strided& at) {
  const int storage = forms[root].storage;
  std::vector<int> members;
  for (size_t f = 0; f < forms.size(); ++f)
    if (forms[f].storage == storage) members.push_back(static_cast<int>(f));

  // New positions, each after its base's.
  std::unordered_map<int, Strided> moved = {{root, at}};
  std::vector<int> chain;
  for (int member : members) {
    chain.clear();
    for (int f = member; !moved.contains(f); f = forms[f].base) chain.push_back(f);
    for (; !chain.empty(); chain.pop_back()) {
      const Form& f = forms[chain.back()];
      std::optional<Strided> next = f.derive(moved.at(f.base));
      if (!next) return false;
      moved.emplace(chain.back(), *std::move(next));
    }
  }
  for (const auto& [f, strided] : moved)
    for (Layout layout : kLayouts)
      if ((forms[f].used & Bit(layout)) &&
          !FitLayout(forms[f].dtype, forms[f].dims, strided.strides, layout))
        return false;

  for (auto& [f, strided] : moved) {
    forms[f].at = std::move(strided);
    if (base >= 0) forms[f].storage = forms[base].storage;
  }
  forms[root].base = base;
  forms[root].derive = std::move(derive);
  return true;
}

std::vector<ValueId> InputValues(const Graph& graph, const Step& step) {
  std::vector<ValueId> values = graph.node(step.node).inputs;
  for (NodeId id : step.rest) {
    const std::vector<ValueId>& more = graph.node(id).inputs;
    values.insert(values.end(), more.begin() + 1, more.end());
  }
  return values;
}

const std::vector<ValueId>& OutputValues(const Graph& graph, const Step& step) {
  return graph.node(step.rest.empty() ? step.node : step.rest.back()).outputs;
}

Result<Schedule> MakeSchedule(const ConcreteGraph& graph, std::span<Backend* const> backends,
                              const SchemeOptions& options) {
  ASSIGN_OR_RETURN(Schedule schedule, ChooseSchemes(graph, backends, options));
  ForwardCopies(schedule);
  if (options.pad_pixels) PadPixels(schedule);
  ReuseInPlace(schedule);
  return schedule;
}

namespace {

Result<std::unique_ptr<Kernel>> MakeChain(const Graph& graph, const Step& step,
                                          const ChainEntry& entry, std::vector<TensorDesc> inputs,
                                          std::vector<TensorDesc> outputs,
                                          const SchemeOptions& options,
                                          FunctionRef<PackSource*(NodeId)> packs) {
  struct Ports {
    std::vector<TensorDesc> inputs, outputs;
    std::vector<const Tensor*> constants;
  };
  std::vector<NodeId> nodes = {step.node};
  nodes.insert(nodes.end(), step.rest.begin(), step.rest.end());
  std::vector<Ports> ports(nodes.size());
  std::vector<KernelRequest> requests;
  auto next = inputs.begin();
  for (size_t n = 0; n < nodes.size(); ++n) {
    const Node& node = graph.node(nodes[n]);
    Ports& p = ports[n];
    for (ValueId v : node.inputs) p.constants.push_back(graph.Constant(v));
    if (n > 0) p.inputs = ports[n - 1].outputs;
    const size_t external = node.inputs.size() - p.inputs.size();
    std::move(next, next + static_cast<std::ptrdiff_t>(external), std::back_inserter(p.inputs));
    next += static_cast<std::ptrdiff_t>(external);
    if (n + 1 < nodes.size()) {
      const Value& y = graph.value(node.outputs[0]);
      p.outputs = {DenseDesc(y.type.dtype, *KnownDims(y))};
    } else {
      p.outputs = std::move(outputs);
    }
    requests.push_back({&node, p.inputs, p.outputs, p.constants, options.threads, options.max_error,
                        packs(nodes[n])});
  }
  return step.backend->CreateChain(entry, {requests});
}

}  // namespace

Result<std::unique_ptr<Kernel>> MakeKernel(const Graph& graph, const Step& step,
                                           std::vector<TensorDesc> inputs,
                                           std::vector<TensorDesc> outputs,
                                           const SchemeOptions& options,
                                           FunctionRef<PackSource*(NodeId)> packs) {
  const Node& node = graph.node(step.node);
  const bool nothing = std::all_of(outputs.begin(), outputs.end(), [](const TensorDesc& d) {
    return !d.present || d.num_elements() == 0;
  });
  if (nothing && !node.op->Has(kImpure)) return std::unique_ptr<Kernel>();
  if (const auto* chain = std::get_if<const ChainEntry*>(&step.scheme))
    return MakeChain(graph, step, **chain, std::move(inputs), std::move(outputs), options, packs);
  std::vector<const Tensor*> constants;
  for (ValueId v : node.inputs) constants.push_back(graph.Constant(v));
  return step.backend->Create(
      *std::get<const KernelEntry*>(step.scheme),
      {&node, inputs, outputs, constants, options.threads, options.max_error, packs(step.node)});
}

Result<std::unique_ptr<Kernel>> MakeKernel(const Graph& graph, const Schedule& schedule,
                                           const Step& step, const SchemeOptions& options,
                                           FunctionRef<PackSource*(NodeId)> packs) {
  const auto descs = [&](const std::vector<FormUse>& uses) {
    std::vector<TensorDesc> result;
    for (const FormUse& use : uses)
      result.push_back(use.form < 0 ? TensorDesc{} : schedule.Desc(use));
    return result;
  };
  return MakeKernel(graph, step, descs(step.inputs), descs(step.outputs), options, packs);
}

std::vector<size_t> StorageBytes(const Schedule& schedule) {
  std::vector<size_t> bytes(schedule.storages.size(), 0);
  for (const Form& f : schedule.forms) {
    const size_t end = static_cast<size_t>(f.at.offset + Extent(f.dims, f.at.strides));
    bytes[f.storage] = std::max(bytes[f.storage], end * SizeOf(f.dtype));
  }
  return bytes;
}

std::vector<Lifetime> Lifetimes(const Schedule& schedule) {
  std::vector<Lifetime> lifetimes(schedule.storages.size(),
                                  {static_cast<int>(schedule.steps.size()), -1});
  for (size_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    if (step.kind == Step::Kind::kAlias) continue;
    for (const auto* uses : {&step.inputs, &step.outputs}) {
      for (const FormUse& use : *uses) {
        if (use.form < 0) continue;
        Lifetime& life = lifetimes[schedule.forms[use.form].storage];
        life.first = std::min(life.first, static_cast<int>(i));
        life.last = std::max(life.last, static_cast<int>(i));
      }
    }
  }
  return lifetimes;
}

}  // namespace sula
