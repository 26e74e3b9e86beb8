// Text form of a net -> Net, with all layers in the current form.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "caffe_subset.pb.h"

namespace sula::caffe {

// Parses a prototxt; fields that the schema lacks are skipped. V1 layers ("layers", types as
// enumerators) become V2 ones ("layer", types as strings); layers that the net's TEST phase
// excludes are left out. Errors: kInvalidModel with `file`, line and column, or the layer;
// kUnsupported for V0 layers.
Result<Net> ParseNet(std::string_view text, const std::string& file);

}  // namespace sula::caffe
