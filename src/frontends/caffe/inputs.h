// Layers that bring data into a net: in sula, inputs of the graph.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "caffe_subset.pb.h"
#include "tensor/shape.h"

namespace sula::caffe {

struct InputBlob {
  std::string name;
  std::optional<Shape> shape;  // nothing where the file does not tell
};

// DummyData counts unless its blobs are constants: random data stand for real ones.
bool IsInputLayer(const Layer& layer);

// The tops of such a layer, or of any DummyData. Sizes that lie in a database stay unknown. Errors:
// counts of shapes that don't fit.
Result<std::vector<InputBlob>> InputsOf(const Layer& layer);
// The legacy inputs of a net: fields input, and input_shape or input_dim.
Result<std::vector<InputBlob>> LegacyInputs(const Net& net);

// What the layer does to its data before the net sees them: "mean 104, 117, 123; scale 0.017";
// empty if nothing. The order is Caffe's: (x - mean) * scale.
std::string Preprocessing(const Layer& layer);

}  // namespace sula::caffe
