// Register-tiled matrix product with packed weights: the core of matrix products, convolutions,
// transposed convolutions and of Winograd's multiplication.
//
//   c[i][j] = act(bias[j] + sum over taps t and k of a(i, t, k) * b(t, k, j) + residual[i][j])
//
// for rows i (pixels) and columns j (output channels) of some panels.
#pragma once

#include <cstdint>

#include "backends/cpu/kernels/epilogue.h"
#include "backends/cpu/kernels/gemm/panels.h"
#include "backends/cpu/kernels/target.h"

namespace sula::cpu {

// Where a(i, t, k) lies; in each case plus the panel's `input`.
enum class RowAccess : uint8_t {
  kStrided,   // a[i * a_stride + k]; one tap
  kPointers,  // pointers[t * pointer_stride + i][pointer_offset + k]: any window over a map
  kStrips,    // pointers[t][pointer_offset + i]; k = 1: rows side by side, as in a planar image
};

// What else is done with the sums of a tile while they are in registers: `add` is added to them,
// then they are written to `to`. Both have the rows and columns of c, padded to whole panels;
// either may be null, both may be one.
struct GemmSum {
  const float* add = nullptr;
  int64_t add_stride = 0;
  float* to = nullptr;
  int64_t to_stride = 0;
};

// Memory: a, c and residual may have any alignment; nothing outside the named rows and columns is
// read or written. c may not overlap a; residual may be c itself.
struct GemmCall {
  RowAccess access = RowAccess::kStrided;
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* const* pointers = nullptr;
  int64_t pointer_stride = 0, pointer_offset = 0;

  const Panel* panels = nullptr;
  const float* b = nullptr;     // packed panels
  const float* bias = nullptr;  // padded to whole panels
  int64_t taps = 1, k = 0;
  bool prefetch = false;  // ask for weights ahead: pays where the panels exceed L2

  float* c = nullptr;
  int64_t c_stride = 0;
  float* const* c_rows = nullptr;  // if given, row i begins at c_rows[i] instead (kPointers only)
  const GemmSum* sums = nullptr;   // in this order, before residual and epilogue; kStrided only
  int num_sums = 0;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  Epilogue epilogue;
};

struct GemmKernels {
  int lanes;
  int registers;
  int tile_rows[4];  // rows of a full tile, by panel width in vectors (entry 0 unused)
  // Rows [row_begin, row_end) of panels [panel_begin, panel_end).
  void (*run)(const GemmCall& call, int64_t row_begin, int64_t row_end, int panel_begin,
              int panel_end);
};
// The variant for a target that AvailableTargets() has.
const GemmKernels& GemmFor(Target target);

// How the work of one product is cut into tasks: blocks of rows times groups of panels.
struct GemmBlocks {
  int64_t rows = 0;  // per block
  int panels = 0;    // per group
  int64_t row_blocks = 0;
  int panel_groups = 0;
  int64_t tasks() const { return row_blocks * panel_groups; }
};
// m rows, k values per row and tap. input_bytes_per_row: fresh input that a row brings into the
// cache (k * 4 for a product; with overlapping windows less than taps * k * 4).
GemmBlocks ChooseGemmBlocks(int64_t m, int64_t n, int64_t taps, int64_t k,
                            int64_t input_bytes_per_row, int num_panels, int tile_rows, int threads,
                            size_t l2_bytes);

// Rows at a multiple of 4 KiB lie in one set of L1, which holds fewer lines than a tall tile has
// rows. Such rows are better copied (PackRows), which costs one pass against one per panel.
bool RowsCollide(int64_t a_stride, int tile_rows);
// The stride to copy rows of k floats to: whole cache lines, an odd number of them.
int64_t PackedRowStride(int64_t k);
// Copies row i of k floats from rows[i] to packed + i * PackedRowStride(k).
void PackRows(const float* const* rows, int64_t num_rows, int64_t k, float* packed);

}  // namespace sula::cpu
