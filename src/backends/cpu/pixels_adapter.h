// From the operator FromPixels to its kernel.
#pragma once

#include "backend/backend.h"
#include "backends/cpu/kernels/pixels/pixels.h"

namespace sula::cpu {

// No unless every size is known and the parameters fit. Sees dims alone.
Verdict AcceptPixels(const KernelRequest& request);

// Precondition of both: AcceptPixels.
PixelSpec PixelSpecOf(const KernelRequest& request);
// Seconds of one thread, out of L1, for `rows` rows of the result.
double PixelSeconds(const PixelSpec& spec, double rows);

}  // namespace sula::cpu
