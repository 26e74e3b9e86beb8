// Matrix product with constant weights by one or two levels of Strassen's algorithm: seven products
// of half-size blocks in place of eight, per level.
//
// The sums of blocks of the weights are packed once. Those of the input are made row block by row
// block, in a size that stays in L2, and each panel of a product goes from L1 to all blocks of the
// output that it counts for; so sums cost one pass where the data are anyway.
#pragma once

#include <vector>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/strassen/table.h"

namespace sula::cpu {

inline constexpr int kMaxStrassenLevels = 2;

// c = clamp(a x b + bias + residual) for m rows of k values and n columns. The epilogue has no
// curve.
struct StrassenSpec {
  int levels = 1;
  int64_t m = 0, n = 0, k = 0;
  Epilogue epilogue;
};

// How the product is cut up; also for those who estimate its time. Blocks at the end of sizes that
// the grid does not divide count zeros.
struct StrassenPlan {
  int grid = 2, products = 7;
  int64_t block_m = 0, block_n = 0, block_k = 0;
  int64_t a_terms = 0, c_terms = 0;  // of all products
  std::vector<Panel> panels;         // of one product
  GemmBlocks blocks;                 // of one product: rows that a thread takes at a time
};
StrassenPlan PlanStrassen(const StrassenSpec& spec, const Machine& machine);

// Largest error to be expected relative to the largest output. bench/strassen finds, on products of
// normally distributed numbers up to 2048^3, at most 2.2e-6 for one level and 2.5e-6 for two,
// against 1.9e-6 without.
constexpr double StrassenError(int levels) { return levels == 1 ? 2.5e-6 : 3.5e-6; }

// One call of the vector loops below: some columns of some rows of one product.
struct StrassenUpdate {
  const float* t = nullptr;  // rows x columns of the product
  int64_t t_stride = 0;
  int64_t rows = 0, columns = 0;
  float sign = 1;
  float* c = nullptr;
  int64_t c_stride = 0;
  const float* bias = nullptr;  // null: c holds a sum already
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  float lo = 0, hi = 0;
};
struct StrassenKernels {
  // to[i] = sum over s < count of sign[s] * from[s][i]; `to` may be one of them.
  void (*sum)(const float* const* from, const float* sign, int count, int64_t n, float* to);
  // c = clamp((bias ? bias + residual : c) + sign * t)
  void (*update)(const StrassenUpdate& update);
};
const StrassenKernels& StrassenFor(Target target);

class Strassen {
 public:
  // weights: element (column, k) by the view's strides (no taps), each times `scale`; bias: [n] or
  // null. Error: out of memory.
  static Result<Strassen> Make(const StrassenSpec& spec, const WeightView& weights, float scale,
                               const float* bias, const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return packed_.bytes() + bias_.bytes() + zeros_.bytes(); }
  // in: m rows of k floats, in_stride apart; out, residual likewise (n).
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  void PackSums(const WeightView& weights, float scale, float* to) const;
  struct Rows {
    const float* data = nullptr;
    int64_t stride = 0;
  };
  Rows SumRows(const ConvArgs& args, const StrassenSum& a, int64_t begin, int64_t rows,
               float* sums) const;
  void RunBlock(const ConvArgs& args, int64_t begin, int64_t rows, float* sums, float* tile) const;
  int64_t sums_floats() const;
  int64_t tile_floats() const;

  StrassenSpec spec_;
  Machine machine_;
  StrassenPlan plan_;
  int64_t packed_floats_ = 0;  // of one product
  Pack packed_;                // all products
  Pack bias_;
  AlignedBuffer zeros_;  // the bias of a product
};

}  // namespace sula::cpu
