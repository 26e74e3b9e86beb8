// An If whose condition is known is the body that it runs.
#include <algorithm>

#include "ops/control.h"
#include "ops/elementwise.h"
#include "optimizer/match.h"
#include "optimizer/passes/passes.h"

namespace sula::passes {
namespace {

// Puts the body's nodes in the place of the node. Its outputs become copies of the body's: a later
// rule removes those that need not be.
void Inline(Graph& g, NodeId id, size_t taken) {
  const Graph body = g.node(id).subgraphs[taken];
  const size_t first = taken == 0 ? 1 : 1 + g.node(id).subgraphs[0].captures.size();
  const std::vector<ValueId> outside = g.node(id).inputs;
  std::vector<ValueId> outer(body.value_slots(), kNoValue);
  for (size_t i = 0; i < body.inputs().size(); ++i) outer[body.inputs()[i]] = outside[first + i];
  for (ValueId v = 0; v < body.value_slots(); ++v) {
    const Value& value = body.value(v);
    if (value.constant) outer[v] = g.AddConstant(value.name, value.constant);
  }
  for (NodeId inner : body.TopologicalOrder()) {
    const Node& node = body.node(inner);
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs) inputs.push_back(v == kNoValue ? kNoValue : outer[v]);
    std::vector<std::string> names;
    for (ValueId v : node.outputs) names.push_back(v == kNoValue ? "" : body.value(v).name);
    const NodeId copy = g.AddNode(*node.op, node.params, std::move(inputs),
                                  static_cast<int>(node.outputs.size()), node.name, names);
    g.node(copy).subgraphs = node.subgraphs;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.HasOutput(i)) continue;
      outer[node.outputs[i]] = g.node(copy).outputs[i];
      g.value(g.node(copy).outputs[i]).type = body.value(node.outputs[i]).type;
    }
  }
  const std::vector<ValueId> outputs = g.node(id).outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNoValue) continue;
    const ValueId from = outer[body.outputs()[i]];
    const NodeId copy =
        g.AddNode(op::kIdentity, op::kIdentity.default_params(), {from}, 1, g.node(id).name);
    const ValueId to = g.node(copy).outputs[0];
    g.value(to).type = g.value(from).type;
    g.ReplaceUses(outputs[i], to);
    g.SwapNames(outputs[i], to);
  }
  g.RemoveNode(id);
}

Result<int> InlineIfs(Graph& g) {
  int changes = 0;
  // Nodes that a body brings are behind, so that nested ones are found too.
  for (NodeId id = 0; id < g.node_slots(); ++id) {
    if (!g.IsLive(id) || !g.node(id).Is(op::kIf)) continue;
    const Tensor* condition = g.Constant(g.node(id).inputs[0]);
    if (!condition || condition->num_elements() != 1) continue;
    const size_t taken = condition->AsInt(0) ? 0 : 1;
    const Graph& body = g.node(id).subgraphs[taken];
    if (body.outputs().size() != g.node(id).outputs.size()) continue;
    Inline(g, id, taken);
    ++changes;
  }
  if (changes == 0) return 0;
  RETURN_IF_ERROR(InferShapes(g));
  return changes;
}

}  // namespace

constinit const Pass kInlineIfs = {"inline-if", "If(constant, a, b) -> what the body a or b holds",
                                   InlineIfs};

}  // namespace sula::passes
