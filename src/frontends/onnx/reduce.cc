// Reductions and their kin along axes.
#include "ops/reduce.h"

#include "frontends/onnx/node_import.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

// The axes are an attribute at first, an input since opset 18 (ReduceSum: 13).
template <const OpDef& kOp>
void Reduce(NodeImport& n) {
  ReduceParams p;
  p.keepdims = n.Flag("keepdims", true);
  if (n.opset() >= (&kOp == &op::kReduceSum ? 13 : 18)) {
    p.noop_with_empty_axes = n.Flag("noop_with_empty_axes", false);
  } else {
    if (n.HasInput(1)) return n.Fail(InvalidModel("'axes' is no input before opset 18"));
    p.axes = n.Ints("axes");
  }
  n.Emit(kOp, p, n.inputs());
}

template <const OpDef& kOp>
void Arg(NodeImport& n) {
  ArgParams p;
  p.axis = n.Int("axis", 0);
  p.keepdims = n.Flag("keepdims", true);
  p.select_last_index = n.Flag("select_last_index", false);
  n.Emit(kOp, p, n.inputs());
}

void CumSum(NodeImport& n) {
  CumSumParams p;
  p.exclusive = n.Flag("exclusive", false);
  p.reverse = n.Flag("reverse", false);
  n.Emit(op::kCumSum, p, n.inputs());
}

// k was an attribute up to opset 9.
void TopK(NodeImport& n) {
  TopKParams p;
  p.axis = n.Int("axis", -1);
  p.largest = n.Flag("largest", true);
  p.sorted = n.Flag("sorted", true);
  ValueId k = n.Input(1);
  if (n.opset() < 10) k = n.Constant({n.RequiredInt("k")}, "k");
  if (k == kNoValue) return n.Fail(InvalidModel("input 1 ('K') is missing"));
  n.Emit(op::kTopK, p, {n.Input(0), k});
}

// The norm over all axes but the first two.
void GlobalLpPool(NodeImport& n) {
  int64_t order = n.opset() >= 2 ? n.Int("p", 2) : static_cast<int64_t>(n.Float("p", 2));
  if (order != 1 && order != 2)
    return n.Fail(Unsupported("operator GlobalLpPool with p = ", order));
  auto rank = n.RankOf(n.Input(0), "the list of axes");
  if (!rank) return;
  ReduceParams p;
  p.noop_with_empty_axes = true;  // a map without spatial axes has one element
  for (int i = 2; i < *rank; ++i) p.axes.push_back(i);
  n.Emit(order == 1 ? op::kReduceL1 : op::kReduceL2, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"ArgMax", Arg<op::kArgMax>},
    {"ArgMin", Arg<op::kArgMin>},
    {"CumSum", CumSum, 2, 2},
    {"GlobalLpPool", GlobalLpPool},
    {"ReduceL1", Reduce<op::kReduceL1>, 1, 2},
    {"ReduceL2", Reduce<op::kReduceL2>, 1, 2},
    {"ReduceLogSum", Reduce<op::kReduceLogSum>, 1, 2},
    {"ReduceLogSumExp", Reduce<op::kReduceLogSumExp>, 1, 2},
    {"ReduceMax", Reduce<op::kReduceMax>, 1, 2},
    {"ReduceMean", Reduce<op::kReduceMean>, 1, 2},
    {"ReduceMin", Reduce<op::kReduceMin>, 1, 2},
    {"ReduceProd", Reduce<op::kReduceProd>, 1, 2},
    {"ReduceSum", Reduce<op::kReduceSum>, 1, 2},
    {"ReduceSumSquare", Reduce<op::kReduceSumSquare>, 1, 2},
    {"TopK", TopK, 1, 2, 2},
};

}  // namespace

std::span<const OpHandler> ReduceHandlers() { return kHandlers; }

}  // namespace sula::onnx
