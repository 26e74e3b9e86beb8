// The text form of graphs. What parses prints to a text that parses to the same.
#include <cstdio>
#include <cstdlib>

#include "fuzz/graph_seeds.h"
#include "fuzz/target.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula::fuzz {

std::vector<std::string> Seeds() { return GraphSeeds(); }

bool TakeInput(std::string_view bytes) {
  Result<Graph> graph = ParseGraph(bytes, AllOps());
  if (!graph) return Refused(graph.error());
  const std::string text = Print(*graph, {.all_elements = true});
  Result<Graph> again = ParseGraph(text, AllOps());
  if (!again || Print(*again, {.all_elements = true}) != text) {
    std::fprintf(stderr, "does not survive printing:\n%s\n%s\n", text.c_str(),
                 again ? "" : again.error().ToString().c_str());
    std::abort();
  }
  Exercise(*std::move(graph));
  return true;
}

}  // namespace sula::fuzz
