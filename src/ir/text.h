// The text form of a graph: printed for people, parsed by tests and tools.
//
//   graph "resnet" {
//     meta "producer" = "pytorch 2.1"
//     input %x: float32[N,3,224,224]
//     const %w: float32[2,2] = [1, 2, 3, 4]
//     const %big: float32[64,3,7,7] = random(7)
//     %y: float32[N,64,112,112] = Conv(%x, %big, _) {strides=[2, 2], pads=[3, 3, 3, 3]} "conv1"
//     %a, %b = Split(%y) {axis=1} "split"
//     output %a, %b
//   }
//
// Types after node outputs are printed and, when parsed, checked against inference. `_` is an
// absent input or output. random(seed) fills a constant by RandomTensor; the printer writes
// constants of more than 64 elements as "..." unless asked for all elements, and that does not
// parse. Names of other characters than [A-Za-z0-9_./-] are quoted: %"conv:0". `#` starts a
// comment. Values are defined before they are used. Subgraphs follow their node in braces, each
// with the names of what it captures:
//     %y = If(%c, %x, %x) "if" {
//       graph "then" { captures %x  input %a: float32[2]  output %a }
//       graph "else" { ... }
//     }
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace sula {

struct PrintOptions {
  bool all_elements = false;  // constants in full, so that the text parses back to the same graph
  bool types = true;
};

std::string Print(const Graph& graph, const PrintOptions& options = {});
// The fields of a node that differ from their default, as Print writes them: {"strides", "[2, 2]"}.
std::vector<std::pair<std::string, std::string>> FieldTexts(const Node& node);
// Parses, verifies and infers. Errors name line and column.
Result<Graph> ParseGraph(std::string_view text, Catalogue catalogue);

// Reproducible on every machine: floats uniform in [-1, 1) (multiples of 2^-23, rounded to the
// type), signed integers in [-4, 4), unsigned ones in [0, 8), bools even. Precondition: the
// product of the dims is sensible.
Tensor RandomTensor(DType dtype, const Dims& dims, uint64_t seed);

}  // namespace sula
