// Matrix products with batches, transposition and scaling, on top of gemm.h.
#pragma once

#include <vector>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

// c[i] = act(alpha * a[a_index[i]]' x b[b_index[i]]' + bias + residual[i]) for each batch i; all
// matrices dense and row-major: a m x k (k x m if trans_a), b k x n (n x k if trans_b), c m x n.
struct MatMulSpec {
  int64_t m = 0, n = 0, k = 0;
  std::vector<int64_t> a_index, b_index;  // which matrix of a and of b each batch uses
  int64_t a_count = 1, b_count = 1;       // matrices in a and in b
  bool trans_a = false, trans_b = false;
  float alpha = 1;
  Epilogue epilogue;
};

struct MatMulArgs {
  const float* a = nullptr;
  const float* b = nullptr;         // read only if Make had none
  const float* bias = nullptr;      // read only if Make had none; may be null
  const float* residual = nullptr;  // may be null
  float* c = nullptr;
  void* workspace = nullptr;  // workspace_bytes(), 64-byte aligned
};

// How products are cut up; also for those who estimate their time.
struct MatMulPlan {
  std::vector<Panel> panels;       // of one matrix of b
  GemmBlocks blocks;               // of one product
  int64_t products = 0, rows = 0;  // batches that share one b and follow each other are one
};
MatMulPlan PlanMatMul(const MatMulSpec& spec, const Machine& machine);

class MatMul {
 public:
  // `b` and `bias`: constant operands, which are packed and copied here; null where they come with
  // each run (or, for the bias, never). Error: out of memory.
  static Result<MatMul> Make(const MatMulSpec& spec, const float* b, const float* bias,
                             const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return packed_.bytes() + bias_.bytes(); }
  void Run(const MatMulArgs& args, const Parallel& parallel) const;

 private:
  WeightView View(const float* b, int64_t index) const;

  MatMulSpec spec_;
  Machine machine_;
  WeightShape shape_;
  std::vector<Panel> panels_;        // of one matrix of b
  int64_t packed_floats_ = 0;        // of one matrix of b
  Pack packed_;                      // constant b: all its matrices
  Pack bias_;                        // constant bias, or zeros
  GemmBlocks blocks_;                // of one product
  int64_t products_ = 0, rows_ = 0;  // batches that share one b and follow each other are one
  int64_t row_stride_ = 0;           // see RowsCollide
};

}  // namespace sula::cpu
