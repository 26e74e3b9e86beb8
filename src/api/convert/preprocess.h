// Pre-processing of pictures as part of a model.
#pragma once

#include "base/status.h"
#include "ir/graph.h"
#include "sula/convert.h"

namespace sula {

// Puts a node of FromPixels, and what else it takes to give the input's type and layout, behind
// each input named in options.preprocess, which becomes uint8 [N, height, width, channels]. The
// settings that the model carried for the input are replaced by those that remain for whoever fills
// it. Errors: kInvalidArgument for text that cannot be read, an input that does not exist or does
// not take such pictures; kUnsupported for ways to resize that FromPixels does not have.
Status InsertPreprocessing(const ConvertOptions& options, Graph& graph);

}  // namespace sula
