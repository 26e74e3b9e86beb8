// Operators that only move elements: views where the bytes allow, else recipes that are built when
// somebody asks for a layout.
#include <algorithm>

#include "ops/movement.h"
#include "runtime/prepare/scheduler.h"

namespace sula {
namespace {

constexpr Layout kKernelLayouts[] = {Layout::kRowMajor, Layout::kChannelLast};
// A value whose readers together take more than this many times its elements is made once.
constexpr int64_t kMaxReadThrough = 2;
// More than a few boxes must have this many elements on average, or the calls cost more than bytes.
constexpr size_t kFewBoxes = 8;
constexpr int64_t kLeastBox = 256;
// A value of which at least this share needs no copy is made at once, not read through.
constexpr double kForwardedShare = 0.25;

Derive ViewOf(const Region& region, const Dims& dims) {
  return [region, dims](const Strided& base) { return ViewThrough(region, dims, base); };
}
Derive PartOf(const Region& region, const Dims& source_dims) {
  return
      [region, source_dims](const Strided& base) { return PartThrough(region, source_dims, base); };
}
Derive ReshapeOf(const Dims& from, const Dims& to) {
  return [from, to](const Strided& base) -> std::optional<Strided> {
    std::optional<Dims> strides = ReshapeStrides(from, base.strides, to);
    if (!strides) return std::nullopt;
    return Strided{base.offset, *std::move(strides)};
  };
}

}  // namespace

bool Scheduler::AddMovement(NodeId id) {
  const Node& node = graph_.node(id);
  if (!node.op->Has(kDataMovement)) return false;
  std::vector<Dims> inputs, outputs;
  std::vector<const Tensor*> constants;
  for (ValueId v : node.inputs) {
    inputs.push_back(v == kNoValue ? Dims() : DimsOf(v));
    constants.push_back(graph_.Constant(v));
  }
  for (ValueId v : node.outputs) outputs.push_back(v == kNoValue ? Dims() : DimsOf(v));
  const auto lists = RegionsOf(node, inputs, outputs, constants);
  if (!lists) {
    if (!node.op->Has(kReinterpret)) return false;
    AddReshape(id);
    return true;
  }
  for (const RegionList& list : *lists)
    for (const Region& region : list)
      if (region.axes.size() > kMaxStridedRank) return false;

  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue) continue;
    recipes_[v] = Flatten(node, v, (*lists)[i]);
    TryViews(v);
    if (!forms_[v].empty()) continue;
    const auto [layout, assembly] = BestAssembly(v);
    if (assembly.seconds <= (1 - kForwardedShare) * assembly.unforwarded)
      Build(v, layout, assembly);
  }
  AddAlias(id);
  return true;
}

void Scheduler::AddReshape(NodeId id) {
  const Node& node = graph_.node(id);
  const ValueId x = node.inputs[0], y = node.outputs[0];
  const Derive derive = ReshapeOf(DimsOf(x), DimsOf(y));
  const auto try_views = [&] {
    for (int form : std::vector<int>(FormsOf(x)))
      if (const int view = s_.AddDerived(y, DimsOf(y), form, derive); view >= 0) AddView(y, view);
  };
  try_views();
  if (forms_[y].empty()) {
    Get(x, Layout::kRowMajor);
    try_views();
  }
  AddAlias(id);
}

void Scheduler::AddAlias(NodeId id) {
  const Node& node = graph_.node(id);
  Step step;
  step.kind = Step::Kind::kAlias;
  step.node = id;
  step.report.name = node.name;
  step.report.op = node.op->name;
  step.report.kernel = "alias";
  for (ValueId v : node.inputs)
    step.inputs.push_back(v == kNoValue || forms_[v].empty() ? FormUse() : s_.AnyUse(forms_[v][0]));
  for (ValueId v : node.outputs) {
    step.outputs.emplace_back();
    if (v == kNoValue) continue;
    if (forms_[v].empty()) {
      step.report.kernel = "merged";
    } else {
      step.outputs.back() = s_.AnyUse(forms_[v][0]);
    }
  }
  s_.steps.push_back(std::move(step));
}

bool Scheduler::IsWanted(ValueId v) const {
  return graph_.IsOutput(v) || std::any_of(readers_[v].begin(), readers_[v].end(), [&](NodeId id) {
           return !graph_.node(id).op->Has(kDataMovement);
         });
}

bool Scheduler::ReadThrough(ValueId v) const {
  if (recipes_[v]->size() == 1) {
    // Several parts of it would be a copy each; of the whole they are views.
    int parts = 0;
    for (NodeId id : readers_[v]) {
      const Node& node = graph_.node(id);
      if (!node.Is(op::kSplit) && !node.Is(op::kSlice)) continue;
      for (ValueId y : node.outputs) parts += y != kNoValue && IsWanted(y);
    }
    return parts <= 1;
  }
  int64_t elements = 0;
  for (NodeId id : readers_[v]) {
    const Node& node = graph_.node(id);
    for (ValueId y : node.outputs) {
      if (y == kNoValue) continue;
      if (!IsStatic(y)) return false;
      elements += NumElements(DimsOf(y));
    }
  }
  return elements <= kMaxReadThrough * NumElements(DimsOf(v));
}

bool Scheduler::IsView(ValueId y, const Region& region) {
  if (region.source == Region::kZeros) return false;
  const std::vector<int>& forms = FormsOf(region.source);
  return std::any_of(forms.begin(), forms.end(), [&](int form) {
    return ViewThrough(region, DimsOf(y), s_.forms[form].at).has_value();
  });
}

RegionList Scheduler::Flatten(const Node& node, ValueId y, const RegionList& list) {
  RegionList flat;
  for (Region region : list) {
    if (region.source == Region::kZeros) {
      flat.push_back(std::move(region));
      continue;
    }
    const ValueId v = node.inputs[region.source];
    region.source = v;
    if (!FormsOf(v).empty()) {
      flat.push_back(std::move(region));
      continue;
    }
    RegionList composed;
    bool fits = ReadThrough(v) && flat.size() + recipes_[v]->size() <= kMaxRegions;
    for (size_t i = 0; fits && i < recipes_[v]->size(); ++i) {
      std::optional<Region> part = Compose(region, (*recipes_[v])[i], &fits);
      if (!part) continue;
      fits &= part->axes.size() <= kMaxStridedRank;
      composed.push_back(*std::move(part));
    }
    // What is made for another reader anyway can be read where it is made.
    if (fits && IsWanted(v)) fits = composed.size() == 1 && IsView(y, composed[0]);
    fits &= composed.size() <= kFewBoxes ||
            region.num_elements() >= kLeastBox * static_cast<int64_t>(composed.size());
    if (fits) {
      flat.insert(flat.end(), composed.begin(), composed.end());
    } else {
      const auto [layout, assembly] = BestAssembly(v);
      Build(v, layout, assembly);
      flat.push_back(std::move(region));
    }
  }
  return flat;
}

void Scheduler::TryViews(ValueId v) {
  if (!recipes_[v] || recipes_[v]->size() != 1) return;
  const Region& region = (*recipes_[v])[0];
  if (region.source == Region::kZeros) return;
  const Dims dims = DimsOf(v);
  for (int form : std::vector<int>(FormsOf(region.source))) {
    if (!viewed_[v].insert(form).second) continue;
    const int view = s_.AddDerived(v, dims, form, ViewOf(region, dims));
    if (view >= 0) AddView(v, view);
  }
}

// ---- building

Scheduler::Assembly Scheduler::Assemble(ValueId v, Layout layout) {
  Assembly assembly;
  const DType dtype = TypeOf(v);
  const Strided whole{0, StridesOf(DimsOf(v), layout)};
  std::set<int> promised = promised_;
  for (const Region& region : *recipes_[v]) {
    Placed placed;
    if (region.source == Region::kZeros) {
      const RegionLoops loops = LoopsOf(region, whole.strides, {});
      const auto to = FitLayout(dtype, loops.dims, loops.to.strides, Layout::kStrided);
      const auto from = FitLayout(dtype, loops.dims, loops.from.strides, Layout::kStrided);
      placed.seconds = CopyCost(*from, *to);
      assembly.unforwarded += placed.seconds;
      assembly.seconds += placed.seconds;
      assembly.boxes.push_back(placed);
      continue;
    }
    const Dims dims = DimsOf(region.source);
    const std::optional<Strided> part = PartThrough(region, dims, whole);
    placed.seconds = kNever;
    double unforwarded = kNever;
    for (int form : FormsOf(region.source)) {
      const RegionLoops loops = LoopsOf(region, whole.strides, s_.forms[form].at.strides);
      const auto to = FitLayout(dtype, loops.dims, loops.to.strides, Layout::kStrided);
      const auto from = FitLayout(dtype, loops.dims, loops.from.strides, Layout::kStrided);
      const double seconds = CopyCost(*from, *to);
      unforwarded = std::min(unforwarded, seconds);
      if (seconds < placed.seconds)
        placed = {
            {form, dims.size() <= kMaxStridedRank ? Layout::kStrided : s_.AnyUse(form).layout},
            std::nullopt,
            seconds};
      const Form& f = s_.forms[form];
      const int root = s_.RootOf(form);
      if (!part || placed.part || s_.storages[f.storage].place != Place::kArena ||
          NumElements(s_.forms[root].dims) != NumElements(dims) || promised.contains(root))
        continue;
      for (Layout in : kKernelLayouts) {
        if (!FitLayout(dtype, dims, part->strides, in) || !s_.DescIn(form, in)) continue;
        placed = {{form, in}, in, 0};
        promised.insert(root);
        break;
      }
    }
    assembly.unforwarded += unforwarded;
    assembly.seconds += placed.seconds;
    assembly.boxes.push_back(placed);
  }
  return assembly;
}

std::pair<Layout, Scheduler::Assembly> Scheduler::BestAssembly(ValueId v) {
  Layout best = Layout::kRowMajor;
  Assembly assembly = Assemble(v, best);
  if (DimsOf(v).size() >= 3) {
    Assembly other = Assemble(v, Layout::kChannelLast);
    if (other.seconds < assembly.seconds) {
      best = Layout::kChannelLast;
      assembly = std::move(other);
    }
  }
  return {best, std::move(assembly)};
}

bool Scheduler::BuildAsPart(ValueId v, int root) {
  if (recipes_[v]->size() != 1) return false;
  const Region& region = (*recipes_[v])[0];
  if (region.source == Region::kZeros) return false;
  const ValueId x = region.source;
  const int part = s_.AddDerived(x, DimsOf(x), root, PartOf(region, DimsOf(x)));
  if (part < 0) return false;
  const FormUse to = s_.AnyUse(part);
  AddCopy(x, BestSource(x, s_.Desc(to)), to);
  forms_[x].push_back(part);
  return true;
}

FormUse Scheduler::Build(ValueId v, Layout layout, const Assembly& assembly) {
  const FormUse built{AddRoot(v, layout, s_.AddStorage(Place::kArena)), layout};
  s_.MarkUsed(built);
  if (BuildAsPart(v, built.form)) return built;
  Step step;
  step.kind = Step::Kind::kMove;
  step.backend = &Copier();
  step.report.name = graph_.value(v).name;
  step.report.op = "Copy";
  step.report.backend = Copier().name();
  step.report.kernel = "move";
  for (size_t i = 0; i < assembly.boxes.size(); ++i) {
    const Region& region = (*recipes_[v])[i];
    const Placed& placed = assembly.boxes[i];
    if (placed.part) {
      const Dims dims = DimsOf(region.source);
      const int part = s_.AddDerived(region.source, dims, built.form, PartOf(region, dims));
      SULA_CHECK(part >= 0);
      promised_.insert(s_.RootOf(placed.from.form));
      AddCopy(region.source, placed.from, {part, *placed.part});
      continue;
    }
    step.regions.push_back(region);
    step.inputs.push_back(placed.from.form < 0 ? FormUse() : Used(placed.from));
    step.report.seconds += placed.seconds;
  }
  if (step.regions.empty()) return built;
  s_.seconds += step.report.seconds;
  s_.avoidable += step.report.seconds;
  step.outputs = {built};
  step.report.detail = step.regions.size() == 1 ? "1 box" : StrCat(step.regions.size(), " boxes");
  s_.steps.push_back(std::move(step));
  return built;
}

}  // namespace sula
