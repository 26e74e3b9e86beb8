// Kernels of the operators that are bound by memory rather than arithmetic: element-wise, softmax,
// normalisation, reductions, gather, resize. kernel_table.cc says which operator has which.
#pragma once

#include <span>

#include "backend/backend.h"

namespace sula::cpu {

std::span<const KernelEntry> UnaryKernels();      // unary functions of ops/elementwise.h, float32
std::span<const KernelEntry> BinaryKernels();     // Add Sub Mul Div Max Min PRelu; float32, and all
                                                  // but PRelu int32, int64
std::span<const KernelEntry> TypedKernels();      // comparisons, And Or Xor Not, Cast, Where, Pow;
                                                  // the types of kernels/typed/typed.h
std::span<const KernelEntry> SoftmaxKernels();    // Softmax LogSoftmax
std::span<const KernelEntry> LayerNormKernels();  // LayerNormalization RMSNormalization, float32
std::span<const KernelEntry> GroupNormKernels();  // Group-, InstanceNormalization, float32
std::span<const KernelEntry> ReduceKernels();     // Reduce* but the logarithmic ones, float32
std::span<const KernelEntry> GatherKernels();     // Gather, any type; with few constant indices the
                                                  // runtime moves boxes instead
std::span<const KernelEntry> ResizeKernels();     // Resize: nearest and linear, float32

std::span<const KernelEntry> FromPixelsKernels();  // FromPixels

std::span<const KernelEntry> LrnKernels();     // LRN, float32
std::span<const KernelEntry> ArgKernels();     // ArgMax ArgMin; float32, int32, int64
std::span<const KernelEntry> CumSumKernels();  // CumSum along a constant axis; the same types
std::span<const KernelEntry> TopKKernels();    // TopK with constant k; the same types

}  // namespace sula::cpu
