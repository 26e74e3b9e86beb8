// How an operator does its work on transposed data: f(T(x)) = T'(f'(x)).
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ir/patch.h"

namespace sula {

using Perm = std::vector<int>;  // axis i of the result is axis perm[i] of what is transposed

bool IsIdentity(const Perm& perm);
Perm Inverse(const Perm& perm);
// Transpose(Transpose(x, inner), outer) = Transpose(x, Compose(inner, outer)).
Perm Compose(const Perm& inner, const Perm& outer);
Params TransposeBy(const Perm& perm);
// The permutation of a Transpose whose input has known rank.
std::optional<Perm> PermOf(const Graph& g, NodeId transpose);
// A transpose that leaves the order of the elements as it is: only axes of size 1 move.
bool MovesNothing(const Shape& before, const Perm& perm);

// What each input and output of a node is the transpose of: an entry is the permutation that makes
// the node's own value from what the changed node reads or gives; empty where that is the same
// value (scalars, indices, constants, which Build changes itself).
struct PermutedNode {
  std::vector<Perm> inputs, outputs;
  bool slower = false;  // the changed node works along an axis that is no longer the last
};

// The node as it would be if its data input number `at` was Transpose(x, perm). Nothing if the
// operator's work depends on the order of axes, or if what it needs to know is not constant.
std::optional<PermutedNode> PermuteFromInput(const Graph& g, const Node& node, size_t at,
                                             const Perm& perm);
// The same from its output, for operators that keep the axes of their data.
std::optional<PermutedNode> PermuteFromOutput(const Graph& g, const Node& node, size_t at,
                                              const Perm& perm);

// Adds the changed node to the patch: reads `inputs` in place of the node's own where `plan` has a
// permutation. Returns its outputs, kNoValue where the node has none.
std::vector<ValueId> AddPermuted(const Graph& g, const Node& node, const PermutedNode& plan,
                                 std::vector<ValueId> inputs, Patch& patch);

}  // namespace sula
