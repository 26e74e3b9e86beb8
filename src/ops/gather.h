// Operators that pick or place elements by indices. Indices may be negative (from the end); one
// out of range is an error of the run.
#pragma once

#include "ir/op_def.h"

namespace sula {

struct AxisParams {
  int64_t axis = 0;
  friend bool operator==(const AxisParams&, const AxisParams&) = default;
};
struct GatherNDParams {
  int64_t batch_dims = 0;  // leading axes that x and indices share
  friend bool operator==(const GatherNDParams&, const GatherNDParams&) = default;
};
enum class ScatterReduction : uint8_t { kNone, kAdd, kMul, kMax, kMin };
template <>
struct EnumNames<ScatterReduction> {
  static constexpr std::string_view kNames[] = {"none", "add", "mul", "max", "min"};
};
struct ScatterParams {
  int64_t axis = 0;  // ScatterElements only
  ScatterReduction reduction = ScatterReduction::kNone;
  friend bool operator==(const ScatterParams&, const ScatterParams&) = default;
};
struct OneHotParams {
  int64_t axis = -1;  // where the new axis goes
  friend bool operator==(const OneHotParams&, const OneHotParams&) = default;
};
struct NonMaxSuppressionParams {
  // Boxes are [center x, center y, width, height] instead of two opposite corners [y, x, y, x].
  bool center_point_box = false;
  friend bool operator==(const NonMaxSuppressionParams&, const NonMaxSuppressionParams&) = default;
};

namespace op {
// x [a..., axis, b...], indices [i...] -> y [a..., i..., b...]
extern const OpDef kGather;
// x, indices (rank of x, not larger but along axis) -> y (shape of indices):
// y[p] = x[p with indices[p] at axis]
extern const OpDef kGatherElements;
// x, indices [b..., i..., k] -> y [b..., i..., rest of the axes of x]
extern const OpDef kGatherND;
// x, indices, updates (shape of indices) -> copy of x with updates placed or reduced into it
extern const OpDef kScatterElements;
// x, indices [i..., k], updates [i..., rest of the axes of x]
extern const OpDef kScatterND;
// indices, depth (one element), values [off, on] -> the shape of indices with an axis of size depth
extern const OpDef kOneHot;
extern const OpDef kNonZero;  // x -> int64 [rank of x (1 for a scalar), number of elements not 0]
// boxes [batch, n, 4], scores [batch, classes, n], max_per_class?, iou_threshold?,
// score_threshold? -> int64 [selected, 3] of (batch, class, box)
extern const OpDef kNonMaxSuppression;
}  // namespace op

}  // namespace sula
