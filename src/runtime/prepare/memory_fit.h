// Smaller kernels for a plan that would need too much memory.
#pragma once

#include <set>
#include <span>

#include "runtime/prepare/schedule.h"

namespace sula {

// Kernels to do without so that activations, workspaces, constants, inputs and outputs need no more
// than `max_bytes`: the schedule made with options.refused set to the result. Refuses step by step
// the kernels that cost least (by their estimates) for the bytes that their successors save, for
// instance Winograd where a GEMM has smaller weights, or where its workspace is the peak. A node's
// last kernel that is not the fallback's stays: the fallback allocates as it runs. If nothing helps
// any more, the result is the least found and still needs too much. Makes kernels to learn what
// they need, without packing weights, one at a time, and drops them.
// Errors: those of preparing a node.
Result<std::set<KernelRefusal>> FitSchemes(const ConcreteGraph& graph,
                                           std::span<Backend* const> backends,
                                           SchemeOptions options, size_t max_bytes);

}  // namespace sula
