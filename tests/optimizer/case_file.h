// Optimizer tests as text. A file holds cases:
//
//   case batch norm goes into a convolution     # a title
//   apply fold-affine-into-weights              # rules and passes, in this order, or "pipeline"
//   graph "before" { ... }
//   =>
//   graph "after" { ... }                       # or the word "unchanged"
#pragma once

#include <string>
#include <vector>

#include "optimizer/optimizer.h"

namespace sula::test {

struct Case {
  std::string title;
  std::vector<std::string> apply;
  std::string before;
  std::string after;  // empty: unchanged
};

Result<std::vector<Case>> ReadCases(const std::string& path);

// The stages that a case names; an error for an unknown name.
Result<std::vector<Stage>> StagesOf(const Case& c);

// Applies the stages to the graph before, compares the text of the result, and runs both graphs, if
// something was applied, on seeded random inputs. Empty if all is well, otherwise what is not.
std::string Check(const Case& c, std::span<const Stage> stages);

// Runs both graphs on the same random inputs and compares the outputs: integers exactly, floats to
// a relative and absolute tolerance (2e-5: sums of up to about 300 terms of size 1, each rounded to
// 2^-24). Symbolic sizes get small numbers. Empty if the outputs agree.
std::string CompareRuns(const Graph& a, const Graph& b, uint64_t seed, double tolerance = 2e-5);

}  // namespace sula::test
