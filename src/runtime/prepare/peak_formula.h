// What activations need, as a formula over the sizes of the inputs.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace sula {

// The largest sum of activations that are live at the same time, in bytes: the maximum of `sums`.
struct PeakFormula {
  std::vector<Dim> sums;  // at least one; what is live in a step of the run, each sum once

  // Errors: as Dim::Evaluate.
  Result<int64_t> Evaluate(const DimBindings& sizes) const;
  // "max(64*H*W,N*4096)". Sums that are not the largest one for any of some hundred sets of sizes,
  // each size between 1 and 4096, are left out of the text.
  std::string ToString() const;
};

// The lower bound of the activations of every run of this graph, whatever the sizes of its inputs
// that are symbolic. It counts values as the planner does: constants and what follows from shapes
// alone need nothing; views lie in what they view; parts of a concatenation lie in the whole; an
// element-wise operator writes over an input that nobody else needs. Graph inputs and outputs have
// memory of their own. Kernels are taken to read and write row-major memory without workspace, so
// that workspaces, layout copies, padding and alignment are not counted, nor are values whose size
// only the run tells. The order of the nodes and which values share memory are decided for one set
// of sizes, a batch of one: for others a plan may need more, and less where sizes of 1 make more
// values views or another order of nodes is better.
//
// Errors: the size of a value is not a polynomial over the names of sizes (it depends on data, or
// grows too large to be written); no set of sizes was found that the graph accepts.
Result<PeakFormula> ActivationPeak(const Graph& model);

// The same sum for one set of input shapes, in bytes: the value that the formula is to have.
// input_types: concrete, in graph order.
Result<int64_t> ActivationPeakOf(const Graph& model, const std::vector<TensorType>& input_types);

}  // namespace sula
