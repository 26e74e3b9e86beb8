#include "runtime/session.h"

namespace sula {

Result<std::shared_ptr<const Model>> Model::FromGraph(Graph graph, ModelSource source) {
  RETURN_IF_ERROR(Verify(graph));
  return std::shared_ptr<const Model>(
      new Model(std::move(graph), std::move(source), std::make_shared<PackStore>()));
}

Result<std::shared_ptr<const Model>> Model::WithOutputs(
    const std::vector<std::string>& names) const {
  Graph graph = graph_;
  for (const std::string& name : names) {
    const std::optional<ValueId> v = graph.FindValue(name);
    if (!v)
      return NotFound("extra output '", name, "': graph '", graph.name, "' has no such value");
    graph.AddOutput(*v);
  }
  RETURN_IF_ERROR(Verify(graph));
  return std::shared_ptr<const Model>(new Model(std::move(graph), source_, packs_));
}

}  // namespace sula
