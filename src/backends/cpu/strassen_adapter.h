// Products by Strassen's algorithm as candidates: of pointwise convolutions and of matrix products.
#pragma once

#include <string_view>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/kernels/strassen/strassen.h"

namespace sula::cpu {

// A node as a product of a with constant weights. Both operators have a, the weights, a bias and a
// residual as inputs 0 to 3.
struct StrassenProduct {
  StrassenSpec spec;   // but for the levels
  WeightView weights;  // as Strassen::Make takes them
  float scale = 1;
  ConvStrides strides;
  double activation_bytes = 0;  // of inputs and outputs
  Machine machine;
};

// No where the sums take as long as what they save, for a curve in the epilogue, or a max_error
// below what the algorithm's sums may have.
Verdict AcceptStrassen(const KernelRequest& request, const StrassenProduct& product, int levels);
double EstimateStrassen(const StrassenProduct& product, int levels);  // seconds
Result<std::unique_ptr<Kernel>> CreateStrassen(const KernelRequest& request,
                                               const StrassenProduct& product, int levels);

constexpr std::string_view StrassenName(int levels) {
  return levels == 1 ? "strassen_1" : "strassen_2";
}

// The candidate with kLevels levels. kAccept: whether the node is a product of this kind;
// kProductOf: which.
template <int kLevels, auto kAccept, auto kProductOf>
constexpr KernelEntry StrassenEntry(decltype(KernelEntry::layouts) layouts = nullptr) {
  return {
      .name = StrassenName(kLevels),
      .layouts = layouts,
      .accept =
          [](const KernelRequest& r) {
            const Verdict v = kAccept(r);
            return v ? AcceptStrassen(r, kProductOf(r), kLevels) : v;
          },
      .estimate = [](const KernelRequest& r) { return EstimateStrassen(kProductOf(r), kLevels); },
      .create = [](const KernelRequest& r) { return CreateStrassen(r, kProductOf(r), kLevels); }};
}

}  // namespace sula::cpu
