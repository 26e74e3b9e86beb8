// Caffe: the text of a net.
#include "frontends/caffe/caffe.h"
#include "fuzz/caffe_seeds.h"
#include "fuzz/target.h"

namespace sula::fuzz {

std::vector<std::string> Seeds() { return CaffeNets(); }

bool TakeInput(std::string_view bytes) {
  static const std::string weights = CaffeWeights();
  (void)LooksLikePrototxt(bytes);
  Result<Graph> graph = ImportCaffeText(bytes, std::as_bytes(std::span(weights)));
  if (!graph) return Refused(graph.error());
  Exercise(*std::move(graph));
  return true;
}

}  // namespace sula::fuzz
