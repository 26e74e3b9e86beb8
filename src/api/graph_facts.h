// Facts of a graph that several public functions need.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"
#include "sula/model.h"

namespace sula {

struct GraphCount {
  std::vector<std::pair<std::string, int64_t>> operators;  // most frequent first
  int64_t nodes = 0;
  int64_t parameters = 0, constant_bytes = 0;  // equal (shared) constants once
  double multiply_adds = 0;                    // half the floating-point operations of the costs
  int64_t uncounted_nodes =
      0;  // with arithmetic, but without concrete sizes; also all in subgraphs
};

// Counts nodes and constants of the graph and its subgraphs. Types must be inferred.
GraphCount Count(const Graph& graph);

// What the public interface says of a value.
ValueInfo DescribeValue(const Value& value);

// An error, with the inputs that there are, unless the graph has an input of this name.
Status CheckIsInput(const Graph& graph, std::string_view name);

}  // namespace sula
