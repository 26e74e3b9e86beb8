// Model: a graph to run. Session, which runs it, is declared in the public header and defined here.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "ir/graph.h"
#include "sula/session.h"

namespace sula {

// An immutable, verified graph; shared by the sessions that run it.
class Model {
 public:
  // Verifies. The graph's constants may borrow from a mapped file.
  static Result<std::shared_ptr<const Model>> FromGraph(Graph graph);
  const Graph& graph() const { return graph_; }

 private:
  explicit Model(Graph graph) : graph_(std::move(graph)) {}
  Graph graph_;
};

}  // namespace sula
