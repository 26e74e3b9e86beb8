#include "ir/patch.h"

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

Params None() { return Params::Of(NoParams{}); }

class PatchTest : public ::testing::Test {
 protected:
  void Parse(std::string_view text) {
    Result<Graph> parsed = ParseGraph(text, test::TestOps());
    ASSERT_TRUE(parsed.has_value()) << parsed.status().ToString();
    g = *std::move(parsed);
  }
  ValueId V(std::string_view name) const { return g.FindValue(name).value(); }
  // Applies and checks what Apply promises: a valid graph, and uses in step with it.
  void ExpectApplies(Patch patch) {
    UseIndex uses(g);
    const Status s = Apply(std::move(patch), g, uses);
    ASSERT_TRUE(s.ok()) << s.ToString();
    EXPECT_TRUE(Verify(g).ok()) << Verify(g).ToString();
    const UseIndex fresh(g);
    for (ValueId v = 0; v < g.value_slots(); ++v) {
      EXPECT_EQ(uses.Of(v), fresh.Of(v));
      EXPECT_EQ(uses.Count(v), fresh.Count(v));
    }
  }
  void ExpectRefused(Patch patch, std::string_view message) {
    const std::string before = Print(g);
    const Status s = Apply(std::move(patch), g);
    EXPECT_EQ(s.ok(), false);
    EXPECT_THAT(s.ToString(), HasSubstr(std::string(message)));
    EXPECT_EQ(Print(g), before);
  }
  std::string Text() const { return Print(g, {.types = false}); }
  Graph g;
};

TEST_F(PatchTest, NewNodeTakesTheNames) {
  Parse(R"(graph "t" { input %x: float32[2]
    %a = Copy(%x) "first" %b = Copy(%a) "second" %c = Copy(%b) "third" output %c, %b })");
  Patch patch(g);
  patch.Replace(V("b"),
                patch.AddNode(test::kKnob, Params::Of(test::KnobParams{}), {V("x")}, "second"));
  ExpectApplies(std::move(patch));
  EXPECT_EQ(Text(), R"(graph "t" {
  input %x: float32[2]
  %b = Knob(%x) "second"
  %c = Copy(%b) "third"
  output %c, %b
}
)");
  EXPECT_EQ(g.value(V("b")).type.ToString(), "float32[2]");
}

TEST_F(PatchTest, NewNodesReadWhatTheyName) {
  Parse(R"(graph "t" { input %x: float32[2] %a = Copy(%x) "a" %b = Copy(%a) "b" output %b })");
  Patch patch(g);  // a -> Join(a, a)
  patch.Replace(V("a"), patch.AddNode(kJoin, None(), {V("a"), V("a")}, "join"));
  ExpectApplies(std::move(patch));
  EXPECT_EQ(g.num_nodes(), 3);
  EXPECT_EQ(g.node(*g.FindNode("b")).inputs[0], g.node(*g.FindNode("join")).outputs[0]);
}

TEST_F(PatchTest, RemovesDeadProducersUpwards) {
  Parse(R"(graph "t" { input %x: float32[2] %a = Copy(%x) %b = Copy(%a) %c = Join(%b, %b)
    %d = Copy(%c) output %d })");
  Patch patch(g);
  patch.Replace(V("c"), V("x"));
  ExpectApplies(std::move(patch));
  EXPECT_EQ(g.num_nodes(), 1);
}

TEST_F(PatchTest, ConstantsAndSeveralOutputs) {
  Parse(R"(graph "t" { input %x: float32[2] %a, %b = Pieces(%x) "p" %c = Join(%a, %b)
    output %c })");
  Patch patch(g);
  const ValueId k = patch.AddConstant("k", Tensor::From<float>({2}, {1, 2}));
  const std::vector<ValueId> out = patch.AddNodes(test::kPieces, None(), {k}, 2, "p");
  patch.Replace(V("a"), out[0]);
  patch.Replace(V("b"), out[1]);
  ExpectApplies(std::move(patch));
  EXPECT_EQ(Text(), R"(graph "t" {
  input %x: float32[2]
  const %k: float32[2] = [1, 2]
  %a, %b = Pieces(%k) "p"
  %c = Join(%a, %b) "Join"
  output %c
}
)");
}

TEST_F(PatchTest, OutputGivesItsNameToAnInnerValue) {
  Parse(R"(graph "t" { input %x: float32[2] %a = Knob(%x) %y = Copy(%a) output %y })");
  Patch patch(g);
  patch.Replace(V("y"), V("a"));
  ExpectApplies(std::move(patch));
  EXPECT_EQ(g.value(g.outputs()[0]).name, "y");
  EXPECT_EQ(g.num_nodes(), 1);
}

TEST_F(PatchTest, OutputsThatCannotTakeANameGetACopy) {
  Parse(R"(graph "t" { input %x: float32[2] %y = Knob(%x) %z = Knob(%x) %c = Knob(%x)
    output %y, %z, %c })");
  const auto make = [&] {
    Patch patch(g);
    patch.Replace(V("y"), V("x"));  // an input
    patch.Replace(V("z"), V("c"));  // an output
    return patch;
  };
  ExpectRefused(make(), "would lose its name");
  Patch patch = make();
  patch.ProtectOutputs(g, kCopy);
  ExpectApplies(std::move(patch));
  EXPECT_EQ(Text(), R"(graph "t" {
  input %x: float32[2]
  %c = Knob(%x) "Knob_2"
  %y = Copy(%x) "Knob"
  %z = Copy(%c) "Knob_1"
  output %y, %z, %c
}
)");
  Patch constant(g);
  constant.Replace(V("y"), constant.AddConstant("k", Tensor::From<float>({2}, {1, 2})));
  constant.ProtectOutputs(g, kCopy);
  ExpectApplies(std::move(constant));
  EXPECT_THAT(Text(), HasSubstr("%y = Copy(%k)"));
}

TEST_F(PatchTest, TwoOutputsOfOneNewValue) {
  Parse("graph \"t\" { input %x: float32[2] %y = Knob(%x) %z = Knob(%x) output %y, %z }");
  Patch patch(g);
  const ValueId n = patch.AddNode(kJoin, None(), {V("x"), V("x")}, "n");
  patch.Replace(V("y"), n);
  patch.Replace(V("z"), n);
  patch.ProtectOutputs(g, kCopy);
  ExpectApplies(std::move(patch));
  EXPECT_EQ(g.num_nodes(), 2);
  EXPECT_EQ(g.value(g.outputs()[0]).name, "y");
  EXPECT_EQ(g.value(g.outputs()[1]).name, "z");
}

TEST_F(PatchTest, TypesAreMerged) {
  Parse(R"(graph "t" { input %x: float32[N,2] input %y: float32[N,2] %s = ShapeOf(%x)
    %a = Fill(%s) %b = Join(%a, %y) output %b })");
  EXPECT_EQ(g.value(V("a")).type.ToString(), "float32[N,2]");
  Patch patch(g);  // by itself the new node is of unknown sizes
  const ValueId s = patch.AddNode(test::kShapeOf, None(), {V("y")}, "s2");
  patch.Replace(V("a"), patch.AddNode(test::kFill, None(), {s}, "fill"));
  ExpectApplies(std::move(patch));
  EXPECT_EQ(g.value(V("a")).type.ToString(), "float32[N,2]");
}

TEST_F(PatchTest, RefusesOtherTypesAndShapes) {
  Parse("graph \"t\" { input %x: float32[2] input %z: float32[3] %y = Copy(%x) output %y }");
  Patch shape(g);
  shape.Replace(V("y"), shape.AddNode(kCopy, None(), {V("z")}, "n"));
  ExpectRefused(std::move(shape), "'y' is float32[2], its replacement float32[3]");
  Patch type(g);
  type.Replace(V("y"), type.AddNode(test::kCast, None(), {V("x")}, "n"));
  ExpectRefused(std::move(type), "its replacement int64[2]");
  Patch infer(g);
  infer.Replace(V("y"), infer.AddNode(kJoin, None(), {V("x"), V("z")}, "n"));
  ExpectRefused(std::move(infer), "new node 'n' (Join)");
  Patch arity(g);
  arity.Replace(V("y"), arity.AddNode(kJoin, None(), {V("x")}, "n"));
  ExpectRefused(std::move(arity), "input 1 ('b') is missing");
}

TEST_F(PatchTest, RefusesCyclesNearAndFar) {
  std::string text = "graph \"t\" { input %x: float32[2] %v0 = Copy(%x) ";
  for (int i = 1; i < 200; ++i) text += StrCat("%v", i, " = Copy(%v", i - 1, ") ");
  Parse(text + "output %v199 }");
  Patch near(g);
  near.Replace(V("v1"), V("v3"));
  ExpectRefused(std::move(near), "cycle");
  Patch far(g);
  far.Replace(V("v0"), far.AddNode(kCopy, None(), {V("v198")}, "n"));
  ExpectRefused(std::move(far), "cycle");
  Patch fine(g);
  fine.Replace(V("v198"), fine.AddNode(kCopy, None(), {V("v0")}, "n"));
  ExpectApplies(std::move(fine));
  EXPECT_EQ(g.num_nodes(), 3);
}

TEST_F(PatchTest, RefusesAStalePatch) {
  Parse("graph \"t\" { input %x: float32[2] %y = Copy(%x) output %y }");
  Patch patch(g);
  patch.Replace(V("y"), patch.AddNode(test::kKnob, Params::Of(test::KnobParams{}), {V("x")}, "k"));
  g.AddConstant("later", Tensor::Scalar(1.f));
  ExpectRefused(std::move(patch), "another state of the graph");
}

}  // namespace
}  // namespace sula
