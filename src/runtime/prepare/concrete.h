// The first half of prepare: a model's graph for given input shapes, with everything that does not
// depend on the run's data computed.
#pragma once

#include <vector>

#include "ir/graph.h"
#include "sula/session.h"

namespace sula {

// The types of the graph's inputs, in its order, when these have the given shapes; sizes that the
// declarations name follow from the other inputs where they can. Errors: an unknown input name, a
// shape that contradicts the declaration or another input, a size that stays unknown.
Result<std::vector<TensorType>> ConcreteInputTypes(const Graph& graph, const InputShapes& shapes);

// A graph with types for one set of input shapes.
struct ConcreteGraph {
  Graph graph;  // values known before the run have `constant` set, whoever produced them
  // What remains to be run, producers first. Folded nodes and nodes that no graph output needs are
  // left out.
  std::vector<NodeId> order;
};

// Infers all types from the input types and folds: a node whose inputs are all known is evaluated.
// Errors name the node, its operator and its input types.
Result<ConcreteGraph> MakeConcrete(const Graph& model, const std::vector<TensorType>& inputs);

// The sizes of a value, or nothing if only the run tells.
inline std::optional<Dims> KnownDims(const Value& value) {
  if (value.constant) return value.constant->dims();
  return value.type.shape ? value.type.shape->TryConcrete() : std::nullopt;
}

}  // namespace sula
