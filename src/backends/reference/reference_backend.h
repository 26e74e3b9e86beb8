// The backend that runs every operator with its Evaluate: the oracle, and the fallback that makes
// every operator run anywhere. Row-major throughout; a run allocates.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace sula {

std::unique_ptr<Backend> MakeReferenceBackend();

}  // namespace sula
