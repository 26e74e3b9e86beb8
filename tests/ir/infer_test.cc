#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/graph.h"
#include "ir/test_ops.h"
#include "ir/text.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

Graph Parsed(std::string_view text) {
  Result<Graph> g = ParseGraph(text, test::TestOps());
  if (!g.has_value()) ADD_FAILURE() << g.status().ToString();
  return g.has_value() ? *std::move(g) : Graph();
}
std::string TypeOf(const Graph& g, std::string_view name) {
  return g.value(g.FindValue(name).value()).type.ToString();
}

TEST(InferShapes, ContentsTravel) {
  const Graph g = Parsed(R"(graph "t" {
    input %x: float32[N,3]
    const %tail: int64[2] = [7, 2]
    %s = ShapeOf(%x)
    %copy = Copy(%s)
    %l = Gather(%copy, %tail)
    %y = Fill(%l)
    output %y
  })");
  EXPECT_EQ(TypeOf(g, "l"), "int64[4]");
  EXPECT_EQ(TypeOf(g, "y"), "float32[N,3,7,2]");
}

TEST(InferShapes, UnknownRankSpreadsWithTheRightTypes) {
  const Graph g = Parsed(R"(graph "t" {
    input %x: int32[?]
    input %f: float32[2]
    %a = Copy(%x)
    %b = Join(%a, %x)
    %c = Cast(%f)
    %u = Unknown(%f)
    %s = ShapeOf(%u)
    %y = Fill(%s)
    output %b, %y
  })");
  EXPECT_EQ(TypeOf(g, "b"), "int32[?]");
  EXPECT_EQ(TypeOf(g, "s"), "int64[?]");
  EXPECT_EQ(TypeOf(g, "y"), "float32[?]");
  EXPECT_EQ(TypeOf(g, "c"), "int64[2]");
}

TEST(InferShapes, FreshSymbolsAreNew) {
  const Graph g = Parsed(R"(graph "t" {
    input %x: float32[_0]
    %a = Found(%x)
    %b = Found(%x)
    output %a, %b
  })");
  EXPECT_EQ(TypeOf(g, "a"), "int64[_1]");
  EXPECT_EQ(TypeOf(g, "b"), "int64[_2]");
}

TEST(InferShapes, Overrides) {
  Graph g = Parsed("graph \"t\" { input %x: float32[N,3] %y = Copy(%x) output %y }");
  std::map<std::string, Shape> shapes = {{"x", Shape{5, 3}}};
  ASSERT_TRUE(InferShapes(g, &shapes).ok());
  EXPECT_EQ(TypeOf(g, "y"), "float32[5,3]");

  shapes = {{"y", Shape{5}}};
  EXPECT_THAT(InferShapes(g, &shapes).ToString(), HasSubstr("has no input 'y'; it has x"));
  shapes = {{"x", Shape{5}}};
  EXPECT_THAT(InferShapes(g, &shapes).ToString(), HasSubstr("[5,3]"));
  shapes = {{"x", Shape{-5, 1}}};
  EXPECT_FALSE(InferShapes(g, &shapes).ok());
}

TEST(InferShapes, ErrorsNameNodeOperatorAndShapes) {
  Graph g;
  const ValueId a = g.AddInput("a", {DType::kFloat32, Shape{2}});
  const ValueId b = g.AddInput("b", {DType::kFloat32, Shape{3}});
  g.AddNode(test::kJoin, Params::Of(NoParams{}), {a, b}, 1, "bad");
  EXPECT_THAT(InferShapes(g).ToString(), HasSubstr("in node 'bad' (Join: float32[2], float32[3])"));
}

TEST(InferShapes, RefusesWrongArityBeforeInferSeesIt) {
  Graph g;
  g.AddNode(test::kJoin, Params::Of(NoParams{}), {g.AddInput("a", {})}, 1, "bad");
  EXPECT_THAT(InferShapes(g).ToString(), HasSubstr("input 1 ('b') is missing"));
}

TEST(InferShapes, RefusesSizesBeyondMemory) {
  EXPECT_THAT(ParseGraph(R"(graph "t" {
    const %l: int64[3] = [1099511627776, 1099511627776, 1099511627776]
    %y = Fill(%l)
  })",
                         test::TestOps())
                  .status()
                  .ToString(),
              HasSubstr("larger than any memory"));
}

TEST(InferNode, TypesFromConcreteInputs) {
  Node node;
  node.op = &test::kFill;
  node.params = Params::Of(NoParams{});
  node.inputs = {0};
  node.outputs = {1};
  const TensorType list = {DType::kInt64, Shape{2}};
  const Tensor values = Tensor::FromInts({4, 5});
  const Tensor* constant = &values;
  EXPECT_EQ(InferNode(node, {&list, 1}, {&constant, 1})->front().ToString(), "float32[4,5]");
  constant = nullptr;
  EXPECT_EQ(InferNode(node, {&list, 1}, {&constant, 1})->front().ToString(), "float32[_0,_1]");
}

TEST(ErrorIsUnknownRank, TellsItApart) {
  EXPECT_TRUE(ErrorIsUnknownRank(UnknownRank().AddContext("somewhere")));
  EXPECT_FALSE(ErrorIsUnknownRank(Unsupported("something else")));
  EXPECT_FALSE(ErrorIsUnknownRank(Status()));
}

}  // namespace
}  // namespace sula
