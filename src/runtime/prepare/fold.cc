// Types for all values and constants for all that is known before the run.
#include <algorithm>
#include <map>

#include "ops/catalogue.h"
#include "ops/shape_ops.h"
#include "ops/sizes.h"
#include "runtime/prepare/concrete.h"

namespace sula {
namespace {

// A folded value may be this large, or as large as what it is made of.
constexpr size_t kMaxFoldedBytes = size_t{16} << 20;

class Folder {
 public:
  explicit Folder(Graph& graph) : graph_(graph) {}

  Result<std::vector<NodeId>> Run() {
    std::vector<NodeId> remaining;
    for (NodeId id : graph_.TopologicalOrder()) {
      bool folded = false;
      if (Status s = Visit(graph_.node(id), folded); !s.ok())
        return std::move(s).AddContext(Describe(graph_, id));
      if (!folded) remaining.push_back(id);
    }
    return Needed(remaining);
  }

 private:
  Status Visit(const Node& node, bool& folded) {
    std::vector<TensorType> types;
    std::vector<const Tensor*> constants;
    bool all_constant = true;
    for (ValueId v : node.inputs) {
      types.push_back(v == kNoValue ? TensorType{} : graph_.value(v).type);
      constants.push_back(graph_.Constant(v));
      all_constant &= v == kNoValue || constants.back() != nullptr;
    }
    RETURN_IF_ERROR(Refine(node, types, constants));
    // The shape of a value is known before the value: a tensor of that shape stands in for it.
    Tensor stand_in;
    if ((node.Is(op::kShape) || node.Is(op::kSize)) && !all_constant) {
      const auto dims = types[0].shape ? types[0].shape->TryConcrete() : std::nullopt;
      if (!dims) return {};
      stand_in = Tensor::Borrow(types[0].dtype, *dims, &kNowhere, nullptr);
      constants[0] = &stand_in;
      all_constant = true;
    }
    if (!all_constant || node.op->Has(kImpure) || TooLarge(node, constants)) return {};
    ASSIGN_OR_RETURN(std::vector<Tensor> results, EvaluateNode(node, constants));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.HasOutput(i)) continue;
      Value& value = graph_.value(node.outputs[i]);
      value.type = {results[i].dtype(), Shape::Of(results[i].dims())};
      value.constant = std::make_shared<const Tensor>(std::move(results[i]));
    }
    folded = true;
    return {};
  }

  // Constants folded since the graph was inferred may tell more about the outputs.
  Status Refine(const Node& node, std::span<const TensorType> types,
                std::span<const Tensor* const> constants) {
    const bool open = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v != kNoValue && !KnownDims(graph_.value(v));
    });
    if (open && !node.op->Has(kDataDependentShape)) {
      ASSIGN_OR_RETURN(std::vector<TensorType> refined, InferNode(node, types, constants));
      for (size_t i = 0; i < node.outputs.size(); ++i)
        if (node.HasOutput(i) && refined[i].shape && refined[i].shape->IsConcrete())
          graph_.value(node.outputs[i]).type = std::move(refined[i]);
    }
    for (ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      const Value& value = graph_.value(v);
      if (const auto dims = KnownDims(value))
        RETURN_IF_ERROR(CheckTensorSize(value.type.dtype, *dims));
    }
    return {};
  }

  bool TooLarge(const Node& node, std::span<const Tensor* const> constants) const {
    size_t in = 0, out = 0;
    for (const Tensor* t : constants)
      if (t) in += t->bytes();
    for (ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      const Value& value = graph_.value(v);
      if (const auto dims = KnownDims(value))
        out += static_cast<size_t>(NumElements(*dims)) * SizeOf(value.type.dtype);
    }
    return out > std::max(in, kMaxFoldedBytes);
  }

  std::vector<NodeId> Needed(const std::vector<NodeId>& remaining) const {
    std::vector<bool> needed(graph_.value_slots(), false);
    for (ValueId v : graph_.outputs()) needed[v] = true;
    std::vector<NodeId> order;
    for (auto it = remaining.rbegin(); it != remaining.rend(); ++it) {
      const Node& node = graph_.node(*it);
      const bool read = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
        return v != kNoValue && needed[v] && !graph_.Constant(v);
      });
      if (!read && !node.op->Has(kImpure)) continue;
      order.push_back(*it);
      for (ValueId v : node.inputs)
        if (v != kNoValue) needed[v] = true;
    }
    std::reverse(order.begin(), order.end());
    return order;
  }

  static constexpr uint64_t kNowhere = 0;
  Graph& graph_;
};

}  // namespace

Result<ConcreteGraph> MakeConcrete(const Graph& model, const std::vector<TensorType>& inputs) {
  ConcreteGraph result{model, {}};
  std::map<std::string, Shape> overrides;
  for (size_t i = 0; i < inputs.size(); ++i)
    overrides.emplace(model.value(model.inputs()[i]).name, *inputs[i].shape);
  RETURN_IF_ERROR(InferShapes(result.graph, &overrides));
  ASSIGN_OR_RETURN(result.order, Folder(result.graph).Run());
  return result;
}

}  // namespace sula
