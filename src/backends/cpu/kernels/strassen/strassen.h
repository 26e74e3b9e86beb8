// Matrix product with constant weights by one or two levels of Strassen's algorithm: seven products
// of half-size blocks in place of eight, per level; in Winograd's form, whose sums build on one
// another: 4 of blocks of a, 4 of b and 7 of products. (S. Winograd, On multiplication of 2 x 2
// matrices, 1971; N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 23.1.)
//
// The sums of blocks of the weights are packed once. The rest is done for a block of rows at a
// time, whose sums and partial results stay in L2: sums of a one after the other in one buffer,
// those of products while a tile is in registers. With two buffers for what later sums build on,
// each element of c is written once and never read:
//   t = a11 b11;  c11 = t + a12 b21;  u = s1 t1;  t += s2 t2;  c12 = t + u + s4 b22;
//   t += s3 t3;  c22 = t + u;  c21 = t - a22 t4
#pragma once

#include <vector>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

inline constexpr int kMaxStrassenLevels = 2;

// c = clamp(a x b + bias + residual) for m rows of k values and n columns. The epilogue has no
// curve.
struct StrassenSpec {
  int levels = 1;
  int64_t m = 0, n = 0, k = 0;
  Epilogue epilogue;
};

// How the product is cut up; also for those who estimate its time. Where the grid does not divide
// m or k, blocks at the end count zeros; columns that are left over are a plain product.
struct StrassenPlan {
  int grid = 2, products = 7;
  int64_t block_m = 0, block_n = 0, block_k = 0;
  std::vector<Panel> panels;  // of one product
  int64_t padded_n = 0;       // its columns in whole panels
  std::vector<Panel> rest;    // of the columns that are left over
  GemmBlocks blocks;          // of one product: rows that a thread takes at a time
  // Sums of blocks of a, and what is added to tiles or stored besides c, in blocks of one product.
  int64_t a_sums = 0, c_sums = 0;
  bool copies = false;  // rows of a are copied: to zeros at their ends, or to other distances
};
StrassenPlan PlanStrassen(const StrassenSpec& spec, const Machine& machine);

// Largest error to be expected relative to the largest output. bench/strassen finds, on products of
// normally distributed numbers up to 2048^3, at most 3.2e-6 for one level and 6.1e-6 for two,
// against 1.9e-6 without. It grows with the levels, not with k alone (Higham, theorem 23.3).
constexpr double StrassenError(int levels) { return levels == 1 ? 4e-6 : 8e-6; }

// Rows of a matrix that is cut into blocks; by so many floats to the next one below or beside.
struct StrassenRows {
  float* data = nullptr;
  int64_t stride = 0, row_step = 0, column_step = 0;
};

struct StrassenKernels {
  // to[i][j] = a[i][j] + sign * b[i][j]; `to` may be a.
  void (*sum)(const StrassenRows& a, const StrassenRows& b, float sign, int64_t rows, int64_t n,
              const StrassenRows& to);
};
const StrassenKernels& StrassenFor(Target target);

class Strassen {
 public:
  // weights: element (column, k) by the view's strides (no taps), one of which is 1, each times
  // `scale`; bias: [n] or null. Error: out of memory.
  static Result<Strassen> Make(const StrassenSpec& spec, const WeightView& weights, float scale,
                               const float* bias, const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return packed_.bytes() + bias_.bytes() + zeros_.bytes(); }
  // in: m rows of k floats, in_stride apart; out, residual likewise (n).
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  // Where a product goes: the sums in turn, then the residual, the clamp and c.
  struct Output;
  struct Worker;
  void PackSums(const WeightView& weights, float scale, float* to) const;
  void Multiply(Worker& worker, int level, const StrassenRows& a, const Output& out) const;
  void RunBlock(const ConvArgs& args, int64_t begin, int64_t rows, float* scratch) const;
  int64_t scratch_floats() const;

  StrassenSpec spec_;
  Machine machine_;
  StrassenPlan plan_;
  int64_t packed_floats_ = 0;  // of one product
  Pack packed_;                // all products, then the columns that are left over
  Pack bias_;
  AlignedBuffer zeros_;  // the bias of a product
};

}  // namespace sula::cpu
