// The forms of Winograd's filtering that there are transforms for.
#pragma once

#include <iterator>

#include "backends/cpu/kernels/winograd/generator.h"

namespace sula::cpu {

// Axes that there is code for: outputs and taps, then stride. Any two of them make a form. The
// first is the other axis of a one-dimensional kernel; those of transposed filters are for an odd
// padding.
inline constexpr WinogradAxis kWinogradAxes[] = {{1, 1},
                                                 {2, 2},
                                                 {4, 2},
                                                 {6, 2},
                                                 {2, 3},
                                                 {3, 3},
                                                 {4, 3},
                                                 {5, 3},
                                                 {6, 3},
                                                 {2, 5},
                                                 {4, 5},
                                                 {2, 7},
                                                 {4, 7},
                                                 {6, 7},
                                                 {2, 3, 2},
                                                 {4, 3, 2},
                                                 {4, 3, 2, true, 1},
                                                 {2, 4, 2, true, 1},
                                                 {4, 4, 2, true, 1}};
inline constexpr int kNumWinogradAxes = static_cast<int>(std::size(kWinogradAxes));

// Index in kWinogradAxes, or -1.
constexpr int IndexOf(const WinogradAxis& axis) {
  for (int i = 0; i < kNumWinogradAxes; ++i)
    if (kWinogradAxes[i] == axis) return i;
  return -1;
}

// Tiles of two axes: F(rows x columns). Both must be of kWinogradAxes.
struct WinogradForm {
  WinogradAxis rows, columns;
  constexpr int positions() const { return rows.products() * columns.products(); }
  friend constexpr bool operator==(const WinogradForm&, const WinogradForm&) = default;
};

// Those that are candidates for a convolution. Tiles larger than 6 x 6 (2 and 3 taps), 4 x 4 (5)
// or 6 (7) save no more multiplications that their filters' memory and their noise would not cost.
inline constexpr WinogradForm kWinogradForms[] = {
    {{2, 2}, {2, 2}},       {{4, 2}, {4, 2}},       {{6, 2}, {6, 2}}, {{2, 3}, {2, 3}},
    {{3, 3}, {3, 3}},       {{4, 3}, {4, 3}},       {{5, 3}, {5, 3}}, {{6, 3}, {6, 3}},
    {{2, 5}, {2, 5}},       {{4, 5}, {4, 5}},       {{2, 7}, {2, 7}}, {{4, 7}, {4, 7}},
    {{1, 1}, {2, 3}},       {{1, 1}, {4, 3}},       {{1, 1}, {6, 3}}, {{2, 3}, {1, 1}},
    {{4, 3}, {1, 1}},       {{6, 3}, {1, 1}},       {{1, 1}, {2, 5}}, {{1, 1}, {4, 5}},
    {{2, 5}, {1, 1}},       {{4, 5}, {1, 1}},       {{1, 1}, {2, 7}}, {{1, 1}, {4, 7}},
    {{1, 1}, {6, 7}},       {{2, 7}, {1, 1}},       {{4, 7}, {1, 1}}, {{6, 7}, {1, 1}},
    {{2, 3, 2}, {2, 3, 2}}, {{4, 3, 2}, {4, 3, 2}},
};
inline constexpr int kNumWinogradForms = static_cast<int>(std::size(kWinogradForms));

// Those for a transposed convolution.
inline constexpr WinogradForm kWinogradTransposedForms[] = {
    {{4, 3, 2, true, 1}, {4, 3, 2, true, 1}},
    {{2, 4, 2, true, 1}, {2, 4, 2, true, 1}},
    {{4, 4, 2, true, 1}, {4, 4, 2, true, 1}},
};
inline constexpr int kNumWinogradTransposedForms =
    static_cast<int>(std::size(kWinogradTransposedForms));

}  // namespace sula::cpu
