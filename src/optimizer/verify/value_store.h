// The tensors of a graph's values for one set of inputs, computed when they are asked for.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"

namespace sula {

// Holds what it computes until `max_bytes` are held, then drops what was not asked for longest.
class ValueStore {
 public:
  // inputs: those of the graph, in its order.
  ValueStore(const Graph& graph, std::vector<Tensor> inputs, int64_t max_bytes);

  // The tensor of a value by the reference interpreter. `graph` is the constructor's, or what
  // changes that keep ids have made of it: values that are held are not computed again, so after a
  // change they are those of before. An error names the node that does not run.
  Result<Tensor> Get(const Graph& graph, ValueId v);
  // Says what a value is from now on.
  void Put(ValueId v, Tensor tensor);
  void Drop(ValueId v);

 private:
  struct Held {
    Tensor tensor;
    int64_t last_use = 0;
  };
  const Tensor* Find(const Graph& graph, ValueId v);
  // The nodes that have to run for v, producers first.
  static std::vector<NodeId> Missing(const Graph& graph, ValueId v,
                                     const std::unordered_map<ValueId, Held>& held,
                                     const std::map<ValueId, Tensor>& inputs);

  std::map<ValueId, Tensor> inputs_;
  std::unordered_map<ValueId, Held> held_;
  std::map<int64_t, ValueId> by_use_;
  int64_t max_bytes_, bytes_ = 0, clock_ = 0;
};

}  // namespace sula
