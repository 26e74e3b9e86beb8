// Matrix product with numpy's batch broadcasting.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "ir/op_def.h"
#include "ops/activation.h"

namespace sula {

struct MatMulParams : WithActivation {
  bool trans_a = false, trans_b = false;  // of the last two axes
  float alpha = 1;
  friend bool operator==(const MatMulParams&, const MatMulParams&) = default;
};

// A matrix product with every size resolved: for each index of `batch`, [m, k] x [k, n].
struct MatMulGeometry {
  int64_t m = 1, n = 1, k = 0;
  Dims batch;
  // How many matrices of a and b the next index of each batch axis advances; 0 where broadcast.
  Dims a_step, b_step;
  Dims out;  // the result's sizes: without the m or n that a 1-D operand lacks

  int64_t batch_count() const { return NumElements(batch); }
  // The numbers of the matrices of a and b that flat batch index `i` multiplies.
  std::pair<int64_t, int64_t> Operands(int64_t i) const;
};
// Errors: a scalar operand, sizes that don't fit (the message names both shapes), a transposed 1-D
// operand.
Result<MatMulGeometry> ResolveMatMul(const MatMulParams& p, std::span<const int64_t> a,
                                     std::span<const int64_t> b);
// The result's shape for sizes that may be symbolic; the same errors.
Result<Shape> InferMatMul(const MatMulParams& p, const Shape& a, const Shape& b);

// The products of plain matrices in plain loops: for each flat batch index i calls done(i, sums)
// with the m * n sums of products, row-major, which `done` may change. a: [m, k] and b: [k, n]
// matrices one behind the other, not transposed. T: double, or uint64_t for integers that wrap.
template <class T>
void MultiplyMatrices(const MatMulGeometry& g, std::span<const T> a, std::span<const T> b,
                      FunctionRef<void(int64_t i, std::span<T> sums)> done) {
  std::vector<T> sums(g.m * g.n);
  for (int64_t i = 0; i < g.batch_count(); ++i) {
    const auto [a_matrix, b_matrix] = g.Operands(i);
    std::fill(sums.begin(), sums.end(), T{});
    for (int64_t row = 0; row < g.m; ++row) {
      T* c = sums.data() + row * g.n;
      for (int64_t k = 0; k < g.k; ++k) {
        const T left = a[(a_matrix * g.m + row) * g.k + k];
        const T* right = b.data() + (b_matrix * g.k + k) * g.n;
        for (int64_t col = 0; col < g.n; ++col) c[col] += left * right[col];
      }
    }
    done(i, sums);
  }
}

namespace op {
// inputs a, b, bias? (1-D, length n), residual? (shape of the output)
// y = act(alpha * a' x b' + bias + residual). 1-D a or b as numpy.matmul (without trans).
extern const OpDef kMatMul;
}  // namespace op

}  // namespace sula
