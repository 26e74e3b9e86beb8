// How far two tensors differ, and how far rounding could make them differ.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace sula {

struct Difference {
  bool same_type = true;  // element type and sizes
  double largest = 0;     // of |a - b|; infinite where only one is NaN or they are other infinities
  int64_t at = 0;         // its element
  double scale = 0;       // the largest finite |a|
};
Difference Compare(const Tensor& a, const Tensor& b);

// What roundings may add up to in tensor `a` of this scale whatever was computed: see verify.h. 0
// for integers and bools.
double AlwaysAllowed(const Tensor& a, double scale);

// Runs nodes, producers first, with every floating-point number that they read or compute moved by
// one unit in the last place, up or down at random; constants stay. `outside` gives what no node
// here computes. Returns the tensors of `wanted`, in order.
using ValueSource = std::function<Result<Tensor>(ValueId)>;
Result<std::vector<Tensor>> RunMoved(std::span<const Node> nodes, const Graph& constants,
                                     const ValueSource& outside, std::span<const ValueId> wanted,
                                     uint64_t seed);

}  // namespace sula
