#include "runtime/session.h"

namespace sula {

Result<std::shared_ptr<const Model>> Model::FromGraph(Graph graph) {
  RETURN_IF_ERROR(Verify(graph));
  return std::shared_ptr<const Model>(new Model(std::move(graph)));
}

}  // namespace sula
