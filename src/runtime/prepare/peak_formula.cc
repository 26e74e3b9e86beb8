#include "runtime/prepare/peak_formula.h"

#include <algorithm>
#include <random>
#include <set>

#include "backend/host.h"
#include "runtime/prepare/node_order.h"
#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

// Takes every operator, in row-major memory and without workspace; for schedules that are not run.
class AnyKernelBackend : public HostBackend {
 public:
  std::string_view name() const override { return "any"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override {
    static constexpr KernelEntry kElementwise[] = {{.name = "any", .in_place = true}};
    static constexpr KernelEntry kOther[] = {{.name = "any"}};
    return op.Has(sula::kElementwise) ? kElementwise : kOther;
  }
};

// A graph's steps for one set of input shapes.
struct Walk {
  ConcreteGraph concrete;
  Schedule schedule;
  std::vector<Lifetime> lifetimes;  // by storage
};

Result<Walk> MakeWalk(const Graph& model, const std::vector<TensorType>& input_types) {
  Walk walk;
  ASSIGN_OR_RETURN(walk.concrete, MakeConcrete(model, input_types));
  OrderForMemory(walk.concrete);
  AnyKernelBackend any;
  Backend* const backends[] = {&any};
  ASSIGN_OR_RETURN(walk.schedule, MakeSchedule(walk.concrete, backends, {}));
  walk.lifetimes = Lifetimes(walk.schedule);
  return walk;
}

// The sums of `sizes` (by storage) over the arena's storages that are live in a step, by step.
template <class T>
std::vector<T> LiveSums(const Walk& walk, const std::vector<T>& sizes) {
  const size_t steps = walk.schedule.steps.size();
  std::vector<std::vector<size_t>> begin(steps), end(steps);
  for (size_t b = 0; b < sizes.size(); ++b) {
    const Lifetime& life = walk.lifetimes[b];
    if (walk.schedule.storages[b].place != Place::kArena || life.last < life.first) continue;
    begin[life.first].push_back(b);
    end[life.last].push_back(b);
  }
  std::vector<T> sums;
  T live(0);
  for (size_t s = 0; s < steps; ++s) {
    for (size_t b : begin[s]) live = live + sizes[b];
    sums.push_back(live);
    for (size_t b : end[s]) live = live - sizes[b];
  }
  return sums;
}

std::set<std::string> SymbolsOf(const Shape& shape) {
  std::set<std::string> symbols;
  for (const Dim& d : shape)
    for (std::string& symbol : d.Symbols()) symbols.insert(std::move(symbol));
  return symbols;
}

// The names of sizes in the inputs' shapes.
std::set<std::string> InputSymbols(const Graph& model) {
  std::set<std::string> symbols;
  for (ValueId v : model.inputs())
    if (const auto& shape = model.value(v).type.shape) symbols.merge(SymbolsOf(*shape));
  return symbols;
}

// The bytes of each storage as a formula: those of the value that fills it.
Result<std::vector<Dim>> StorageFormulas(const Graph& model, const Walk& walk) {
  const std::set<std::string> inputs = InputSymbols(model);
  std::vector<Dim> formulas(walk.schedule.storages.size());
  for (const Form& f : walk.schedule.forms) {
    if (f.base >= 0 || walk.schedule.storages[f.storage].place != Place::kArena) continue;
    const Value& value = model.value(f.value);
    const std::optional<Shape>& shape = value.type.shape;
    const std::set<std::string> symbols = shape ? SymbolsOf(*shape) : std::set<std::string>();
    if (!shape || !std::includes(inputs.begin(), inputs.end(), symbols.begin(), symbols.end()))
      return Unsupported("the size of value '", value.name,
                         "' is no formula over the inputs' sizes: ", value.type.ToString());
    formulas[f.storage] = shape->NumElements() * Dim(static_cast<int64_t>(SizeOf(f.dtype)));
  }
  return formulas;
}

// Names of sizes that are the first one of an input of rank 3 and more, and nothing else: batches.
std::set<std::string> BatchSymbols(const Graph& model) {
  std::set<std::string> first, others;
  for (ValueId v : model.inputs()) {
    const auto& shape = model.value(v).type.shape;
    if (!shape) continue;
    for (int i = 0; i < shape->rank(); ++i)
      (i == 0 && shape->rank() >= 3 ? first : others).merge(SymbolsOf(Shape({(*shape)[i]})));
  }
  std::erase_if(first, [&](const std::string& symbol) { return others.contains(symbol); });
  return first;
}

// Sizes to plan for: batches of one, in which the parts of more values are dense; for the others
// multiples of powers of two, so that sizes that are halved again and again still fit together, and
// different ones where possible, so that no equality is an accident.
std::vector<DimBindings> SampleSizes(const Graph& model) {
  const std::set<std::string> symbols = InputSymbols(model), batches = BatchSymbols(model);
  std::vector<DimBindings> samples;
  for (const bool different : {true, false}) {
    for (int64_t unit : {64, 224, 32, 16, 8, 4, 2, 1}) {
      DimBindings& sample = samples.emplace_back();
      int64_t factor = 1;
      for (const std::string& symbol : symbols)
        sample[symbol] = batches.contains(symbol) ? 1 : unit * (different ? factor++ : 1);
    }
  }
  return samples;
}

// A walk for the first sample that the graph accepts.
Result<Walk> MakeSampleWalk(const Graph& model) {
  Status first;
  for (const DimBindings& sample : SampleSizes(model)) {
    std::vector<TensorType> types;
    for (ValueId v : model.inputs()) {
      TensorType type = model.value(v).type;
      if (!type.shape) return Unsupported("input '", model.value(v).name, "' has no known rank");
      type.shape = type.shape->Substitute(sample);
      types.push_back(std::move(type));
    }
    Result<Walk> walk = MakeWalk(model, types);
    if (walk) return walk;
    if (first.ok()) first = walk.error();
  }
  return first;
}

// Sizes to compare sums at: reproducible, mostly large, some small ones.
std::vector<DimBindings> ComparedSizes(const std::set<std::string>& symbols) {
  constexpr int kSets = 300, kLargestPower = 12;
  std::mt19937 random(1);
  std::vector<DimBindings> sets(kSets);
  for (DimBindings& sizes : sets)
    for (const std::string& symbol : symbols) {
      const int power = static_cast<int>(random() % (kLargestPower + 1));
      sizes[symbol] = (int64_t{1} << power) - static_cast<int64_t>(random() % 2) * (power > 1);
    }
  return sets;
}

}  // namespace

Result<int64_t> PeakFormula::Evaluate(const DimBindings& sizes) const {
  int64_t peak = 0;
  for (const Dim& sum : sums) {
    ASSIGN_OR_RETURN(const int64_t bytes, sum.Evaluate(sizes));
    peak = std::max(peak, bytes);
  }
  return peak;
}

std::string PeakFormula::ToString() const {
  std::set<std::string> symbols;
  for (const Dim& sum : sums)
    for (std::string& symbol : sum.Symbols()) symbols.insert(std::move(symbol));
  std::vector<bool> shown(sums.size(), false);
  for (const DimBindings& sizes : ComparedSizes(symbols)) {
    size_t largest = sums.size();
    int64_t most = -1;
    for (size_t i = 0; i < sums.size(); ++i) {
      const Result<int64_t> bytes = sums[i].Evaluate(sizes);
      if (bytes && *bytes > most) largest = i, most = *bytes;
    }
    if (largest < sums.size()) shown[largest] = true;
  }
  std::string text;
  int count = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (!shown[i]) continue;
    text += (count++ ? "," : "") + sums[i].ToString();
  }
  return count > 1 ? "max(" + text + ")" : text;
}

Result<PeakFormula> ActivationPeak(const Graph& model) {
  Graph graph = model;
  RETURN_IF_ERROR(InferShapes(graph));
  ASSIGN_OR_RETURN(const Walk walk, MakeSampleWalk(graph));
  ASSIGN_OR_RETURN(const std::vector<Dim> bytes, StorageFormulas(graph, walk));
  PeakFormula peak;
  std::set<std::string> seen;
  for (Dim& sum : LiveSums(walk, bytes)) {
    const std::string text = sum.ToString();
    if (text.find("undefined()") != std::string::npos)
      return Unsupported("what is live in one step is too large to be written as a formula");
    if (seen.insert(text).second) peak.sums.push_back(std::move(sum));
  }
  if (peak.sums.empty()) peak.sums.push_back(0);
  return peak;
}

Result<int64_t> ActivationPeakOf(const Graph& model, const std::vector<TensorType>& input_types) {
  ASSIGN_OR_RETURN(const Walk walk, MakeWalk(model, input_types));
  const std::vector<size_t> sums = LiveSums(walk, StorageBytes(walk.schedule));
  return sums.empty() ? 0 : static_cast<int64_t>(*std::max_element(sums.begin(), sums.end()));
}

}  // namespace sula
