// The backend of the host's processor: kernels for each instruction set, chosen at run time.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace sula {

std::unique_ptr<Backend> MakeCpuBackend();

}  // namespace sula
