// Operators that copy elements from place to place and compute nothing.
#pragma once

#include <vector>

#include "ir/op_def.h"

namespace sula {

struct TransposeParams {
  std::vector<int64_t> perm;  // axis i of y is axis perm[i] of x; empty: axes reversed
  friend bool operator==(const TransposeParams&, const TransposeParams&) = default;
};
struct ConcatParams {
  int64_t axis = 0;
  friend bool operator==(const ConcatParams&, const ConcatParams&) = default;
};
struct SplitParams {
  int64_t axis = 0;
  // Parts of equal size, a smaller last one where it does not divide; 0: as many as there are
  // outputs. Not used with the split input.
  int64_t num_outputs = 0;
  friend bool operator==(const SplitParams&, const SplitParams&) = default;
};
enum class PadMode : uint8_t {
  kConstant,
  kReflect,  // mirrored about the border element, which is not repeated
  kEdge,     // the border element repeated
  kWrap,     // from the other end
};
template <>
struct EnumNames<PadMode> {
  static constexpr std::string_view kNames[] = {"constant", "reflect", "edge", "wrap"};
};
struct PadParams {
  PadMode mode = PadMode::kConstant;
  friend bool operator==(const PadParams&, const PadParams&) = default;
};
struct BlockParams {
  int64_t block = 1;
  bool crd = false;  // channels are ordered column-row-depth, not depth-column-row
  friend bool operator==(const BlockParams&, const BlockParams&) = default;
};
struct BatchBlockParams {
  std::vector<int64_t> axes;     // blocked ones, not 0; empty: 1, 2, ...
  std::vector<int64_t> block;    // side of a block, per blocked axis
  std::vector<int64_t> borders;  // zeros added before, or elements taken off after; begins, ends
  friend bool operator==(const BatchBlockParams&, const BatchBlockParams&) = default;
};
struct ReverseSequenceParams {
  int64_t batch_axis = 1, time_axis = 0;
  friend bool operator==(const ReverseSequenceParams&, const ReverseSequenceParams&) = default;
};
struct TriluParams {
  bool upper = true;
  friend bool operator==(const TriluParams&, const TriluParams&) = default;
};
struct EyeLikeParams {
  int64_t k = 0;           // diagonal: 0 main, positive above
  bool has_dtype = false;  // false: the type of x
  DType dtype = DType::kFloat32;
  friend bool operator==(const EyeLikeParams&, const EyeLikeParams&) = default;
};

// What Slice does along one axis of `size` elements: element i of the result is element
// begin + i * step, for i < count. A step of 0 is an error.
struct SliceRange {
  int64_t begin = 0, step = 1, count = 0;
};
Result<SliceRange> ResolveSlice(int64_t size, int64_t start, int64_t end, int64_t step);

// perm as given, or the reversed axes if empty; an error unless it is a permutation of [0, rank).
Result<std::vector<int>> ResolvePerm(std::span<const int64_t> perm, int rank);

namespace op {
extern const OpDef kTranspose;     // x
extern const OpDef kConcat;        // inputs...
extern const OpDef kSplit;         // x, split? (sizes of the parts) -> outputs...
extern const OpDef kSlice;         // x, starts, ends, axes?, steps?
extern const OpDef kPad;           // x, pads (begins, then ends), value? (0), axes? (all)
extern const OpDef kTile;          // x, repeats
extern const OpDef kDepthToSpace;  // x [N,C,H,W]
extern const OpDef kSpaceToDepth;  // x [N,C,H,W]
// x [N,...] -> [product of block * N,...] with each blocked axis divided by its block, and back
extern const OpDef kSpaceToBatch, kBatchToSpace;  // BatchBlockParams
extern const OpDef kReverseSequence;              // x, lengths [batch]
extern const OpDef kTrilu;                        // x [...,M,N], k?
extern const OpDef kEyeLike;                      // x (rank 2; its shape alone counts)
}  // namespace op

}  // namespace sula
