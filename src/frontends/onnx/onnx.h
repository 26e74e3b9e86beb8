// ONNX frontend: .onnx -> Graph.
#pragma once

#include <map>
#include <string>

#include "ir/graph.h"

namespace sula {

struct OnnxOptions {
  // Replaces the declared shapes of these inputs.
  std::map<std::string, Shape> input_shapes;
};

// Reads an ONNX model of any opset from 1 to the newest known. External data is looked for in the
// model's folder and nowhere else. Shape arithmetic on constants is folded by the optimizer, not
// here. Errors: kNotFound, kIo; kInvalidModel for broken files; kUnsupported lists every operator
// (with attribute or type, where that is the cause) that has no translation, each with the names
// of its nodes, all at once.
Result<Graph> ImportOnnx(const std::string& path, const OnnxOptions& options = {});

}  // namespace sula
