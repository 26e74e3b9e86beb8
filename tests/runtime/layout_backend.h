// A backend for tests of planning: every operator by Evaluate, but in the layouts that fast kernels
// ask for, in place where they may be. What the planner gets wrong (overlapping memory, a view at a
// wrong place, a gap written) shows as wrong results.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace sula {

std::unique_ptr<Backend> MakeLayoutBackend(std::span<const ChainEntry> chains = {});

// For chains of convolutions and pools: all activations channel-last; the nodes one after the
// other.
void LayoutChainLayouts(const ChainRequest& request, std::span<LayoutNeed> inputs,
                        std::span<LayoutNeed> outputs);
Result<std::unique_ptr<Kernel>> CreateLayoutChain(const ChainRequest& request);

}  // namespace sula
