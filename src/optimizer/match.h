// What rules ask of a graph, and tools to make new constants.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "ir/graph.h"
#include "ir/patch.h"

namespace sula {

// The node whose output 0 is `v` if its operator is `op`; kNoNode otherwise.
NodeId ProducedBy(const Graph& g, ValueId v, const OpDef& op);
// Constant input i of a node; null if absent or not constant.
const Tensor* ConstantInput(const Graph& g, const Node& node, size_t i);
// All inputs' constants, null where not constant: what AsActivation wants.
std::vector<const Tensor*> ConstantInputs(const Graph& g, const Node& node);
// True if all inputs that are present are constants, and there is one.
bool AllConstant(const Graph& g, const Node& node);
// The shape of a value; null if unknown or absent.
const Shape* ShapeOf(const Graph& g, ValueId v);
// Both shapes are known, and equal for every value of their symbols.
bool SameShape(const Graph& g, ValueId a, ValueId b);
// Whether a value has known rank, and at most one element whatever its rank.
bool IsSingleElement(const Graph& g, ValueId v);

// The number in a constant of one element; nothing for others.
std::optional<double> ScalarConstant(const Graph& g, ValueId v);
// The elements of a constant integer input; nothing if absent or not constant.
std::optional<std::vector<int64_t>> IntsInput(const Graph& g, const Node& node, size_t i);
// The numbers by which a constant that broadcasts against `rank` axes varies along `axis` alone
// (`n` of them; one number for all if it has one element). Nothing if it varies otherwise.
std::optional<std::vector<double>> PerAxis(const Tensor& t, int rank, int axis, int64_t n);

// Floating-point types whose numbers a float can hold: those that rules may compute with.
bool IsFoldableFloat(DType t);

// f(index, element) for every element, in double, rounded once to the type of `t`.
Tensor MapElements(const Tensor& t, FunctionRef<double(int64_t, double)> f);
// A 1-D tensor of a floating-point type from doubles, rounded once; with dims, of those sizes.
Tensor FloatTensor(DType dtype, const std::vector<double>& values);
Tensor FloatTensor(DType dtype, Dims dims, const std::vector<double>& values);
// t with its axes in another order; precondition: perm is a permutation of its axes. Nothing if
// memory is short.
std::optional<Tensor> TransposeConstant(const Tensor& t, const std::vector<int>& perm);

// The shape input that makes Reshape (without allowzero) give `out` from `in`: sizes as numbers, 0
// for a symbolic size that `in` has at the same place, -1 for at most one other. Nothing if that
// cannot be said.
std::optional<std::vector<int64_t>> ReshapeTarget(const Shape& in, const Shape& out);

}  // namespace sula
