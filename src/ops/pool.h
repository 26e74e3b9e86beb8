// Pooling over windows and over whole maps.
#pragma once

#include "ir/op_def.h"
#include "ops/conv.h"

namespace sula {

struct PoolParams {
  std::vector<int64_t> kernel, strides, dilations, pads;  // as in ConvParams
  AutoPad auto_pad = AutoPad::kExplicit;
  bool ceil_mode = false;          // ONNX's rule: a window must start inside input or begin padding
  bool count_include_pad = false;  // AveragePool only
  bool column_major_indices = false;  // MaxPool's second output only
  friend bool operator==(const PoolParams&, const PoolParams&) = default;
};

// ConvGeometry with out_channels = in_channels; pad_end as needed by ceil_mode.
Result<ConvGeometry> ResolvePool(const PoolParams& p, std::span<const int64_t> x);

// How many elements AveragePool counts along one spatial axis for the window at `out`; it divides
// by the product over the axes. Without count_include_pad those inside the input; with it those
// inside the input and the declared padding, but not what ceil_mode adds behind that.
int64_t PoolWindowCount(const PoolParams& p, const ConvGeometry& g, int axis, int64_t out);

namespace op {
extern const OpDef kMaxPool;            // x -> y, indices?
extern const OpDef kAveragePool;        // x -> y
extern const OpDef kGlobalAveragePool;  // x -> y [N,C,1...]
extern const OpDef kGlobalMaxPool;
}  // namespace op

}  // namespace sula
