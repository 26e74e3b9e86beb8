// Runs the cases of tests/passes; each is also a proof that the harness sees a wrong rule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "ops/elementwise.h"
#include "optimizer/case_file.h"
#include "optimizer/match.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SULA_PASSES_DIR))
    if (entry.path().extension() == ".ir") names.push_back(entry.path().stem());
  std::ranges::sort(names);
  return names;
}

std::vector<test::Case> CasesOf(const std::string& file) {
  Result<std::vector<test::Case>> cases = test::ReadCases(SULA_PASSES_DIR "/" + file + ".ir");
  if (!cases.has_value()) {
    ADD_FAILURE() << cases.status().ToString();
    return {};
  }
  return *std::move(cases);
}

class RuleFile : public ::testing::TestWithParam<std::string> {};

TEST_P(RuleFile, Cases) {
  const std::vector<test::Case> cases = CasesOf(GetParam());
  EXPECT_FALSE(cases.empty());
  for (const test::Case& c : cases) {
    const Result<std::vector<Stage>> stages = test::StagesOf(c);
    ASSERT_TRUE(stages.has_value()) << c.title << ": " << stages.status().ToString();
    EXPECT_EQ(test::Check(c, *stages), "") << GetParam() << ": " << c.title;
  }
}

std::string FileName(const ::testing::TestParamInfo<std::string>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(Passes, RuleFile, ::testing::ValuesIn(Files()), FileName);

// Each rule and pass has a case in which it applies and one in which it does not.
TEST(Rules, AllHaveCases) {
  std::set<std::string, std::less<>> applied, refused;
  for (const std::string& file : Files())
    for (const test::Case& c : CasesOf(file))
      for (const std::string& name : c.apply) (c.after.empty() ? refused : applied).insert(name);
  for (const Stage& stage : DefaultPipeline()) {
    std::vector<std::string_view> names;
    if (stage.pass) names.push_back(stage.pass->name);
    for (const Rule* rule : stage.rules) names.push_back(rule->name);
    for (std::string_view name : names) {
      EXPECT_TRUE(applied.contains(name)) << name;
      EXPECT_TRUE(refused.contains(name)) << name;
    }
  }
}

// ---- a planted wrong rule: -(-x) -> -x

std::optional<Patch> WrongNeg(const Graph& g, const UseIndex&, NodeId id) {
  const NodeId inner = ProducedBy(g, g.node(id).inputs[0], op::kNeg);
  if (inner == kNoNode) return std::nullopt;
  Patch patch(g);
  patch.Replace(g.node(id).outputs[0], g.node(id).inputs[0]);
  return patch;
}
constexpr const OpDef* kNegs[] = {&op::kNeg};
constinit const Rule kWrongNeg = {"wrong-neg", "", kNegs, WrongNeg};

TEST(Harness, CatchesARuleThatChangesNumbers) {
  const test::Case c = {
      .title = "planted",
      .before = "graph \"t\" { input %x: float32[N,3] %a = Neg(%x) %y = Neg(%a) output %y }",
      .after = "graph \"t\" { input %x: float32[N,3] %y = Neg(%x) \"Neg\" output %y }"};
  const Stage stage = {{}, {&kWrongNeg}};
  EXPECT_THAT(test::Check(c, {&stage, 1}), HasSubstr("seed 1: output 0[0]"));
}

TEST(Harness, CatchesAnotherTextAndAnUnwantedApplication) {
  test::Case c = {
      .title = "",
      .before = "graph \"t\" { input %x: float32[2] %a = Identity(%x) %y = Neg(%a) output %y }"};
  c.apply = {"remove-identity"};
  const Result<std::vector<Stage>> stages = test::StagesOf(c);
  ASSERT_TRUE(stages.has_value());
  EXPECT_THAT(test::Check(c, *stages), HasSubstr("applied remove-identity@Identity"));
  c.after = c.before;
  EXPECT_THAT(test::Check(c, *stages), HasSubstr("expected:"));
}

}  // namespace
}  // namespace sula
