#include "backends/cpu/kernels/gemm/gemm.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/gemm/gemm_targets.h"

namespace sula::cpu {

const GemmKernels& GemmFor(Target target) {
  static constexpr Variants<GemmKernels> kVariants = {
      &kGemmScalar,
      &kGemmScalar16,
#ifdef SULA_CPU_SIMD
      &kGemmAvx2,
      &kGemmAvx512,
#endif
  };
  return Pick(kVariants, target);
}

// One thread: all panels over one block of rows at a time, so that the block's input stays in L2
// while the weights stream by: with its results it takes 3/8 of L2 or, where rows are read one
// after the other, with a panel and a quarter of its results, which are written and forgotten, 3/4,
// whichever holds more rows (measured on 512 KiB, weights out of L3 and memory); but at least two
// tiles. Several threads: at least four tasks per thread, for balance. Cutting the rows makes every
// block read all weights; cutting the panels makes every group read all rows. The counts that read
// least in sum are taken, among those that leave whole tiles.
GemmBlocks ChooseGemmBlocks(int64_t m, int64_t n, int64_t taps, int64_t k,
                            int64_t input_bytes_per_row, int num_panels, int tile_rows, int threads,
                            size_t l2_bytes) {
  const auto l2 = static_cast<int64_t>(l2_bytes);
  int64_t cached_rows = l2 * 3 / 8 / std::max<int64_t>(1, input_bytes_per_row + n * 4);
  if (taps == 1) {
    const int64_t panel_bytes = n * k * 4 / std::max(1, num_panels);
    const int64_t row_bytes = std::max<int64_t>(1, input_bytes_per_row + n);
    cached_rows = std::max(cached_rows, (l2 * 3 / 4 - panel_bytes) / row_bytes);
  }
  cached_rows = std::max<int64_t>(cached_rows, 2 * tile_rows);
  const int64_t tiles = std::max<int64_t>(1, (m + tile_rows - 1) / tile_rows);
  const int64_t min_blocks = std::clamp<int64_t>((m + cached_rows - 1) / cached_rows, 1, tiles);
  int64_t blocks = min_blocks;
  int groups = 1;
  if (threads > 1) {
    const int64_t wanted = std::min<int64_t>(4 * threads, tiles * num_panels);
    const double weights = static_cast<double>(n * taps * k) * 4;
    const double rows = static_cast<double>(m) * static_cast<double>(input_bytes_per_row);
    double best = -1;
    for (int g = 1; g <= num_panels; ++g) {
      const int64_t b = std::max(min_blocks, (wanted + g - 1) / g);
      if (b > tiles) continue;
      const int64_t tiles_per_block = (tiles + b - 1) / b;
      // Work of the longest task times the number of rounds: what raggedness costs.
      const int64_t panels_per_group = (num_panels + g - 1) / g;
      const int64_t rounds =
          (((tiles + tiles_per_block - 1) / tiles_per_block) * g + threads - 1) / threads;
      const double ragged =
          static_cast<double>(rounds * threads * tiles_per_block * panels_per_group) /
          static_cast<double>(tiles * num_panels);
      const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n * taps * k);
      // Bytes from L3 against flops: about 8 flops in the time of a byte.
      const double cost = ragged * flops + 8 * (static_cast<double>(b) * weights + g * rows);
      if (best < 0 || cost < best) best = cost, blocks = b, groups = g;
    }
  }
  GemmBlocks r;
  const int64_t tiles_per_block = (tiles + blocks - 1) / blocks;
  r.rows = std::max<int64_t>(1, tiles_per_block * tile_rows);
  r.row_blocks = std::max<int64_t>(1, (m + r.rows - 1) / r.rows);
  r.panels = std::max(1, (num_panels + groups - 1) / groups);
  r.panel_groups = std::max(1, (num_panels + r.panels - 1) / r.panels);
  return r;
}

bool RowsCollide(int64_t a_stride, int tile_rows) {
  constexpr int64_t kSetBytes = 4096, kWays = 8;
  return tile_rows > kWays && a_stride * 4 % kSetBytes == 0;
}

int64_t PackedRowStride(int64_t k) { return (k + 15) / 16 / 2 * 32 + 16; }

void PackRows(const float* const* rows, int64_t num_rows, int64_t k, float* packed) {
  for (int64_t i = 0; i < num_rows; ++i)
    std::memcpy(packed + i * PackedRowStride(k), rows[i], static_cast<size_t>(k) * sizeof(float));
}

}  // namespace sula::cpu
