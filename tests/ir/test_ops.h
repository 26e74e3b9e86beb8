// A handful of small operators for the tests of the IR, which knows none itself.
#pragma once

#include "ir/graph.h"

namespace sula::test {

struct KnobParams {
  int64_t axis = 0;
  float scale = 1;
  bool flip = false;
  DType to = DType::kFloat32;
  std::string text;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::vector<std::string> strings;
  int8_t small = 0;
  friend bool operator==(const KnobParams&, const KnobParams&) = default;
};

// Join(a, b): numpy broadcast, any type.     Copy(x): x.             Knob(x, y?): x, many fields.
// ShapeOf(x): its sizes as int64.            Fill(shape): float32.   Pieces(x) -> variadic, each x.
// Gather(list...): 1-D contents one after the other.   Unknown(x): says nothing of its output.
// Cast(x): int64 of x's shape.  Found(x): data-dependent count.  Shout(x): impure.
// Branch(cond, captures...): two subgraphs; output as the first output of the first.
extern const OpDef kJoin, kCopy, kKnob, kShapeOf, kFill, kPieces, kGather, kUnknown, kCast, kFound,
    kShout, kBranch;
Catalogue TestOps();

}  // namespace sula::test
