// Reductions over axes, and the operators that search or accumulate along one.
#pragma once

#include <vector>

#include "ir/op_def.h"

namespace sula {

struct ReduceParams {
  std::vector<int64_t> axes;          // empty: all, or none if noop_with_empty_axes
  bool keepdims = true;               // reduced axes stay, with size 1
  bool noop_with_empty_axes = false;  // without axes y = the elements of x, each reduced by itself
  friend bool operator==(const ReduceParams&, const ReduceParams&) = default;
};
struct ArgParams {
  int64_t axis = 0;
  bool keepdims = true;
  bool select_last_index = false;  // of equal extrema the last, not the first
  friend bool operator==(const ArgParams&, const ArgParams&) = default;
};
struct CumSumParams {
  bool exclusive = false;  // y[i] leaves out x[i]
  bool reverse = false;    // from the end
  friend bool operator==(const CumSumParams&, const CumSumParams&) = default;
};
struct TopKParams {
  int64_t axis = -1;
  bool largest = true;
  bool sorted = true;  // results are sorted in any case
  friend bool operator==(const TopKParams&, const TopKParams&) = default;
};

// Marks the axes that a reduction goes over. `axes`: the input axes if there is one, else
// params.axes. An error names an axis outside of the rank or given twice.
Result<std::vector<bool>> ReducedAxes(const ReduceParams& params, std::span<const int64_t> axes,
                                      int rank);

namespace op {
// ---- x, axes? (1-D; replaces params.axes). Over no elements: the neutral element (0 of a sum, 1
// of a product, the lowest or highest number of the type of a maximum or minimum), NaN of a float
// mean, 0 of an integer one.
extern const OpDef kReduceSum, kReduceMean, kReduceMax, kReduceMin, kReduceProd, kReduceL1,
    kReduceL2, kReduceLogSum, kReduceLogSumExp, kReduceSumSquare;
extern const OpDef kArgMax, kArgMin;  // x -> int64 indices; NaN counts as the extremum
extern const OpDef kCumSum;           // x, axis (scalar)
extern const OpDef kTopK;             // x, k (one element) -> values, int64 indices
}  // namespace op

}  // namespace sula
