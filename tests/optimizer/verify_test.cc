// --verify: wrong rules are named, right ones pass, and what cannot be verified is said.
#include "optimizer/verify/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "ops/catalogue.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "optimizer/case_file.h"
#include "optimizer/match.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Graph Parsed(std::string_view text) {
  Result<Graph> g = ParseGraph(text, AllOps());
  if (!g.has_value()) ADD_FAILURE() << g.status().ToString();
  return g.has_value() ? *std::move(g) : Graph();
}

Result<OptimizeReport> Verified(Graph& g, std::span<const Stage> stages, uint64_t seed = 7) {
  OptimizeOptions options;
  options.verify = true;
  options.verify_seed = seed;
  return RunStages(g, stages, options);
}

// ---- rules with mistakes, on constants of Mul

template <double (*kChange)(int64_t, double)>
std::optional<Patch> ChangeFactor(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const Tensor* factor = g.Constant(node.inputs[1]);
  if (!factor || node.name.ends_with("'")) return std::nullopt;
  Patch patch(g);
  const ValueId changed = patch.AddConstant("factor", MapElements(*factor, kChange));
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kMul, node.params, {node.inputs[0], changed}, node.name + "'"));
  return patch;
}
double OnePercentMore(int64_t, double x) { return x * 1.01; }
double OneElementOff(int64_t i, double x) { return i == 2 ? x + 1e-3 : x; }
double OneRounding(int64_t, double x) { return x * (1 + 6e-8); }

constexpr const OpDef* kMuls[] = {&op::kMul};
constexpr Rule kPercent = {"percent", "", kMuls, ChangeFactor<OnePercentMore>};
constexpr Rule kElement = {"element", "", kMuls, ChangeFactor<OneElementOff>};
constexpr Rule kRounding = {"rounding", "", kMuls, ChangeFactor<OneRounding>};

constexpr std::string_view kFactors = R"(graph "t" {
  input %x: float32[N,3]
  const %k: float32[3] = [0.5, 2, 3]
  %a = Relu(%x) "a"
  %b = Mul(%a, %k) "scale"
  %y = Identity(%b) "y"
  output %y
})";

std::vector<Stage> With(const Rule& rule) {
  const std::span<const Stage> all = DefaultPipeline();
  std::vector<Stage> stages(all.begin(), all.end());
  stages.insert(stages.begin(), Stage{{}, {&rule}});
  return stages;
}

TEST(VerifyRules, NamesOneThatIsOnePercentWrong) {
  Graph g = Parsed(kFactors);
  const Result<OptimizeReport> report = Verified(g, With(kPercent));
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.status().code(), Code::kInternal);
  EXPECT_THAT(report.status().ToString(),
              AllOf(HasSubstr("the change percent@scale is wrong"), HasSubstr("value 'b'"),
                    HasSubstr("error of 0.01"), HasSubstr("--disable percent"), HasSubstr("seed 7"),
                    HasSubstr("x float32[2,3]")));
}

TEST(VerifyRules, NamesOneThatIsWrongInOneElement) {
  Graph g = Parsed(kFactors);
  EXPECT_THAT(Verified(g, With(kElement)).status().ToString(), HasSubstr("change element@scale"));
}

TEST(VerifyRules, AllowsARounding) {
  Graph g = Parsed(kFactors);
  const Result<OptimizeReport> report = Verified(g, With(kRounding));
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  ASSERT_TRUE(report->verified.has_value());
  EXPECT_EQ(report->verified->checked, static_cast<int64_t>(report->log.size()));
  EXPECT_EQ(report->verified->unchecked, 0);
  EXPECT_EQ(report->verified->seed, 7u);
  EXPECT_GT(report->verified->largest_error, 0);
  EXPECT_LT(report->verified->largest_error, 2e-7);
}

// -(-x) -> -x
std::optional<Patch> WrongNeg(const Graph& g, const UseIndex&, NodeId id) {
  if (ProducedBy(g, g.node(id).inputs[0], op::kNeg) == kNoNode) return std::nullopt;
  Patch patch(g);
  patch.Replace(g.node(id).outputs[0], g.node(id).inputs[0]);
  return patch;
}
// Forgets that an operand was transposed.
std::optional<Patch> LoseTranspose(const Graph& g, const UseIndex&, NodeId id) {
  Patch patch(g);
  patch.Replace(g.node(id).outputs[0], g.node(id).inputs[0]);
  return patch;
}
constexpr const OpDef* kNegs[] = {&op::kNeg};
constexpr const OpDef* kTransposes[] = {&op::kTranspose};

TEST(VerifyRules, NamesTheFirstWrongOneAmongManyRightOnes) {
  constexpr Rule kWrongNeg = {"wrong-neg", "", kNegs, WrongNeg};
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[N,4,6,6]
    const %w: float32[4,4,3,3] = random(1)
    const %s: float32[4,1,1] = random(2)
    %a = Conv(%x, %w) {pads=[1, 1, 1, 1]} "conv"
    %b = Mul(%a, %s) "scale"
    %s2 = Sigmoid(%b)
    %c = Neg(%s2) "n1"
    %d = Neg(%c) "n2"
    %e = Identity(%d)
    %y = Relu(%e)
    output %y
  })");
  const std::span<const Stage> all = DefaultPipeline();
  std::vector<Stage> stages(all.begin(), all.end());
  stages.push_back({{}, {&kWrongNeg}});
  EXPECT_THAT(Verified(g, stages).status().ToString(),
              HasSubstr("change wrong-neg@n2 is wrong: value 'd'"));
  g = Parsed("graph \"t\" { input %x: float32[3,3] %a = Transpose(%x) \"move\" output %a }");
  constexpr Rule kLose = {"lose-transpose", "", kTransposes, LoseTranspose};
  const Stage lose = {{}, {&kLose}};
  EXPECT_THAT(Verified(g, {&lose, 1}).status().ToString(), HasSubstr("lose-transpose@move"));
}

// Wrong for integers by one, and where only NaN tells.
std::optional<Patch> DropLog(const Graph& g, const UseIndex&, NodeId id) {
  Patch patch(g);
  const ValueId clipped =
      patch.AddNode(op::kAbs, op::kAbs.default_params(), {g.node(id).inputs[0]}, "abs");
  patch.Replace(g.node(id).outputs[0],
                patch.AddNode(op::kSqrt, op::kSqrt.default_params(), {clipped}, "sqrt"));
  return patch;
}
std::optional<Patch> OffByOne(const Graph& g, const UseIndex&, NodeId id) {
  Patch patch(g);
  const ValueId one = patch.AddConstant("one", Tensor::Scalar<int64_t>(1));
  patch.Replace(g.node(id).outputs[0], patch.AddNode(op::kAdd, op::kAdd.default_params(),
                                                     {g.node(id).inputs[0], one}, "more"));
  return patch;
}

TEST(VerifyRules, IntegersAreExactAndNaNMeetsNaN) {
  static constexpr const OpDef* kSqrts[] = {&op::kSqrt};
  static constexpr const OpDef* kIdentities[] = {&op::kIdentity};
  constexpr Rule kDrop = {"no-nan", "", kSqrts, DropLog};
  constexpr Rule kOff = {"off-by-one", "", kIdentities, OffByOne};
  const Stage drop = {{}, {&kDrop}}, off = {{}, {&kOff}};
  Graph g = Parsed("graph \"t\" { input %x: float32[9] %y = Sqrt(%x) \"root\" output %y }");
  OptimizeOptions options;
  options.verify = true;
  options.stop_after = 1;
  EXPECT_THAT(RunStages(g, {&drop, 1}, options).status().ToString(),
              AllOf(HasSubstr("no-nan@root"), HasSubstr("was NaN")));
  g = Parsed("graph \"t\" { input %x: int64[9] %y = Identity(%x) \"same\" output %y }");
  EXPECT_THAT(RunStages(g, {&off, 1}, options).status().ToString(), HasSubstr("off-by-one@same"));
}

// Amplified roundings are not a rule's mistake: (x + 1e6 - 1e6) has 0.03 of them at x of size 1.
TEST(VerifyRules, AllowsWhatTheArithmeticLosesAnyway) {
  constexpr Rule kDropBoth = {
      "drop-both", "", {}, [](const Graph& g, const UseIndex&, NodeId id) {
        std::optional<Patch> none;
        const NodeId add = ProducedBy(g, g.node(id).inputs[0], op::kAdd);
        if (!g.node(id).Is(op::kSub) || add == kNoNode) return none;
        Patch patch(g);
        patch.Replace(
            g.node(id).outputs[0],
            patch.AddNode(op::kAdd, op::kAdd.default_params(),
                          {g.node(add).inputs[0], patch.AddConstant("zero", Tensor::Scalar(0.f))},
                          "sum"));
        return std::optional<Patch>(std::move(patch));
      }};
  const Stage stage = {{}, {&kDropBoth}};
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[50]
    const %k: float32[] = [1000000]
    %a = Add(%x, %k)
    %y = Sub(%a, %k)
    output %y
  })");
  const Result<OptimizeReport> report = Verified(g, {&stage, 1});
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  EXPECT_GT(report->verified->largest_error, 1e-3);
}

// ---- passes

TEST(VerifyPasses, NamesTheOneThatChangesNumbers) {
  const Stage stage = {Pass{"swapper", "",
                            [](Graph& g) -> Result<int> {
                              for (NodeId id = 0; id < g.node_slots(); ++id) {
                                std::vector<ValueId>& in = g.node(id).inputs;
                                if (g.node(id).Is(op::kSub)) std::swap(in[0], in[1]);
                              }
                              return 1;
                            }},
                       {}};
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[N,3]
    input %z: float32[N,3]
    %a = Sub(%x, %z) "difference"
    %y = Abs(%a)
    output %y, %a
  })");
  EXPECT_THAT(
      Verified(g, {&stage, 1}).status().ToString(),
      AllOf(HasSubstr("change swapper is wrong: value 'a'"), HasSubstr("--disable swapper")));
}

TEST(VerifyPasses, NamesTheOneThatSwapsOutputs) {
  const Stage stage = {Pass{"output-swapper", "",
                            [](Graph& g) -> Result<int> {
                              g.SetOutputs({g.outputs()[1], g.outputs()[0]});
                              return 1;
                            }},
                       {}};
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[4]
    %a = Neg(%x)
    %b = Relu(%x)
    output %a, %b
  })");
  EXPECT_THAT(Verified(g, {&stage, 1}).status().ToString(), HasSubstr("change output-swapper"));
}

// ---- inputs

TEST(VerifyInputs, FindsIndicesThatAreInRangeAndSizesThatFit) {
  Graph g = Parsed(R"(graph "t" {
    input %x: float32[N,C]
    input %z: float32[N,C]
    input %i: int64[4]
    const %table: float32[2,5] = random(1)
    %a = Gather(%table, %i) {axis=0} "pick"
    %s = Add(%x, %z)
    %b = Identity(%s) "keep"
    output %a, %b
  })");
  const Result<OptimizeReport> report = Verified(g, DefaultPipeline());
  ASSERT_TRUE(report.has_value()) << report.status().ToString();
  EXPECT_EQ(report->verified->checked, 1);
  EXPECT_THAT(report->verified->inputs, HasSubstr("x float32[2,3]"));
}

TEST(VerifyInputs, SaysThatNoneWereFound) {
  Graph g = Parsed(R"(graph "t" {
    input %i: int64[4]
    const %k: int64[] = [100]
    const %table: float32[2,5] = random(1)
    %far = Add(%i, %k)
    %a = Gather(%table, %far) {axis=0} "pick"
    output %a
  })");
  const Result<OptimizeReport> report = Verified(g, DefaultPipeline());
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.status().code(), Code::kUnsupported);
  EXPECT_THAT(report.status().ToString(), AllOf(HasSubstr("cannot be verified"), HasSubstr("pick"),
                                                HasSubstr("--input-shape")));
  // Numbers that are never finite prove nothing either.
  g = Parsed(R"(graph "t" {
    input %x: float32[4]
    const %k: float32[] = [2]
    %a = Add(%x, %k)
    %b = Neg(%a)
    %y = Log(%b)
    output %y
  })");
  EXPECT_THAT(Verified(g, DefaultPipeline()).status().ToString(),
              HasSubstr("give a finite number"));
}

// ---- what is right passes

TEST(VerifyRules, TheCasesOfAllRulesPass) {
  for (const char* file : {"pipeline", "affine", "transposes", "reshapes", "duplicates"}) {
    const auto cases = test::ReadCases(StrCat(SULA_PASSES_DIR "/", file, ".ir"));
    ASSERT_TRUE(cases.has_value());
    for (const test::Case& c : *cases) {
      const auto stages = test::StagesOf(c);
      ASSERT_TRUE(stages.has_value());
      Graph g = Parsed(c.before);
      const Result<OptimizeReport> report = Verified(g, *stages);
      if (!report.has_value() && report.status().code() == Code::kUnsupported) continue;
      EXPECT_TRUE(report.has_value())
          << file << ": " << c.title << ": " << report.status().ToString();
    }
  }
}

// The store computes again what it had to drop.
TEST(ValueStore, KeepsToItsLimit) {
  const Graph g = Parsed(R"(graph "t" {
    input %x: float32[100]
    %a = Neg(%x)
    %b = Relu(%a)
    %c = Add(%a, %b)
    %d = Mul(%c, %x)
    output %d
  })");
  ValueStore store(g, {RandomTensor(DType::kFloat32, {100}, 1)}, 500);
  ValueStore all(g, {RandomTensor(DType::kFloat32, {100}, 1)}, 1 << 20);
  for (const char* name : {"d", "a", "c", "b", "x", "d"}) {
    const Result<Tensor> t = store.Get(g, *g.FindValue(name)), u = all.Get(g, *g.FindValue(name));
    ASSERT_TRUE(t.has_value() && u.has_value());
    EXPECT_EQ(*t, *u) << name;
  }
}

}  // namespace
}  // namespace sula
