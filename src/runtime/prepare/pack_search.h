// A search for offsets within a given capacity, where packing in a fixed order fails.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "runtime/prepare/memory_plan.h"

namespace sula {

// Offsets for all requests such that those live at the same time do not overlap and none ends
// behind `capacity`; nothing if there are none or the search gave up. Depth-first over packings in
// which every block lies directly on another one or at 0, blocks taken by rising offset; a branch
// ends where some step has less room left than its unplaced blocks need. After Moffitt: MiniMalloc
// (ASPLOS 2023). Pure; looks at no more than `max_nodes` placements in each of its attempts, which
// differ in which block they prefer among several at the same offset. A placement costs time
// proportional to the number of requests.
// Preconditions: bytes are multiples of the alignment wanted and not 0; last >= first >= 0.
std::optional<std::vector<size_t>> PackWithin(std::span<const MemoryRequest> requests,
                                              size_t capacity, int max_nodes);

}  // namespace sula
