#include "ir/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/test_ops.h"
#include "ir/text.h"

namespace sula {
namespace {

using test::kCopy;
using test::kJoin;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const TensorType kVector = {DType::kFloat32, Shape{2}};
Params None() { return Params::Of(NoParams{}); }

TEST(Graph, MakesNamesUnique) {
  Graph g;
  const ValueId a = g.AddInput("x", kVector);
  const ValueId b = g.AddConstant("x", Tensor::Scalar(1.f));
  const NodeId n = g.AddNode(kJoin, None(), {a, b}, 1, "", {"x"});
  const NodeId m = g.AddNode(kJoin, None(), {a, b});
  EXPECT_EQ(g.value(a).name, "x");
  EXPECT_EQ(g.value(b).name, "x_1");
  EXPECT_EQ(g.value(g.node(n).outputs[0]).name, "x_2");
  EXPECT_EQ(g.node(n).name, "Join");
  EXPECT_EQ(g.node(m).name, "Join_1");
  EXPECT_EQ(g.value(g.node(m).outputs[0]).name, "Join_1");
  EXPECT_EQ(g.FindValue("x_1"), b);
  EXPECT_EQ(g.FindNode("Join_1"), m);
  EXPECT_FALSE(g.FindValue("y"));
}

TEST(Graph, AbsentAndSurplusOutputs) {
  Graph g;
  const ValueId x = g.AddInput("x", kVector);
  const NodeId n = g.AddNode(test::kPieces, None(), {x}, 3, "cut", {"first", ""});
  EXPECT_EQ(g.node(n).outputs[1], kNoValue);
  EXPECT_EQ(g.value(g.node(n).outputs[2]).name, "cut.2");
  EXPECT_EQ(g.value(g.node(n).outputs[2]).output_index, 2);
}

TEST(Graph, TopologicalOrderPutsProducersFirstAndKeepsIdOrder) {
  Graph g;
  const ValueId x = g.AddInput("x", kVector);
  const NodeId a = g.AddNode(kCopy, None(), {x}, 1, "a");
  const NodeId b = g.AddNode(kCopy, None(), {x}, 1, "b");
  const NodeId c = g.AddNode(kJoin, None(), {g.node(a).outputs[0], g.node(b).outputs[0]}, 1, "c");
  g.node(a).inputs[0] = g.node(b).outputs[0];  // a now after b
  EXPECT_THAT(g.TopologicalOrder(), ElementsAre(b, a, c));
}

TEST(Graph, RemoveDeadFollowsChainsAndKeepsImpure) {
  Graph g;
  const ValueId x = g.AddInput("x", kVector);
  const NodeId used = g.AddNode(kCopy, None(), {x});
  NodeId last = used;
  for (int i = 0; i < 3; ++i) last = g.AddNode(kCopy, None(), {g.node(last).outputs[0]});
  g.AddNode(kJoin, None(), {g.node(last).outputs[0], g.node(last).outputs[0]});
  const NodeId shout = g.AddNode(test::kShout, None(), {x});
  g.SetOutputs({g.node(used).outputs[0]});
  EXPECT_EQ(g.RemoveDead(), 4);
  EXPECT_EQ(g.num_nodes(), 2);
  EXPECT_TRUE(g.IsLive(used));
  EXPECT_TRUE(g.IsLive(shout));
  EXPECT_FALSE(g.FindValue("Copy_1"));
  ASSERT_TRUE(InferShapes(g).ok());
  EXPECT_TRUE(Verify(g).ok());

  const std::string before = Print(g);
  g.Compact();
  EXPECT_EQ(g.node_slots(), 2);
  EXPECT_EQ(g.value_slots(), 3);
  EXPECT_EQ(Print(g), before);
  EXPECT_TRUE(Verify(g).ok());
  EXPECT_EQ(g.FindValue("Copy"), g.outputs()[0]);
}

TEST(Graph, RenamingKeepsTheIndex) {
  Graph g;
  const ValueId a = g.AddInput("a", kVector), b = g.AddInput("b", kVector);
  g.SwapNames(a, b);
  EXPECT_EQ(g.FindValue("a"), b);
  g.RenameValue(a, "a");
  EXPECT_EQ(g.value(a).name, "a_1");
  EXPECT_FALSE(g.FindValue("b"));
}

TEST(UseIndex, CountsEachReaderOnceAndOutputs) {
  Graph g;
  const ValueId x = g.AddInput("x", kVector);
  const NodeId n = g.AddNode(kJoin, None(), {x, x});
  g.SetOutputs({x, g.node(n).outputs[0]});
  const UseIndex uses(g);
  EXPECT_THAT(uses.Of(x), ElementsAre(n));
  EXPECT_EQ(uses.Count(x), 2);
  EXPECT_THAT(g.Consumers(x), ElementsAre(n));
}

// ---- Verify

class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() {
    x = g.AddInput("x", kVector);
    a = g.AddNode(kCopy, None(), {x}, 1, "a");
    b = g.AddNode(kCopy, None(), {g.node(a).outputs[0]}, 1, "b");
    g.SetOutputs({g.node(b).outputs[0]});
    SULA_CHECK(InferShapes(g).ok() && Verify(g).ok());
  }
  void ExpectError(std::string_view message) {
    const Status s = Verify(g);
    EXPECT_EQ(s.code(), Code::kInvalidModel);
    EXPECT_THAT(s.ToString(), HasSubstr(std::string(message)));
  }
  Graph g;
  ValueId x;
  NodeId a, b;
};

TEST_F(VerifyTest, Cycle) {
  g.node(a).inputs[0] = g.node(b).outputs[0];
  ExpectError("cycle through node 'a'");
}
TEST_F(VerifyTest, MissingInput) {
  g.node(b).inputs[0] = kNoValue;
  ExpectError("input 0 ('x') is missing\n  in node 'b' (Copy)");
}
TEST_F(VerifyTest, TooManyInputs) {
  g.node(b).inputs = {x, x};
  ExpectError("2 inputs given, the operator has 1");
}
TEST_F(VerifyTest, InputOutOfRange) {
  g.node(b).inputs[0] = 77;
  ExpectError("input 0 refers to no value");
}
TEST_F(VerifyTest, RemovedInput) {
  g.RemoveNode(a);
  ExpectError("input 0 refers to no value");
}
TEST_F(VerifyTest, OutputOfGraphOutOfRange) {
  g.SetOutputs({-1});
  ExpectError("graph output refers to no value");
}
TEST_F(VerifyTest, TwoProducers) {
  g.node(b).outputs[0] = g.node(a).outputs[0];
  ExpectError("is not an output of its producer");
}
TEST_F(VerifyTest, WrongElementType) {
  g.AddNode(test::kFill, None(), {x}, 1, "fill");
  ExpectError("input 0 ('x') has type float32; allowed are int32, int64");
}
TEST_F(VerifyTest, WrongOutputType) {
  g.AddNode(test::kShapeOf, None(), {x}, 1, "s");  // not inferred: still float32
  ExpectError("output 0 ('y') has type float32; allowed are int64");
}
TEST_F(VerifyTest, WrongParams) {
  g.node(b).params = Params::Of(test::KnobParams{});
  ExpectError("parameters are not those of operator Copy");
}
TEST_F(VerifyTest, DuplicateNames) {
  g.node(b).name = "a";
  ExpectError("two nodes are named 'a'");
}
TEST_F(VerifyTest, ConstantOfAnotherType) {
  const ValueId c = g.AddConstant("c", Tensor::Scalar(1.f));
  g.value(c).type.dtype = DType::kInt8;
  ExpectError("constant 'c' is declared int8[] but holds float32[]");
}
TEST_F(VerifyTest, NeitherComputedNorInput) {
  const ValueId c = g.AddConstant("c", Tensor::Scalar(1.f));
  g.value(c).constant = nullptr;
  g.node(b).inputs[0] = c;
  ExpectError("neither computed nor constant nor a graph input");
}
TEST_F(VerifyTest, HugeAndNegativeSizes) {
  g.value(x).type.shape = Shape{int64_t{1} << 40, int64_t{1} << 40};
  ExpectError("larger than any memory");
  g.value(x).type.shape = Shape{0, int64_t{1} << 40, int64_t{1} << 40};
  ExpectError("larger than any memory");
  g.value(x).type.shape = Shape{-2};
  ExpectError("negative");
}
TEST_F(VerifyTest, MissingSubgraphs) {
  const ValueId c = g.AddInput("c", {DType::kBool, Shape{}});
  g.AddNode(test::kBranch, None(), {c});
  ExpectError("0 subgraphs given, the operator has 2");
}

// A chain, read twice everywhere, of this length must neither overflow the stack nor take long.
TEST(Graph, LongChainsAreCheap) {
  constexpr int kNodes = 100'000;
  Graph g;
  ValueId v = g.AddInput("x", kVector);
  for (int i = 0; i < kNodes; ++i) v = g.node(g.AddNode(kJoin, None(), {v, v})).outputs[0];
  g.SetOutputs({v});
  ASSERT_TRUE(InferShapes(g).ok());
  EXPECT_TRUE(Verify(g).ok());
  EXPECT_EQ(g.TopologicalOrder().size(), size_t{kNodes});
  g.SetOutputs({0});
  EXPECT_EQ(g.RemoveDead(), kNodes);
}

}  // namespace
}  // namespace sula
