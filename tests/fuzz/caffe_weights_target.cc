// Caffe: the bytes of a weight file.
#include "frontends/caffe/caffe.h"
#include "fuzz/caffe_seeds.h"
#include "fuzz/target.h"

namespace sula::fuzz {

std::vector<std::string> Seeds() { return {CaffeWeights()}; }

bool TakeInput(std::string_view bytes) {
  static const std::string net = NetOfAllWeights();
  (void)LooksLikeCaffeWeights(std::as_bytes(std::span(bytes)));
  Result<Graph> graph = ImportCaffeText(net, std::as_bytes(std::span(bytes)));
  if (!graph) return Refused(graph.error());
  Exercise(*std::move(graph));
  return true;
}

}  // namespace sula::fuzz
