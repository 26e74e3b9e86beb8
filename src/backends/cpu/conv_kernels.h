// Kernels of the operators that are bound by arithmetic: convolutions, matrix products, attention,
// recurrent layers, pooling.
// kernel_table.cc says which operator has which.
#pragma once

#include <span>

#include "backend/backend.h"

namespace sula::cpu {

std::span<const KernelEntry> AttentionKernels();
std::span<const KernelEntry> ConvKernels();
std::span<const KernelEntry> ConvTransposeKernels();
std::span<const KernelEntry> MatMulKernels();
std::span<const KernelEntry> RecurrentKernels();  // Rnn Gru Lstm, float32
std::span<const KernelEntry> MaxPoolKernels();
std::span<const KernelEntry> AveragePoolKernels();
std::span<const KernelEntry> GlobalAveragePoolKernels();
std::span<const KernelEntry> GlobalMaxPoolKernels();
std::span<const ChainEntry> ConvChains();

}  // namespace sula::cpu
