// Values that follow from constants and declared shapes alone.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace sula::onnx {

// The value of v, if it is a small tensor that constants and known sizes determine, as in
// Shape -> Gather -> Equal. Needs the types of all values before v (InferOutputs). Gives up on
// anything large: the work is bounded whatever the graph.
std::optional<Tensor> KnownValue(const Graph& graph, ValueId v);

}  // namespace sula::onnx
