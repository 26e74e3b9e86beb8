// Products of few rows with packed weights, panel by panel: a matrix-vector kernel for one row,
// whose time is that of reading the weights once, and the tiles of gemm.h for more.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/kernels/gemm/gemm.h"

namespace sula::cpu {

// c[j] = init[j] + the sum over i < k of a[i] * b(i, j) for the columns of one panel, packed as in
// panels.h but up to kMaxRowVectors vectors wide. init and c have the panel's columns; c may be
// init itself. Nothing beyond is read or written.
struct RowKernels {
  void (*run)(const float* a, int64_t k, const Panel& panel, const float* packed, const float* init,
              float* c);
};
inline constexpr int kMaxRowVectors = 8;
// The variant for a target that AvailableTargets() has.
const RowKernels& RowKernelsFor(Target target);

// c[i][j] = bias[j] + residual[i][j] + the sum over k of a(i, k) * b(k, j) for rows i < rows.
struct RowProduct {
  Target target = Target::kScalar;
  int64_t rows = 1, k = 0;
  const float* a = nullptr;  // rows a_stride apart,
  int64_t a_stride = 0;
  const float* const* a_rows = nullptr;  // or, if given, each where it says
  const Panel* panels = nullptr;         // columns count from c, bias and residual
  const float* packed = nullptr;
  const float* bias = nullptr;      // padded to whole panels; zeros where there is a residual
  const float* residual = nullptr;  // may be null, may be c
  float* c = nullptr;
  int64_t stride = 0;  // of c and residual
};

// Appends the panels of columns [begin, end) for products of `rows` rows: the packed form of one
// row and that of more differ. Their offsets go on from the end of the last panel.
void AppendPanels(Target target, int64_t rows, int64_t k, int64_t begin, int64_t end,
                  std::vector<Panel>& panels);

// Rows [row_begin, row_end) of panels [panel_begin, panel_end). The panels were made for
// product.rows rows.
void RunRowProduct(const RowProduct& product, int64_t row_begin, int64_t row_end, int panel_begin,
                   int panel_end);

}  // namespace sula::cpu
