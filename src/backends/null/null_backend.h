// A backend that accepts every node and computes nothing: for tests of planning. Convolution and
// pooling want channel-last, element-wise operators follow their inputs and work in place.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace sula {

std::unique_ptr<Backend> MakeNullBackend();

}  // namespace sula
