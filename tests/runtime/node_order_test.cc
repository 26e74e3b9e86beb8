#include "runtime/prepare/node_order.h"

#include <algorithm>
#include <set>

#include "base/status.h"
#include "runtime/plan_harness.h"

namespace sula {
namespace {

ConcreteGraph Concrete(const Graph& graph) {
  std::vector<TensorType> types;
  for (ValueId v : graph.inputs()) types.push_back(graph.value(v).type);
  Result<ConcreteGraph> concrete = MakeConcrete(graph, types);
  EXPECT_TRUE(concrete) << concrete.error().ToString();
  return concrete ? *std::move(concrete) : ConcreteGraph();
}

// Branches that widen 1 KiB to 64 KiB and narrow it again, all of them widened first.
Graph Branches(int count) {
  std::string text = "graph \"g\" {\n  input %x: float32[1,1,16,16]\n";
  text += "  const %k: float32[1,64,1,1] = random(1)\n";
  for (int i = 0; i < count; ++i) text += StrCat("  %w", i, " = Mul(%x, %k) \"w", i, "\"\n");
  for (int i = 0; i < count; ++i)
    text += StrCat("  %n", i, " = Softmax(%w", i, ") {axis=1} \"n", i, "\"\n  %m", i,
                   " = ReduceMax(%n", i, ") {axes=[1]} \"m", i, "\"\n");
  std::string sum = "%x";
  for (int i = 0; i < count; ++i) {
    text += StrCat("  %s", i, " = Add(", sum, ", %m", i, ") \"s", i, "\"\n");
    sum = StrCat("%s", i);
  }
  return ParseOrFail(text + "  output " + sum + "\n}\n");
}

std::vector<NodeId> Sorted(std::vector<NodeId> ids) {
  std::ranges::sort(ids);
  return ids;
}

void ExpectTopological(const ConcreteGraph& g) {
  std::set<ValueId> known(g.graph.inputs().begin(), g.graph.inputs().end());
  for (NodeId id : g.order) {
    for (ValueId v : g.graph.node(id).inputs)
      EXPECT_TRUE(v == kNoValue || known.contains(v) || g.graph.value(v).constant)
          << Describe(g.graph, id);
    known.insert(g.graph.node(id).outputs.begin(), g.graph.node(id).outputs.end());
  }
}

TEST(NodeOrder, FinishesABranchBeforeTheNext) {
  const ConcreteGraph given = Concrete(Branches(4));
  ConcreteGraph g = given;
  OrderForMemory(g);
  EXPECT_EQ(Sorted(g.order), Sorted(given.order));
  ExpectTopological(g);
  // Given: four wide values (64 KiB each) side by side and a fifth, the first softmax. Best: a wide
  // value, its softmax, and small ones.
  EXPECT_EQ(LiveBytes(given), size_t{5} << 16);
  EXPECT_LT(LiveBytes(g), size_t{17} << 13);
}

TEST(NodeOrder, LeavesAGoodOrderAlone) {
  const ConcreteGraph given = Concrete(ParseOrFail(R"(graph "g" {
  input %x: float32[4,16]
  %a = Relu(%x) "a"
  %b = Softmax(%a) "b"
  %c = Neg(%b) "c"
  output %c
})"));
  ConcreteGraph g = given;
  OrderForMemory(g);
  EXPECT_EQ(g.order, given.order);
  // a and b together; c is the output.
  EXPECT_EQ(LiveBytes(g), 2u * 4 * 16 * 4);
}

TEST(NodeOrder, ViewsShareTheirMemory) {
  const ConcreteGraph g = Concrete(ParseOrFail(R"(graph "g" {
  input %x: float32[4,16]
  const %s: int64[2] = [16, 4]
  %a = Softmax(%x) "a"
  %b = Reshape(%a, %s) "b"
  %c = Softmax(%b) "c"
  output %c
})"));
  EXPECT_EQ(LiveBytes(g), 4u * 16 * 4);
}

TEST(NodeOrder, PlansGetSmallerAndStayRight) {
  const Graph graph = Branches(4);
  const PlanOnBackends p = MakePlan(graph);
  ASSERT_TRUE(p.plan);
  EXPECT_LT(p.plan->report().arena_bytes, size_t{3} << 16);
  ExpectSameAsEvaluate(graph);
}

}  // namespace
}  // namespace sula
