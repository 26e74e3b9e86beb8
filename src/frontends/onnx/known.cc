#include "frontends/onnx/known.h"

#include <algorithm>

#include "ops/catalogue.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

constexpr int64_t kMaxElements = 64;
constexpr int kMaxDepth = 64;

bool IsSmall(const TensorType& type) {
  if (!type.shape) return false;
  int64_t elements = 1;
  for (const Dim& d : *type.shape) {
    if (!d.is_const() || d.value() > kMaxElements) return false;
    elements *= d.value();
    if (elements > kMaxElements) return false;
  }
  return true;
}

class Evaluator {
 public:
  explicit Evaluator(const Graph& graph) : graph_(graph) {}

  std::optional<Tensor> Value(ValueId v, int depth) {
    const sula::Value& value = graph_.value(v);
    if (!IsSmall(value.type)) return std::nullopt;
    if (value.constant) return *value.constant;
    if (value.producer == kNoNode || depth > kMaxDepth || --budget_ < 0) return std::nullopt;
    const Node& node = graph_.node(value.producer);
    if (node.op->num_subgraphs > 0 || node.op->Has(kImpure)) return std::nullopt;
    std::vector<Tensor> inputs(node.inputs.size());
    std::vector<const Tensor*> given(node.inputs.size());
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      std::optional<Tensor> t = Input(node, node.inputs[i], depth);
      if (!t) return std::nullopt;
      inputs[i] = *std::move(t);
      given[i] = &inputs[i];
    }
    Result<std::vector<Tensor>> outputs = EvaluateNode(node, given);
    if (!outputs) return std::nullopt;
    return std::move((*outputs)[value.output_index]);
  }

 private:
  std::optional<Tensor> Input(const Node& node, ValueId v, int depth) {
    if (!node.Is(op::kShape) && !node.Is(op::kSize)) return Value(v, depth + 1);
    // These two look at the sizes alone: no storage is needed.
    const TensorType& type = graph_.value(v).type;
    if (!type.shape || !type.shape->IsConcrete()) return std::nullopt;
    static constexpr int64_t kNothing = 0;
    return Tensor::Borrow(type.dtype, type.shape->Concrete(), &kNothing, nullptr);
  }

  const Graph& graph_;
  int budget_ = 256;  // nodes; shared subexpressions count each time
};

}  // namespace

std::optional<Tensor> KnownValue(const Graph& graph, ValueId v) {
  return Evaluator(graph).Value(v, 0);
}

}  // namespace sula::onnx
