#include "format/model_file.h"
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

Result<uint64_t> Model::ContentHash() const {
  if (source_.file) return source_.hash;
  const std::lock_guard lock(mutex_);
  if (!hash_) {
    ASSIGN_OR_RETURN(hash_, HashGraph(graph_));
  }
  return *hash_;
}

}  // namespace sula
