// Weights packed for the GEMM kernels: columns in panels of one to three vectors, and within a
// panel the values of one k side by side, so that the inner loop reads them in order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/machine.h"
#include "base/pack.h"

namespace sula::cpu {

// `columns` columns from `column` on, padded to vectors * lanes, in the order
// [tap][k][vectors * lanes] from `offset` floats of the packed block on. `input` is where the
// panel's k begins within a row of the input: the first channel of its group.
struct Panel {
  int64_t offset = 0;
  int64_t column = 0;
  int64_t input = 0;
  int32_t columns = 0;
  int32_t vectors = 0;
};

// Sizes of a matrix of weights with taps * k rows. With several groups every n / groups columns
// read k inputs of their own, which follow each other.
struct WeightShape {
  int64_t n = 0, taps = 1, k = 0, groups = 1;
};

// The panels of `shape`: two vectors wide by default; one of three if the count is odd, so that no
// lone narrow panel remains (it would load as much per FMA as it computes); all threes on 16
// registers (4 x 24 in AVX2) where they come out even or k is short, since a tile's fixed cost
// then weighs more than its broadcasts.
std::vector<Panel> SplitColumns(const WeightShape& shape, int lanes, int registers);

// A matrix of weights given by strides: element (column, tap, k) at
// data[column * column_stride + tap * tap_stride + k * k_stride]; columns count over all groups.
struct WeightView {
  const float* data = nullptr;
  int64_t column_stride = 0, tap_stride = 0, k_stride = 0;
};

struct PackedWeights {
  WeightShape shape;
  std::vector<Panel> panels;
  Pack data;  // all panels
  Pack bias;  // n values, zeros behind them as far as a panel may read

  size_t bytes() const { return data.bytes() + bias.bytes(); }
};

// Floats of all packed panels, and those of a bias that panels may read.
int64_t PackedFloats(const std::vector<Panel>& panels, const WeightShape& shape, int lanes);
int64_t BiasFloats(const std::vector<Panel>& panels, int lanes);

// Writes one panel into the packed block, padding columns as zeros, each value times `scale`.
void PackPanel(const WeightView& w, const Panel& panel, const WeightShape& shape, int lanes,
               float scale, float* packed);

// How the panels of one matrix are cut and scaled.
struct PanelOptions {
  int lanes = 1, registers = 16;
  float scale = 1;
};
// Packs everything; `bias` may be null (zeros). `part`: which part or arrangement of the node's
// constants `w` and `bias` are, as a PackSource has to know it; empty for the constants as they
// are. data.data() or bias.data() is null if memory is short.
PackedWeights PackWeights(const WeightView& w, const float* bias, const WeightShape& shape,
                          const PanelOptions& options, const Machine& machine,
                          std::string_view part = {});

// The same for weights that have to be arranged first: `arrange` makes the view, and is not called
// where the packs are at hand. What it returns must stay valid until the call returns.
PackedWeights PackArranged(FunctionRef<WeightView()> arrange, const float* bias,
                           const WeightShape& shape, const PanelOptions& options,
                           const Machine& machine, std::string_view part);

// A bias of n values (null: zeros) with zeros behind, as far as the panels may read.
Pack PackBias(const float* bias, int64_t n, int64_t floats, const Machine& machine);

}  // namespace sula::cpu
