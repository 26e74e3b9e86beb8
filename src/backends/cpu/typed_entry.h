// The kernel for element types other than float32, as one more candidate of an operator.
#pragma once

#include "backends/cpu/stream_kernels.h"

namespace sula::cpu {

void TypedLayouts(const KernelRequest& request, std::span<LayoutNeed> inputs,
                  std::span<LayoutNeed> outputs);
Verdict AcceptTyped(const KernelRequest& request);
double EstimateTyped(const KernelRequest& request);
Result<std::unique_ptr<Kernel>> CreateTyped(const KernelRequest& request);

inline constexpr KernelEntry kTypedEntry = {.name = "typed",
                                            .layouts = TypedLayouts,
                                            .accept = AcceptTyped,
                                            .estimate = EstimateTyped,
                                            .create = CreateTyped,
                                            .in_place = true};

}  // namespace sula::cpu
