// Checks of an ImageInput in itself.
#pragma once

#include "base/status.h"
#include "sula/image.h"

namespace sula {

inline int ChannelsOf(const ImageInput& spec) { return spec.order == ImageOrder::kGray ? 1 : 3; }

// What no picture and no model can make right: numbers per channel that are not one per channel, a
// scale or deviation of 0 or not finite, sizes out of range, a cut larger than what it is cut from,
// an element type that pictures don't have.
Status CheckSpec(const ImageInput& spec);

}  // namespace sula
