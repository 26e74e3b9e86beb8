// Which kernels the CPU backend has, by operator.
#pragma once

#include <span>

#include "backend/backend.h"

namespace sula {

// In order of preference at equal cost; empty if there is none.
std::span<const KernelEntry> CpuKernels(const OpDef& op);

// Kernels for several nodes in a row.
std::span<const ChainEntry> CpuChains();

}  // namespace sula
