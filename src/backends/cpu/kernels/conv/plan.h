// How convolutions are cut up, for the kernels and for those who estimate their times.
#pragma once

#include <vector>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

// The weights of a convolution as PackConvWeights packs them.
WeightShape ConvWeightShape(int64_t in_channels, int64_t out_channels, int64_t groups, int64_t taps,
                            int lanes);

// What ConvGemm makes of a convolution.
struct ConvGemmPlan {
  WeightShape shape;
  std::vector<Panel> panels;
  GemmBlocks blocks;
};
ConvGemmPlan PlanConvGemm(const ConvSpec& spec, const Machine& machine);

// Whether a product of so many rows at a time should ask for its weights ahead. It pays where L2
// does not keep them from block to block, and where few tiles of a panel share the wait for it:
// other layers have been since the last run (49 rows, Zen 3: 6 to 12 %).
bool PrefetchPays(size_t weight_bytes, int64_t rows, const Machine& machine);

// Output rows of a task of ConvPlanar.
int64_t PlanarBandRows(const ConvSpec& spec, int threads);

// The blocks of a depthwise convolution: rows over batch, depth and height, columns and channels.
struct DepthwiseBlocks {
  int64_t rows = 0, columns = 0, channels = 0;
  int64_t count = 0;
};
DepthwiseBlocks CutDepthwise(const ConvSpec& spec, int threads);

}  // namespace sula::cpu
