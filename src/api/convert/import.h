// The files of a source model -> Graph, whatever the format.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace sula {

struct Source {
  Graph graph;
  std::string format;              // "ONNX", "Caffe", "sula"
  std::vector<std::string> files;  // that were read: those given, and what was found beside them
  int64_t bytes = 0;               // of these files
  std::vector<std::string> notes;  // what the frontend has to say
};

// Reads the model in `files`: one file, but for Caffe the net and its weights in either order. If
// one of these two is missing, NAME.caffemodel beside NAME.prototxt, or the other way round, is
// taken if it is there. `input_shapes` replace those that the model declares. Errors: kNotFound,
// kUnsupported for formats without a frontend, those of the frontends.
Result<Source> ImportFiles(std::span<const std::string> files,
                           const std::map<std::string, Shape>& input_shapes);

}  // namespace sula
