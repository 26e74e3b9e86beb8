// The loops of Winograd's transforms: along one axis at a time, over the channels of items (tiles,
// or pixels of a row) that lie at equal distances.
#pragma once

#include <array>
#include <cstdint>

#include "backends/cpu/kernels/epilogue.h"
#include "backends/cpu/kernels/target.h"
#include "backends/cpu/kernels/winograd/forms.h"

namespace sula::cpu {

// to = M from for each item and channel, M being B^T or A^T of an axis. Element e of item i is read
// at from[e] + i * from_step, element e of its result goes to to + e * to_element + i * to_step.
// `to` is padded to whole vectors, which are written; nothing beyond `channels` is read.
struct WinogradPass {
  const float* const* from = nullptr;
  int64_t from_step = 0;
  float* to = nullptr;
  int64_t to_element = 0, to_step = 0;
  int64_t items = 0, channels = 0;
};

// The last pass: the results plus bias and residual, activated, are pixels of the output. `from`
// and bias are padded to whole vectors, which are read; nothing else is touched.
struct WinogradFinalPass {
  const float* const* from = nullptr;
  int64_t from_step = 0;
  const float* bias = nullptr;
  float* out = nullptr;
  int64_t out_element = 0, out_step = 0;
  const float* residual = nullptr;  // may be null, may be out
  int64_t residual_element = 0, residual_step = 0;
  int64_t items = 0, channels = 0;
  int outputs = 0;  // of each item, perhaps not all that the axis has
  const Epilogue* epilogue = nullptr;
};

// G of an axis, rounded to double.
struct WinogradFilterMatrix {
  static constexpr int kMaxTaps = 7;
  int products = 0, taps = 0;
  std::array<std::array<double, kMaxTaps>, kMaxWinogradSize> g{};

  constexpr WinogradFilterMatrix() = default;
  constexpr explicit WinogradFilterMatrix(const WinogradMatrices& m)
      : products(m.products), taps(m.taps) {
    for (int i = 0; i < products; ++i)
      for (int j = 0; j < taps; ++j) g[i][j] = m.g[i][j].ToDouble();
  }
};

// Filters of `num_columns` output channels, transformed in double: for inputs k in [k_begin,
// k_end), value u of position p goes to to + p * to_position + (k - k_begin) * width; columns up to
// width get zeros. Weight (column, k, tap) lies at weights[column * column_stride + k * k_stride +
// tap], taps row by row.
struct WinogradFilterPass {
  const WinogradFilterMatrix *rows = nullptr, *columns = nullptr;
  const float* weights = nullptr;
  int64_t column_stride = 0, k_stride = 0;
  int num_columns = 0, width = 0;
  int64_t k_begin = 0, k_end = 0;
  float* to = nullptr;
  int64_t to_position = 0;
};

struct WinogradKernels {
  int lanes;
  // By index in kWinogradAxes.
  std::array<void (*)(const WinogradPass&), kNumWinogradAxes> input, output;
  std::array<void (*)(const WinogradFinalPass&), kNumWinogradAxes> final;
  void (*filters)(const WinogradFilterPass&);
};
const WinogradKernels& WinogradFor(Target target);

}  // namespace sula::cpu
