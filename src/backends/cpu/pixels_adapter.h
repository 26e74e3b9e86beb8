// From the operator FromPixels to its kernel.
#pragma once

#include "backend/backend.h"
#include "backends/cpu/kernels/pixels/pixels.h"

namespace sula::cpu {

// No unless every size is known and the parameters fit. Sees dims alone.
Verdict AcceptPixels(const KernelRequest& request);

// Precondition: AcceptPixels.
PixelSpec PixelSpecOf(const KernelRequest& request);

}  // namespace sula::cpu
