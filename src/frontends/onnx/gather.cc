// Reading and writing at indices.
#include "ops/gather.h"

#include "frontends/onnx/node_import.h"

namespace sula::onnx {
namespace {

template <const OpDef& kOp>
void AlongAxis(NodeImport& n) {
  n.Emit(kOp, AxisParams{.axis = n.Int("axis", 0)}, n.inputs());
}

void GatherNd(NodeImport& n) {
  n.Emit(op::kGatherND, GatherNDParams{.batch_dims = n.Int("batch_dims", 0)}, n.inputs());
}

ScatterReduction Reduction(NodeImport& n) {
  return n.Choice<ScatterReduction>("reduction", "none",
                                    {{"none", ScatterReduction::kNone},
                                     {"add", ScatterReduction::kAdd},
                                     {"mul", ScatterReduction::kMul},
                                     {"max", ScatterReduction::kMax},
                                     {"min", ScatterReduction::kMin}});
}

// Also "Scatter", as it was called in opset 9 and 10.
void ScatterElements(NodeImport& n) {
  ScatterParams p;
  p.axis = n.Int("axis", 0);
  p.reduction = Reduction(n);
  n.Emit(op::kScatterElements, p, n.inputs());
}

void ScatterNd(NodeImport& n) {
  n.Emit(op::kScatterND, ScatterParams{.reduction = Reduction(n)}, n.inputs());
}

void OneHot(NodeImport& n) {
  n.Emit(op::kOneHot, OneHotParams{.axis = n.Int("axis", -1)}, n.inputs());
}

void NonMaxSuppression(NodeImport& n) {
  NonMaxSuppressionParams p;
  p.center_point_box = n.Flag("center_point_box", false);
  n.Emit(op::kNonMaxSuppression, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"Gather", AlongAxis<op::kGather>, 2, 2},
    {"GatherElements", AlongAxis<op::kGatherElements>, 2, 2},
    {"GatherND", GatherNd, 2, 2},
    {"NonMaxSuppression", NonMaxSuppression, 2, 5},
    {"NonZero", Direct<op::kNonZero>},
    {"OneHot", OneHot, 3, 3},
    {"Scatter", ScatterElements, 3, 3},
    {"ScatterElements", ScatterElements, 3, 3},
    {"ScatterND", ScatterNd, 3, 3},
};

}  // namespace

std::span<const OpHandler> GatherHandlers() { return kHandlers; }

}  // namespace sula::onnx
