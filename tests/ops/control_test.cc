#include "ops/control.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Graph Parse(std::string_view text) {
  auto g = ParseGraph(text, AllOps());
  EXPECT_TRUE(g.has_value()) << g.error().ToString();
  return g ? *g : Graph();
}

std::string TypeOf(const Graph& g, int output) {
  return g.value(g.outputs()[output]).type.ToString();
}

constexpr std::string_view kIfText = R"(graph "g" {
  input %c: bool[]
  input %x: float32[N]
  input %y: float32[N]
  %p, %q = If(%c, %x, %x, %y) "if" {
    graph "then" { captures %x  input %a: float32[N]
      %n = Neg(%a) "neg"
      output %n, %a }
    graph "else" { captures %x, %y  input %a: float32[N]  input %b: float32[N]
      %s = Add(%a, %b) "add"
      %t = Concat(%a, %b) "join"
      output %s, %t }
  }
  output %p, %q
})";

TEST(If, TakesOneBody) {
  const Graph g = Parse(kIfText);
  const Tensor x = Tensor::From<float>({2}, {1, 2}), y = Tensor::From<float>({2}, {10, 20});
  const auto yes = EvaluateGraph(g, std::vector<Tensor>{Tensor::Scalar(true), x, y});
  ASSERT_TRUE(yes.has_value()) << yes.error().ToString();
  EXPECT_THAT(*yes, ElementsAre(Tensor::From<float>({2}, {-1, -2}), x));
  const auto no = EvaluateGraph(g, std::vector<Tensor>{Tensor::Scalar(false), x, y});
  ASSERT_TRUE(no.has_value()) << no.error().ToString();
  EXPECT_THAT(*no, ElementsAre(Tensor::From<float>({2}, {11, 22}),
                               Tensor::From<float>({4}, {1, 2, 10, 20})));
}

// A body for maps of 5 axes beside one for 4: sizes decide which runs, and say so only when they
// are known. The other need not make sense then.
TEST(If, InferAllowsABodyThatCanNeverRun) {
  Graph g = Parse(R"(graph "g" {
    input %c: bool[]
    input %x: float32[N,M]
    const %w: float32[3,2] = random(1)
    const %v: float32[4,2] = random(2)
    %p = If(%c, %x, %w, %x, %v) "if" {
      graph "three" { captures %x, %w  input %a: float32[N,M]  input %b: float32[3,2]
        %m = MatMul(%a, %b) "m3"
        output %m }
      graph "four" { captures %x, %v  input %a: float32[N,M]  input %b: float32[4,2]
        %m = MatMul(%a, %b) "m4"
        %n = Neg(%m) "n4"
        output %n }
    }
    output %p
  })");
  for (const int64_t m : {3, 4}) {
    Graph concrete = g;
    const std::map<std::string, Shape> shapes = {{"x", {5, m}}};
    const Status s = InferShapes(concrete, &shapes);
    ASSERT_TRUE(s.ok()) << s.ToString();
    EXPECT_EQ(TypeOf(concrete, 0), "float32[5,2]");
    const auto y = EvaluateGraph(
        concrete, std::vector<Tensor>{Tensor::Scalar(m == 3), Tensor(DType::kFloat32, {5, m})});
    EXPECT_TRUE(y.has_value()) << y.error().ToString();
    const auto wrong = EvaluateGraph(
        concrete, std::vector<Tensor>{Tensor::Scalar(m == 4), Tensor(DType::kFloat32, {5, m})});
    EXPECT_FALSE(wrong.has_value());
  }
  const std::map<std::string, Shape> neither = {{"x", {5, 6}}};
  const Status s = InferShapes(g, &neither);
  EXPECT_THAT(s.ToString(), HasSubstr("in subgraph 'three'"));
}

TEST(If, InferCoversBothBodies) {
  const Graph g = Parse(kIfText);
  EXPECT_EQ(TypeOf(g, 0), "float32[N]");
  EXPECT_THAT(TypeOf(g, 1), ::testing::StartsWith("float32[_"));
  const Graph ranks = Parse(R"(graph "g" {
    input %c: bool[1]
    input %x: float32[2,3]
    %p = If(%c, %x, %x) "if" {
      graph "then" { captures %x  input %a: float32[2,3]  output %a }
      graph "else" { captures %x  input %a: float32[2,3]  %f = ReduceSum(%a) {keepdims=false}  output %f }
    }
    output %p
  })");
  EXPECT_EQ(TypeOf(ranks, 0), "float32[?]");
}

TEST(If, InferKnowsAConstantCondition) {
  const Graph g = Parse(R"(graph "g" {
    const %c: bool[] = [false]
    input %x: float32[2]
    %p = If(%c, %x, %x) "if" {
      graph "then" { captures %x  input %a: float32[2]  output %a }
      graph "else" { captures %x  input %a: float32[2]  %t = Concat(%a, %a) {axis=0}  output %t }
    }
    output %p
  })");
  EXPECT_EQ(TypeOf(g, 0), "float32[4]");
}

TEST(If, Refuses) {
  const auto types = ParseGraph(R"(graph "g" {
    input %c: bool[]
    input %x: float32[2]
    %p = If(%c, %x, %x) "if" {
      graph "then" { captures %x  input %a: float32[2]  output %a }
      graph "else" { captures %x  input %a: float32[2]  %i = Cast(%a) {to="int8"}  output %i }
    }
    output %p
  })",
                                AllOps());
  ASSERT_FALSE(types.has_value());
  EXPECT_THAT(types.error().ToString(), HasSubstr("int8[2]"));
  const auto count = ParseGraph(R"(graph "g" {
    input %c: bool[]
    input %x: float32[2]
    %p = If(%c, %x, %x) "if" {
      graph "then" { captures %x  input %a: float32[2]  output %a }
      graph "else" { captures %x  input %a: float32[2]  output %a, %a }
    }
    output %p
  })",
                                AllOps());
  ASSERT_FALSE(count.has_value());
  EXPECT_THAT(count.error().ToString(), HasSubstr("2 outputs"));
}

// carried = carried * 2 until it passes the captured limit; collects trip numbers and values.
constexpr std::string_view kLoopText = R"(graph "g" {
  input %m: int64[]
  input %c: bool[]
  input %v: float32[1]
  input %limit: float32[1]
  %last, %trips, %values = Loop(%m, %c, %v, %limit) "loop" {
    graph "body" { captures %limit
      input %i: int64[]  input %go: bool[]  input %x: float32[1]  input %max: float32[1]
      %y = Add(%x, %x) "twice"
      %more = Less(%y, %max) "less"
      output %more, %y, %i, %y }
  }
  output %last, %trips, %values
})";

Result<std::vector<Tensor>> RunLoop(int64_t max_trips, bool condition) {
  return EvaluateGraph(
      Parse(kLoopText),
      std::vector<Tensor>{Tensor::Scalar(max_trips), Tensor::Scalar(condition),
                          Tensor::From<float>({1}, {3}), Tensor::From<float>({1}, {20})});
}

TEST(Loop, StopsByConditionOrCount) {
  auto run = RunLoop(100, true);
  ASSERT_TRUE(run.has_value()) << run.error().ToString();
  EXPECT_THAT(*run, ElementsAre(Tensor::From<float>({1}, {24}), Tensor::FromInts({0, 1, 2}),
                                Tensor::From<float>({3, 1}, {6, 12, 24})));
  run = RunLoop(2, true);
  ASSERT_TRUE(run.has_value());
  EXPECT_THAT(*run, ElementsAre(Tensor::From<float>({1}, {12}), Tensor::FromInts({0, 1}),
                                Tensor::From<float>({2, 1}, {6, 12})));
}

TEST(Loop, WithoutATrip) {
  for (const auto& run : {RunLoop(0, true), RunLoop(-3, true), RunLoop(5, false)}) {
    ASSERT_TRUE(run.has_value()) << run.error().ToString();
    EXPECT_EQ((*run)[0], Tensor::From<float>({1}, {3}));
    EXPECT_EQ((*run)[1].dims(), (Dims{0}));
    EXPECT_EQ((*run)[2].dims(), (Dims{0, 1}));
  }
}

TEST(Loop, InferKeepsWhatEveryTripKeeps) {
  const Graph g = Parse(kLoopText);
  EXPECT_EQ(TypeOf(g, 0), "float32[1]");
  EXPECT_THAT(TypeOf(g, 2), ::testing::MatchesRegex("float32\\[_[0-9]+,1\\]"));
}

TEST(Loop, RefusesWhatDoesNotStack) {
  const Graph g = Parse(R"(graph "g" {
    input %m: int64[]
    input %v: float32[a]
    %last, %all = Loop(%m, _, %v) "loop" {
      graph "body" {
        input %i: int64[]  input %go: bool[]  input %x: float32[n]
        %y = Concat(%x, %x) {axis=0}
        output %go, %y, %y }
    }
    output %last, %all
  })");
  const auto two = EvaluateGraph(
      g, std::vector<Tensor>{Tensor::Scalar(int64_t{2}), Tensor::From<float>({1}, {1})});
  ASSERT_FALSE(two.has_value());
  EXPECT_THAT(two.error().ToString(), HasSubstr("trip 1 of Loop collects sizes [4]"));
  const auto one = EvaluateGraph(
      g, std::vector<Tensor>{Tensor::Scalar(int64_t{1}), Tensor::From<float>({1}, {1})});
  ASSERT_TRUE(one.has_value()) << one.error().ToString();
  EXPECT_EQ((*one)[1].dims(), (Dims{1, 2}));
}

}  // namespace
}  // namespace sula
