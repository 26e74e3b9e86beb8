// Operators that ask for shapes, give tensors other shapes, or make tensors from sizes.
#pragma once

#include <cstdint>

#include "ir/op_def.h"

namespace sula {

struct ReshapeParams {
  bool allowzero = false;  // 0 in the shape means the size 0 instead of "as in x"
  friend bool operator==(const ReshapeParams&, const ReshapeParams&) = default;
};
struct FlattenParams {
  int64_t axis = 1;
  friend bool operator==(const FlattenParams&, const FlattenParams&) = default;
};
struct ShapeParams {
  int64_t start = 0;        // first axis; negative counts from the end
  int64_t end = INT64_MAX;  // one past the last
  friend bool operator==(const ShapeParams&, const ShapeParams&) = default;
};

// The shape that Reshape gives x for the shape input `target` (0, -1 and allowzero as ONNX says).
// Errors name both.
Result<Shape> ResolveReshape(const Shape& x, std::span<const Dim> target, bool allowzero);

namespace op {
extern const OpDef kReshape;          // x, shape
extern const OpDef kFlatten;          // x -> [product of axes before axis, product of the rest]
extern const OpDef kSqueeze;          // x, axes? (all axes of size 1)
extern const OpDef kUnsqueeze;        // x, axes (of the output)
extern const OpDef kShape;            // x -> int64 [end - start]
extern const OpDef kSize;             // x -> int64 scalar
extern const OpDef kConstantOfShape;  // shape, value? (one element; float 0 if absent)
extern const OpDef kRange;            // start, limit, delta (scalars)
extern const OpDef kExpand;           // x, shape: broadcast both ways
}  // namespace op

}  // namespace sula
