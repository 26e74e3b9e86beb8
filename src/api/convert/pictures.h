// What a converted model carries about pictures and classes.
#pragma once

#include "base/status.h"
#include "ir/graph.h"
#include "sula/convert.h"

namespace sula {

// The input that settings are for: `given`, or the only one if that is empty. Error:
// kInvalidArgument, there is no such input.
Result<std::string> PictureInputName(const std::string& given, const Graph& graph);

// Stores options.image_inputs and options.labels in the graph's metadata (keys: sula/image.h), the
// settings with all their fields; what a text leaves out is chosen as by ChooseImageInput. Errors:
// kInvalidArgument for text that cannot be read, an input that does not exist or does not take such
// pictures.
Status StorePictures(const ConvertOptions& options, Graph& graph);

}  // namespace sula
