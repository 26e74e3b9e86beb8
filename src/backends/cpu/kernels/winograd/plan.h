// What Winograd makes of a convolution, for the kernel and for those who choose it: how it is cut
// up, what its transforms cost, and how large its errors are.
#pragma once

#include <vector>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/winograd/forms.h"

namespace sula::cpu {

struct WinogradPlan {
  WeightShape shape;                        // of one position's product
  std::vector<Panel> panels;                // likewise
  int64_t tile_rows = 0, tile_columns = 0;  // tiles of one map
  int64_t tiles = 0;                        // of the batch
  int64_t block_tiles = 0, blocks = 0;      // a block's transformed data stay in L2
  bool shared = false;  // threads share each block, instead of taking blocks of their own
};
WinogradPlan PlanWinograd(const ConvSpec& spec, const WinogradForm& form, const Machine& machine);

// Floats between neighbouring tiles of transformed data with so many channels, and between
// positions.
int64_t WinogradRowStride(int64_t channels);
int64_t WinogradPlaneStride(int64_t channels, int64_t tiles);

// Time of the transforms of a tile's channels, as many as a vector has, out of L1: in units of a
// multiply-add (half a cycle, where two can start in one).
struct WinogradOperations {
  double input = 0, output = 0;
};
WinogradOperations OperationsOf(const WinogradForm& form);

// Growth of rounding noise against direct convolution (generator.h), of both axes together.
double NoiseGain(const WinogradForm& form);

// The largest error to be expected, relative to the largest output, where sums over `channels`
// inputs are made of partial sums over `depth` of them: NoiseGain times what such a sum loses, as
// measured with normal data over all forms (tests/backends_cpu/winograd_test.cc; the root of the
// mean square is a tenth).
double ExpectedError(const WinogradForm& form, int64_t channels, int64_t depth);
// The longest partial sums, all channels or some round numbers less, whose expected error is within
// max_error. 0: there are none.
int64_t DepthWithin(const WinogradForm& form, int64_t channels, double max_error);

}  // namespace sula::cpu
