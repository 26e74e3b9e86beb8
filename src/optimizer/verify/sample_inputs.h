// Inputs to run a model of unknown purpose with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace sula {

// One way of choosing inputs. Integers may be indices, lengths or shapes, which only some numbers
// can be; floating-point inputs may go into logarithms and roots.
struct SampleKind {
  int64_t batch = 1;           // what symbols of first axes are bound to
  std::vector<int64_t> sizes;  // what the other symbols are bound to, in turn
  enum class Ints { kSmall, kBits, kOne, kZero } ints = Ints::kSmall;  // 0..7, 0..1, all 1, all 0
  bool positive = false;  // floats in (0, 1) instead of [-1, 1)
  bool SameSizes(const SampleKind& o) const { return batch == o.batch && sizes == o.sizes; }
};

// The kinds that make a difference for this graph, the likeliest to run first.
std::vector<SampleKind> SampleKinds(const Graph& graph);

// Inputs of this kind in graph order, the same on every machine; inputs of unknown rank get one
// element. Nothing if a size would be negative or a tensor too large.
std::optional<std::vector<Tensor>> MakeSample(const Graph& graph, const SampleKind& kind,
                                              uint64_t seed);

// "x float32[2,3], n int64[1]": what the graph is run with.
std::string DescribeSample(const Graph& graph, const std::vector<Tensor>& inputs);

}  // namespace sula
