// Convolution by Winograd's minimal filtering: tiles of the input are transformed, multiplied with
// transformed filters by one small matrix product per transformed position, and transformed back.
// Stride 1, dilation 1, one group, one or two spatial axes.
#pragma once

#include <array>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/winograd/generator.h"

namespace sula::cpu {

// F(rows x columns outputs, for a kernel_rows x kernel_columns window).
struct WinogradForm {
  int rows, kernel_rows, columns, kernel_columns;
  constexpr int tile_rows() const { return rows + kernel_rows - 1; }
  constexpr int tile_columns() const { return columns + kernel_columns - 1; }
  constexpr int positions() const { return tile_rows() * tile_columns(); }
  friend bool operator==(const WinogradForm&, const WinogradForm&) = default;
};
// The forms that there are transforms for.
inline constexpr WinogradForm kWinogradForms[] = {
    {2, 3, 2, 3}, {4, 3, 4, 3}, {6, 3, 6, 3},  // 3 x 3
    {2, 5, 2, 5},                              // 5 x 5
    {1, 1, 2, 7}, {2, 7, 1, 1},                // 1 x 7, 7 x 1
    {1, 1, 4, 3}, {4, 3, 1, 1},                // 1 x 3, 3 x 1
};
inline constexpr int kNumWinogradForms = static_cast<int>(std::size(kWinogradForms));

// Growth of rounding noise against direct convolution: largest error about 1e-6 times this,
// relative to the largest output.
double NoiseGain(const WinogradForm& form);

// Tiles are counted over the batch, row by row. Transformed data of tile t at position i, channel
// c: v[i * v_plane + (t - first_tile) * v_stride + c], likewise m. Rows of v and m are padded to
// whole vectors.
struct WinogradCall {
  const Window* window = nullptr;
  int64_t in_channels = 0, out_channels = 0;
  int64_t tile_rows = 0, tile_columns = 0;  // tiles of one map
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

using WinogradTransform = void (*)(const WinogradCall& call, int64_t tile_begin, int64_t tile_end);
struct WinogradKernels {
  std::array<WinogradTransform, kNumWinogradForms> input, output;  // by index in kWinogradForms
};
const WinogradKernels& WinogradFor(Target target);

class Winograd {
 public:
  // `form`: index in kWinogradForms, whose window must be that of spec. weights, bias as in
  // ConvGemm; filters are transformed in double.
  static Result<Winograd> Make(const ConvSpec& spec, int form, const float* weights,
                               const float* bias, const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return filters_.bytes() + bias_.bytes() + zeros_.bytes(); }
  int64_t block_tiles() const { return block_tiles_; }
  void Run(const ConvArgs& args, const Parallel& parallel) const;

 private:
  void Multiply(const WinogradCall& call, int64_t tiles, int position) const;
  size_t scratch_floats() const;

  ConvSpec spec_;
  int form_ = 0;
  Machine machine_;
  std::vector<Panel> panels_;  // of one position
  int64_t filter_floats_ = 0;  // of one position
  Pack filters_;               // all positions
  Pack bias_;
  AlignedBuffer zeros_;
  int64_t tile_rows_ = 0, tile_columns_ = 0, tiles_ = 0;
  int64_t block_tiles_ = 0;  // whose transformed data stay in L2 at a time
  bool shared_ = false;      // threads share each block, instead of taking blocks of their own
};

}  // namespace sula::cpu
