// Winograd's transforms of whole tiles: passes along both axes, between maps and transformed data.
#pragma once

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/winograd/passes.h"

namespace sula::cpu {

// Tiles are counted over the batch, row by row. Transformed data of tile t at position i (products
// of rows x products of columns), channel c: v[i * v_plane + (t - first_tile) * v_stride + c],
// likewise m. Rows of v and m are padded to whole vectors.
struct WinogradCall {
  const WinogradKernels* kernels = nullptr;
  WinogradForm form;
  const Window* window = nullptr;
  int64_t in_channels = 0, out_channels = 0;
  int64_t tile_rows = 0, tile_columns = 0;    // tiles of one map
  int64_t origin_row = 0, origin_column = 0;  // of the first tile in the input
  const float* in = nullptr;
  int64_t in_stride = 0;
  const float* zeros = nullptr;  // in_channels of them
  float* v = nullptr;
  int64_t v_stride = 0, v_plane = 0;
  float* m = nullptr;
  int64_t m_stride = 0, m_plane = 0;
  int64_t first_tile = 0;
  const float* bias = nullptr;  // padded to whole vectors
  float* out = nullptr;
  int64_t out_stride = 0;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  Epilogue epilogue;
};

// v of tiles [begin, end).
void TransformInput(const WinogradCall& call, int64_t begin, int64_t end);
// Pixels of tiles [begin, end) from m.
void TransformOutput(const WinogradCall& call, int64_t begin, int64_t end);

}  // namespace sula::cpu
