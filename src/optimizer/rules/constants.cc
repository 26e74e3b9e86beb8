// Computing at conversion what does not depend on the inputs.
#include "ops/catalogue.h"
#include "ops/elementwise.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// Results above this many bytes are only kept if they are not much larger than what they were made
// from: a file should not grow by Expand, Tile or ConstantOfShape.
constexpr double kAlwaysKept = 1 << 20;
constexpr double kMaxGrowth = 2;

std::optional<double> Bytes(const TensorType& type) {
  const std::optional<Dims> dims = type.shape ? type.shape->TryConcrete() : std::nullopt;
  if (!dims) return std::nullopt;
  return static_cast<double>(NumElements(*dims)) * static_cast<double>(SizeOf(type.dtype));
}

std::optional<Patch> FoldConstants(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  if (!node.op->evaluate || node.op->Has(kImpure) || !node.subgraphs.empty()) return std::nullopt;
  if (!AllConstant(g, node)) return std::nullopt;
  // It stands between a constant and an output that must keep its name.
  if (node.Is(op::kIdentity) && g.IsOutput(node.outputs[0])) return std::nullopt;
  double before = 0, after = 0;
  for (ValueId v : node.inputs)
    if (v != kNoValue) before += static_cast<double>(g.Constant(v)->bytes());
  bool known = true;
  for (ValueId v : node.outputs) {
    if (v == kNoValue) continue;
    const std::optional<double> bytes = Bytes(g.value(v).type);
    known &= bytes.has_value();
    after += bytes.value_or(0);
  }
  const double limit = std::max(kAlwaysKept, kMaxGrowth * before);
  if (known && after > limit) return std::nullopt;
  // Where inference cannot tell the sizes, only operators whose outputs are bounded by their
  // inputs are safe to try.
  if (!known && !node.op->Has(kDataDependentShape)) return std::nullopt;
  const std::vector<const Tensor*> inputs = ConstantInputs(g, node);
  Result<std::vector<Tensor>> outputs = EvaluateNode(node, inputs);
  if (!outputs.has_value()) return std::nullopt;  // the run reports it, if it gets there
  Patch patch(g);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue || uses.Count(v) == 0) continue;
    patch.Replace(v, patch.AddConstant(g.value(v).name, std::move((*outputs)[i])));
  }
  return patch;
}

}  // namespace

constinit const Rule kFoldConstants = {
    "fold-constants", "f(constants) -> constant", {}, FoldConstants};

}  // namespace sula::rules
