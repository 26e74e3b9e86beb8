// Kernels of the operators that are bound by memory rather than arithmetic: element-wise, softmax,
// normalisation, reductions, gather, resize. kernel_table.cc says which operator has which.
#pragma once

#include <span>

#include "backend/backend.h"

namespace sula::cpu {

std::span<const KernelEntry> UnaryKernels();      // unary functions of ops/elementwise.h, float32
std::span<const KernelEntry> BinaryKernels();     // Add Sub Mul Div Max Min PRelu, float32
std::span<const KernelEntry> SoftmaxKernels();    // Softmax LogSoftmax
std::span<const KernelEntry> LayerNormKernels();  // LayerNormalization RMSNormalization, float32
std::span<const KernelEntry> GroupNormKernels();  // Group-, InstanceNormalization, float32
std::span<const KernelEntry> ReduceKernels();     // Reduce* but the logarithmic ones, float32
std::span<const KernelEntry> GatherKernels();     // Gather, any type; with few constant indices the
                                                  // runtime moves boxes instead
std::span<const KernelEntry> ResizeKernels();     // Resize: nearest and linear, float32

}  // namespace sula::cpu
