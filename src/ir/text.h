// The text form of a graph: printed for people, parsed by tests and tools.
//
//   graph "resnet" {
//     input %x: float32[N,3,224,224]
//     const %w: float32[2,2] = [1, 2, 3, 4]
//     const %big: float32[64,3,7,7] = random(7)
//     %y: float32[N,64,112,112] = Conv(%x, %big, _) {strides=[2, 2], pads=[3, 3, 3, 3]} "conv1"
//     %a, %b = Split(%y) {axis=1} "split"
//     output %a, %b
//   }
//
// Types after node outputs are printed and, when parsed, checked against inference. `_` is an
// absent input. random(seed) fills a constant with reproducible values in [-1, 1) (integers: small
// values); the printer writes constants of more than 64 elements as random-free "..." summaries
// unless asked for all elements. Subgraphs follow their node in braces.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"

namespace sula {

struct PrintOptions {
  bool all_elements = false;  // constants in full, so that the text parses back to the same graph
  bool types = true;
};

std::string Print(const Graph& graph, const PrintOptions& options = {});
// Parses, verifies and infers. Errors name line and column.
Result<Graph> ParseGraph(std::string_view text, Catalogue catalogue);

}  // namespace sula
