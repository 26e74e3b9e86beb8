// Operands that lie along some axes of a bottom and are repeated along the others.
#pragma once

#include <string_view>

#include "frontends/caffe/layer_import.h"

namespace sula::caffe {

// The operand, whose axes are those of a value of rank `rank` from `axis` on, with axes of size 1
// behind, so that numpy's broadcasting repeats it as Caffe does. A constant called NAME/suffix.
ValueId AlongAxes(LayerImport& n, const Tensor& operand, int rank, int axis,
                  std::string_view suffix);
// The same for a computed one.
ValueId AlongAxes(LayerImport& n, ValueId operand, int rank, int axis, std::string_view suffix);

}  // namespace sula::caffe
