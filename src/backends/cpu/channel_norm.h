// InstanceNormalization and GroupNormalization of channel-last maps: what the entry in norm.cc is
// made of.
#pragma once

#include "backend/backend.h"

namespace sula::cpu {

void ChannelNormLayouts(const KernelRequest& request, std::span<LayoutNeed> inputs,
                        std::span<LayoutNeed> outputs);
Verdict AcceptChannelNorm(const KernelRequest& request);
double EstimateChannelNorm(const KernelRequest& request);
Result<std::unique_ptr<Kernel>> CreateChannelNorm(const KernelRequest& request);

}  // namespace sula::cpu
