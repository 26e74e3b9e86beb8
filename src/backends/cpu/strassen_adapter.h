// What the adapters of products by Strassen's algorithm share: convolutions of one pixel and matrix
// products.
#pragma once

#include <string_view>

#include "backends/cpu/adapter.h"
#include "backends/cpu/kernels/strassen/strassen.h"

namespace sula::cpu {

// No for sizes too small to gain by any estimate, a curve in the epilogue, or a max_error below
// what the algorithm's sums may have.
Verdict AcceptStrassen(const KernelRequest& request, const StrassenSpec& spec);

// Seconds; activation_bytes: of inputs and outputs.
double EstimateStrassen(const StrassenSpec& spec, double activation_bytes, const Machine& machine);

// "avx2, 2 levels, 128 rows a block"
std::string StrassenDetail(const StrassenSpec& spec, const Machine& machine);

constexpr std::string_view StrassenName(int levels) {
  return levels == 1 ? "strassen_1" : "strassen_2";
}

}  // namespace sula::cpu
