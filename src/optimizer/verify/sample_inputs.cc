#include "optimizer/verify/sample_inputs.h"

#include <algorithm>
#include <set>

#include "ir/text.h"
#include "ops/sizes.h"

namespace sula {
namespace {

using Ints = SampleKind::Ints;

struct Symbols {
  std::set<std::string> first, other;  // of first axes of inputs with several; the rest
};
Symbols SymbolsOf(const Graph& graph) {
  Symbols symbols;
  for (ValueId v : graph.inputs()) {
    const std::optional<Shape>& shape = graph.value(v).type.shape;
    if (shape && shape->rank() > 1)
      for (std::string& name : (*shape)[0].Symbols()) symbols.first.insert(std::move(name));
  }
  for (ValueId v : graph.inputs()) {
    if (!graph.value(v).type.shape) continue;
    for (const Dim& dim : *graph.value(v).type.shape)
      for (std::string& name : dim.Symbols())
        if (!symbols.first.contains(name)) symbols.other.insert(std::move(name));
  }
  return symbols;
}

// Turns RandomTensor's numbers into those of the kind.
Tensor Shaped(Tensor t, const SampleKind& kind) {
  DispatchDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, bool>) {
      return;
    } else if constexpr (std::is_integral_v<T>) {
      for (T& x : t.mutable_data<T>()) {
        if (kind.ints == Ints::kSmall) x = static_cast<T>(x & 7);
        if (kind.ints == Ints::kBits) x = static_cast<T>(x & 1);
        if (kind.ints == Ints::kOne) x = 1;
        if (kind.ints == Ints::kZero) x = 0;
      }
    } else if (kind.positive) {
      for (T& x : t.mutable_data<T>())
        x = static_cast<T>(0.5 + 0.4990234375 * static_cast<double>(x));
    }
  });
  return t;
}

}  // namespace

std::vector<SampleKind> SampleKinds(const Graph& graph) {
  bool ints = false, floats = false;
  for (ValueId v : graph.inputs()) {
    ints |= IsInteger(graph.value(v).type.dtype);
    floats |= IsFloat(graph.value(v).type.dtype);
  }
  // Sizes that differ tell axes apart; networks that halve maps need larger ones, and some sizes
  // have to be equal, or one.
  const Symbols symbols = SymbolsOf(graph);
  std::vector<SampleKind> sizes = {{}};
  if (!symbols.other.empty()) {
    sizes = {{2, {3, 5, 7, 4, 6}},
             {3, {4, 6, 8}},
             {1, {32, 64, 96}},
             {2, {64, 32}},
             {1, {1}},
             {1, {16}},
             {1, {64}},
             {1, {224, 256}},
             {1, {512}},
             {1, {512, 1}},
             {1, {256, 1}}};
  } else if (!symbols.first.empty()) {
    sizes = {{2}, {3}, {1}};
  }
  std::vector<SampleKind> kinds;
  for (const bool positive : {false, true}) {
    if (positive && !floats) continue;
    for (const Ints i : {Ints::kSmall, Ints::kBits, Ints::kOne, Ints::kZero}) {
      if (i != Ints::kSmall && !ints) continue;
      for (const SampleKind& s : sizes) kinds.push_back({s.batch, s.sizes, i, positive});
    }
  }
  return kinds;
}

std::optional<std::vector<Tensor>> MakeSample(const Graph& graph, const SampleKind& kind,
                                              uint64_t seed) {
  DimBindings bindings;
  size_t next = 0;
  const Symbols symbols = SymbolsOf(graph);
  for (const std::string& name : symbols.first) bindings.emplace(name, kind.batch);
  for (const std::string& name : symbols.other)
    bindings.emplace(name, kind.sizes.empty() ? 1 : kind.sizes[next++ % kind.sizes.size()]);
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs()) {
    const TensorType& type = graph.value(v).type;
    const std::optional<Dims> dims =
        type.shape ? type.shape->Substitute(bindings).TryConcrete() : Dims{1};
    if (!dims || !CheckTensorSize(type.dtype, *dims).ok()) return std::nullopt;
    Tensor t = RandomTensor(type.dtype, *dims, seed++);
    if (t.empty()) return std::nullopt;
    inputs.push_back(Shaped(std::move(t), kind));
  }
  return inputs;
}

std::string DescribeSample(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += StrCat(i ? ", " : "", graph.value(graph.inputs()[i]).name, " ", Name(inputs[i].dtype()),
                   ToString(inputs[i].dims()));
  }
  return text;
}

}  // namespace sula
