// Model: a graph to run. Session, which runs it, is declared in the public header and defined here.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "backend/backend.h"
#include "base/mapped_file.h"
#include "ir/graph.h"
#include "runtime/packs.h"
#include "sula/session.h"

namespace sula {

// The .sula file that a model was loaded from.
struct ModelSource {
  std::shared_ptr<const MappedFile> file;
  uint64_t hash = 0;  // its content hash
};

// An immutable, verified graph; shared by the sessions that run it.
class Model {
 public:
  // Verifies. The graph's constants may borrow from a mapped file.
  static Result<std::shared_ptr<const Model>> FromGraph(Graph graph, ModelSource source = {});
  // The model with more outputs, by name of value. Shares packs with the model that it is made of.
  Result<std::shared_ptr<const Model>> WithOutputs(const std::vector<std::string>& names) const;
  const Graph& graph() const { return graph_; }
  // Its file is null if it is a graph that was made in memory.
  const ModelSource& source() const { return source_; }
  PackStore& packs() const { return *packs_; }
  // Of the file or, equally, of the file that would be written of a graph made in memory: computed
  // on first use then, which reads all constants.
  Result<uint64_t> ContentHash() const;

 private:
  Model(Graph graph, ModelSource source, std::shared_ptr<PackStore> packs)
      : graph_(std::move(graph)), source_(std::move(source)), packs_(std::move(packs)) {}
  Graph graph_;
  ModelSource source_;
  std::shared_ptr<PackStore> packs_;
  mutable std::mutex mutex_;
  mutable std::optional<uint64_t> hash_;  // under mutex_; of a graph without file
};

}  // namespace sula
