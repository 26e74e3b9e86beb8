#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "ops/catalogue.h"
#include "ops/elementwise.h"
#include "optimizer/optimizer.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Graph Parsed(std::string_view text) {
  Result<Graph> g = ParseGraph(text, AllOps());
  if (!g.has_value()) ADD_FAILURE() << g.status().ToString();
  return g.has_value() ? *std::move(g) : Graph();
}

constexpr std::string_view kChain = R"(graph "t" {
  input %x: float32[2]
  %a = Identity(%x) "first"
  %b = Neg(%a) "neg"
  %c = Identity(%b) "second"
  %y = Neg(%c) "last"
  output %y
})";

TEST(Optimize, LogsCountsAndReportsSteps) {
  Graph g = Parsed(kChain);
  std::vector<std::pair<std::string, int>> steps;
  OptimizeOptions options;
  options.on_step = [&](const std::string& step, const Graph& now) {
    steps.emplace_back(step, now.num_nodes());
  };
  const Result<OptimizeReport> report = Optimize(g, options);
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  EXPECT_THAT(report->log, ElementsAre("remove-identity@first", "remove-identity@second"));
  EXPECT_THAT(report->counts, ElementsAre(Pair("remove-identity", 2)));
  EXPECT_THAT(steps,
              ElementsAre(Pair("remove-identity@first", 3), Pair("remove-identity@second", 2)));
  EXPECT_EQ(g.node_slots(), 2);  // compacted
}

TEST(Optimize, StopsAfter) {
  Graph g = Parsed(kChain);
  OptimizeOptions options;
  options.stop_after = 1;
  ASSERT_TRUE(Optimize(g, options).has_value());
  EXPECT_EQ(g.num_nodes(), 3);
  options.stop_after = 0;
  g = Parsed(kChain);
  ASSERT_TRUE(Optimize(g, options).has_value());
  EXPECT_EQ(g.num_nodes(), 4);
}

TEST(Optimize, DisablesByName) {
  Graph g = Parsed(kChain);
  OptimizeOptions options;
  options.disabled = {"remove-identity"};
  ASSERT_TRUE(Optimize(g, options).has_value());
  EXPECT_EQ(g.num_nodes(), 4);
  options.disabled = {"remove-identitty"};
  const Result<OptimizeReport> report = Optimize(g, options);
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(report.status().ToString(), HasSubstr("no rule or pass 'remove-identitty'"));
  EXPECT_THAT(report.status().ToString(), HasSubstr("remove-identity,"));
}

TEST(Optimize, RefusesAGraphThatIsWrong) {
  Graph g = Parsed(kChain);
  g.node(0).inputs[0] = g.node(3).outputs[0];
  EXPECT_FALSE(Optimize(g).has_value());
}

TEST(Optimize, KeepsNamesOfInputsAndOutputs) {
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[2]
    const %k: float32[2] = [1, 2]
    %a = Identity(%x)
    %b = Neg(%k)
    %c = Relu(%x)
    %d = Identity(%c)
    output %x, %a, %b, %c, %d, %k
  })");
  ASSERT_TRUE(Optimize(g).has_value());
  std::vector<std::string> names;
  for (ValueId v : g.outputs()) names.push_back(g.value(v).name);
  EXPECT_THAT(names, ElementsAre("x", "a", "b", "c", "d", "k"));
  ASSERT_TRUE(Verify(g).ok());
}

TEST(Optimize, WarnsOfDenormalWeights) {
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[4]
    const %ones: float32[4] = [1, 1, 1, 2]
    const %weights: float32[4] = [1, 1e-39, -1e-40, 2]
    %a = Mul(%x, %ones)
    %y = Add(%a, %weights)
    output %y
  })");
  const Result<OptimizeReport> report = Optimize(g);
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  EXPECT_THAT(report->warnings, ElementsAre("2 weights below the smallest normal number (1.2e-38) "
                                            "set to 0, first in 'weights'"));
}

// ---- rules that misbehave

std::optional<Patch> Restless(const Graph& g, const UseIndex&, NodeId id) {
  Patch patch(g);
  patch.Replace(g.node(id).outputs[0], patch.AddNode(op::kNeg, op::kNeg.default_params(),
                                                     g.node(id).inputs, g.node(id).name));
  return patch;
}
std::optional<Patch> WrongType(const Graph& g, const UseIndex&, NodeId id) {
  Patch patch(g);
  patch.Replace(g.node(id).outputs[0],
                patch.AddNode(op::kCast, Params::Of(CastParams{.to = DType::kInt8}),
                              g.node(id).inputs, g.node(id).name));
  return patch;
}
constexpr const OpDef* kNegs[] = {&op::kNeg};

TEST(Driver, StopsARuleThatNeverComesToRest) {
  constexpr Rule kRestless = {"restless", "", kNegs, Restless};
  const Stage stage = {{}, {&kRestless}};
  Graph g = Parsed(kChain);
  const Result<OptimizeReport> report = RunStages(g, {&stage, 1});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.status().code(), Code::kInternal);
  EXPECT_THAT(report.status().ToString(), HasSubstr("last step was restless@"));
}

TEST(Driver, NamesTheRuleWhosePatchIsWrong) {
  constexpr Rule kWrongType = {"wrong-type", "", kNegs, WrongType};
  const Stage stage = {{}, {&kWrongType}};
  Graph g = Parsed(kChain);
  const Result<OptimizeReport> report = RunStages(g, {&stage, 1});
  ASSERT_FALSE(report.has_value());
  EXPECT_THAT(report.status().ToString(), HasSubstr("in rule wrong-type@neg"));
}

TEST(Driver, NamesThePassThatBreaksTheGraph) {
  const Stage stage = {Pass{"breaker", "",
                            [](Graph& g) -> Result<int> {
                              g.node(0).inputs.clear();
                              return 1;
                            }},
                       {}};
  Graph g = Parsed(kChain);
  EXPECT_THAT(RunStages(g, {&stage, 1}).status().ToString(), HasSubstr("in pass breaker"));
}

// 10,000 nodes, most of which a rule changes: the cost must stay near linear.
TEST(Driver, LargeGraphs) {
  constexpr int kBlocks = 5000;
  Graph g;
  ValueId v = g.AddInput("x", {DType::kFloat32, Shape{Dim::Symbol("N"), 4}});
  const auto node = [&](const OpDef& op, std::vector<ValueId> inputs) {
    return g.node(g.AddNode(op, op.default_params(), std::move(inputs))).outputs[0];
  };
  for (int i = 0; i < kBlocks; ++i)
    v = node(op::kRelu, {node(op::kAdd, {v, node(op::kIdentity, {v})})});
  g.SetOutputs({v});
  const Result<OptimizeReport> report = Optimize(g);
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  EXPECT_EQ(g.num_nodes(), kBlocks);
  EXPECT_EQ(report->log.size(), size_t{2 * kBlocks});
}

}  // namespace
}  // namespace sula
