// Operators about shapes.
#include "frontends/onnx/node_import.h"
#include "ops/elementwise.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

void Reshape(NodeImport& n) {
  n.Ignore("consumed_inputs");
  ReshapeParams p;
  p.allowzero = n.Flag("allowzero", false);
  if (n.opset() >= 5) {
    if (!n.HasInput(1)) return n.Fail(InvalidModel("input 1 ('shape') is missing"));
    return n.Emit(op::kReshape, p, n.inputs());
  }
  n.Emit(op::kReshape, p, {n.Input(0), n.Constant(n.Ints("shape"), "shape")});
}

void Flatten(NodeImport& n) {
  n.Emit(op::kFlatten, FlattenParams{.axis = n.Int("axis", 1)}, n.inputs());
}

// The axes were an attribute up to opset 12.
ValueId Axes(NodeImport& n) {
  if (n.opset() >= 13) return n.Input(1);
  return n.Has("axes") ? n.Constant(n.Ints("axes"), "axes") : kNoValue;
}

void Squeeze(NodeImport& n) {
  ValueId axes = Axes(n);
  n.Emit(op::kSqueeze, NoParams{}, {n.Input(0), axes});
}

void Unsqueeze(NodeImport& n) {
  ValueId axes = Axes(n);
  if (axes == kNoValue) return n.Fail(InvalidModel("'axes' are missing"));
  n.Emit(op::kUnsqueeze, NoParams{}, {n.Input(0), axes});
}

void Shape(NodeImport& n) {
  ShapeParams p;
  p.start = n.Int("start", p.start);
  p.end = n.Int("end", p.end);
  n.Emit(op::kShape, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"Expand", Direct<op::kExpand>, 2, 2},
    {"Flatten", Flatten},
    {"Reshape", Reshape, 1, 2},
    {"Shape", Shape},
    {"Size", Direct<op::kSize>},
    {"Squeeze", Squeeze, 1, 2},
    {"Unsqueeze", Unsqueeze, 1, 2},
};

}  // namespace

std::span<const OpHandler> ShapeHandlers() { return kHandlers; }

}  // namespace sula::onnx
