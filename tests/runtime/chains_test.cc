// Nodes in a row as one step: when they are, and that nothing else is swallowed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layout_backend.h"
#include "ops/conv.h"
#include "ops/pool.h"
#include "plan_harness.h"
#include "runtime/prepare/concrete.h"
#include "runtime/prepare/memory_fit.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The layout backend's kernels cost 1e-6 each.
constexpr double kApart = 1e-6;

Verdict NoGroups(const ChainRequest& request) {
  for (const KernelRequest& node : request.nodes)
    if (node.params<ConvParams>().group != 1) return Verdict::No("groups in a chain");
  return Verdict::Yes();
}
Verdict Anything(const ChainRequest&) { return Verdict::Yes(); }
double Cheap(const ChainRequest&) { return 1.5 * kApart; }
double Dear(const ChainRequest&) { return 10 * kApart; }

constexpr const OpDef* kTwoConvs[] = {&op::kConv, &op::kConv};
constexpr const OpDef* kConvPool[] = {&op::kConv, &op::kMaxPool};
constexpr ChainEntry kPair = {.name = "pair",
                              .ops = kTwoConvs,
                              .layouts = LayoutChainLayouts,
                              .accept = NoGroups,
                              .estimate = Cheap,
                              .create = CreateLayoutChain};
constexpr ChainEntry kPool = {.name = "pool",
                              .ops = kConvPool,
                              .layouts = LayoutChainLayouts,
                              .accept = Anything,
                              .estimate = Cheap,
                              .create = CreateLayoutChain};
constexpr ChainEntry kDearPair = {.name = "dear",
                                  .ops = kTwoConvs,
                                  .layouts = LayoutChainLayouts,
                                  .accept = Anything,
                                  .estimate = Dear,
                                  .create = CreateLayoutChain};
constexpr ChainEntry kOnlyPair[] = {kPair};
constexpr ChainEntry kPairAndPool[] = {kPair, kPool};
constexpr ChainEntry kOnlyDear[] = {kDearPair};

std::vector<std::string> Kernels(const PlanOnBackends& made) {
  std::vector<std::string> kernels;
  for (const NodeReport& node : made.plan->report().nodes)
    if (node.op != "Copy") kernels.push_back(node.kernel);
  return kernels;
}

// Two convolutions, with `more` behind them.
Graph TwoConvs(std::string_view more) {
  return ParseOrFail(StrCat(R"(graph "g" {
  input %x: float32[1,4,6,5]
  const %v: float32[8,4,1,1] = random(1)
  const %w: float32[4,8,3,3] = random(2)
  %a = Conv(%x, %v) {activation="relu"}
  %b = Conv(%a, %w) {pads=[1, 1, 1, 1]}
)",
                            more, "\n}"));
}

TEST(Chains, AreTakenWhereTheyCostLess) {
  const Graph g = TwoConvs("  output %b");
  const PlanOnBackends made = ExpectSameAsEvaluate(g, {.chains = kOnlyPair});
  ASSERT_TRUE(made.plan);
  EXPECT_THAT(Kernels(made), ElementsAre("pair"));
  for (const NodeReport& node : made.plan->report().nodes) {
    if (node.kernel != "pair") continue;
    EXPECT_EQ(node.op, "Conv + Conv");
    EXPECT_THAT(node.chain, ElementsAre(g.node(g.TopologicalOrder()[1]).name));
    EXPECT_DOUBLE_EQ(node.seconds, Cheap({}));
    // 8 * 4 and 4 * 8 * 9 products for each pixel.
    EXPECT_DOUBLE_EQ(node.flops, 2.0 * 30 * (32 + 288));
    // The value between them, 240 floats, is neither read nor written.
    EXPECT_DOUBLE_EQ(node.bytes, 4.0 * (120 + 32 + 288 + 120));
    EXPECT_EQ(node.inputs.size(), 3u);
    EXPECT_EQ(node.input_values, (std::vector<std::string>{"x", "v", "w"}));
    EXPECT_EQ(node.output_values, std::vector<std::string>{"b"});
    const CandidateReport& chain = node.candidates.back();
    EXPECT_EQ(chain.kernel, "pair");
    EXPECT_EQ(chain.nodes, 2);
    EXPECT_LT(chain.seconds, chain.seconds_apart);
  }
}

TEST(Chains, WhatIsHandedOnNeedsNoMemory) {
  const Graph g = TwoConvs("  %c = Relu(%b)\n  %y = GlobalAveragePool(%c)\n  output %y");
  const PlanOnBackends apart = MakePlan(g, {.chains = kOnlyPair, .use_chains = false});
  const PlanOnBackends chained = MakePlan(g, {.chains = kOnlyPair});
  ASSERT_TRUE(apart.plan && chained.plan);
  EXPECT_EQ(apart.CountKernel("pair"), 0);
  EXPECT_EQ(chained.CountKernel("pair"), 1);
  for (const TensorPlacement& p : chained.plan->report().placements) EXPECT_NE(p.name, "a");
  // Apart, x and a or a and b are live together; chained, x and b, and a has twice their size. 64
  // bytes go into alignment at most.
  EXPECT_LE(chained.plan->report().arena_bytes + 120 * 4 - 64, apart.plan->report().arena_bytes);
}

TEST(Chains, AreRefusedWithTheReason) {
  const Graph dear = TwoConvs("  output %b");
  const PlanOnBackends made = ExpectSameAsEvaluate(dear, {.chains = kOnlyDear});
  EXPECT_THAT(Kernels(made), ElementsAre("channel_last", "channel_last"));

  const Graph grouped = ParseOrFail(R"(graph "g" {
  input %x: float32[1,4,6,5]
  const %v: float32[4,4,1,1] = random(1)
  const %w: float32[4,1,3,3] = random(2)
  %a = Conv(%x, %v)
  %b = Conv(%a, %w) {group=4}
  output %b
})");
  const PlanOnBackends refused = ExpectSameAsEvaluate(grouped, {.chains = kOnlyPair});
  EXPECT_THAT(Kernels(refused), ElementsAre("channel_last", "channel_last"));
  std::string reasons;
  for (const NodeReport& node : refused.plan->report().nodes)
    for (const CandidateReport& c : node.candidates) reasons += c.refused;
  EXPECT_THAT(reasons, HasSubstr("groups in a chain"));
}

TEST(Chains, ValuesThatOthersReadAreLeftAlone) {
  for (const char* more : {
           "  output %a\n  output %b",                      // a graph output
           "  %c = Add(%a, %a)\n  output %b\n  output %c",  // two readers
           "  %c = Relu(%b)\n  %d = MaxPool(%a) {kernel=[2, 2]}\n  output %c\n  output %d",
       }) {
    SCOPED_TRACE(more);
    const PlanOnBackends made = ExpectSameAsEvaluate(TwoConvs(more), {.chains = kPairAndPool});
    EXPECT_EQ(made.CountKernel("pair"), 0);
    EXPECT_EQ(made.CountKernel("pool"), 0);
  }
  // The second node reads the value twice.
  const Graph twice = ParseOrFail(R"(graph "g" {
  input %x: float32[1,4,6,5]
  const %v: float32[4,4,1,1] = random(1)
  const %w: float32[4,4,3,3] = random(2)
  %a = Conv(%x, %v)
  %b = Conv(%a, %w, _, %a) {pads=[1, 1, 1, 1]}
  output %b
})");
  EXPECT_EQ(ExpectSameAsEvaluate(twice, {.chains = kOnlyPair}).CountKernel("pair"), 0);
  // It reads the value, but not as input 0.
  const Graph residual = ParseOrFail(R"(graph "g" {
  input %x: float32[1,4,6,5]
  const %v: float32[4,4,1,1] = random(1)
  const %w: float32[4,4,3,3] = random(2)
  %a = Conv(%x, %v)
  %b = Conv(%x, %w, _, %a) {pads=[1, 1, 1, 1]}
  output %b
})");
  EXPECT_EQ(ExpectSameAsEvaluate(residual, {.chains = kOnlyPair}).CountKernel("pair"), 0);
}

TEST(Chains, ResidualsAndPartsOfConcatenations) {
  const Graph g = ParseOrFail(R"(graph "g" {
  input %x: float32[2,4,6,5]
  const %u: float32[4,4,1,1] = random(3)
  const %v: float32[8,4,1,1] = random(1)
  const %w: float32[4,8,3,3] = random(2)
  %r = Conv(%x, %u) {activation="relu"}
  %s = Relu(%r)
  %a = Conv(%s, %v) {activation="relu"}
  %b = Conv(%a, %w, _, %r) {pads=[1, 1, 1, 1]}
  %c = Concat(%b, %s) {axis=1}
  output %c
})");
  const PlanOnBackends made = ExpectSameAsEvaluate(g, {.chains = kOnlyPair});
  EXPECT_EQ(made.CountKernel("pair"), 1);
}

TEST(Chains, OneThatWouldWaitForAnotherValueIsNotTaken) {
  // The residual of the second convolution comes from a branch that runs after the first.
  const Graph g = ParseOrFail(R"(graph "g" {
  input %x: float32[1,4,6,5]
  const %v: float32[4,4,1,1] = random(1)
  const %w: float32[4,4,3,3] = random(2)
  %a = Conv(%x, %v)
  %r = MaxPool(%x) {kernel=[3, 3], pads=[1, 1, 1, 1]}
  %b = Conv(%a, %w, _, %r) {pads=[1, 1, 1, 1]}
  output %b
})");
  const PlanOnBackends made = ExpectSameAsEvaluate(g, {.chains = kOnlyPair});
  ASSERT_TRUE(made.plan);
}

TEST(Chains, TheBestPartOfARowIsTaken) {
  // conv, conv, pool: the pair or conv and pool cost the same, so the earlier chain is taken.
  const Graph three = TwoConvs("  %y = MaxPool(%b) {kernel=[2, 2]}\n  output %y");
  EXPECT_THAT(Kernels(ExpectSameAsEvaluate(three, {.chains = kPairAndPool})),
              ElementsAre("pair", "channel_last"));
  // Four: two pairs cost less than one in the middle.
  const Graph four = TwoConvs(R"(
  %c = Conv(%b, %v)
  %d = Conv(%c, %w)
  output %d)");
  EXPECT_THAT(Kernels(ExpectSameAsEvaluate(four, {.chains = kOnlyPair})),
              ElementsAre("pair", "pair"));
}

TEST(Chains, CanBeRefusedOneByOne) {
  const Graph g = TwoConvs("  output %b");
  PlanOnBackends made = MakePlan(g, {.chains = kOnlyPair});
  const auto types = ConcreteInputTypes(g, {});
  ASSERT_TRUE(types);
  const auto concrete = MakeConcrete(g, *types);
  ASSERT_TRUE(concrete);
  Backend* const backends[] = {made.backends[0].get(), made.backends[1].get()};
  SchemeOptions options;
  options.refused.insert({concrete->order[0], &kOnlyPair[0]});
  const auto schedule = MakeSchedule(*concrete, backends, options);
  ASSERT_TRUE(schedule);
  int kernels = 0;
  for (const Step& step : schedule->steps) {
    kernels += step.kind == Step::Kind::kKernel;
    EXPECT_TRUE(step.rest.empty());
  }
  EXPECT_EQ(kernels, 2);
  // A limit that only the plan without `a` keeps leaves the chain in place.
  const auto fitted = FitSchemes(*concrete, backends, {}, size_t{1} << 20);
  ASSERT_TRUE(fitted);
  EXPECT_TRUE(fitted->empty());
}

}  // namespace
}  // namespace sula
