// Chains of operators that only move elements: how many commands they come to, and that the numbers
// are those of EvaluateGraph.
#include <gtest/gtest.h>

#include "ir/text.h"
#include "ops/elementwise.h"
#include "ops/random_movement.h"
#include "plan_harness.h"

namespace sula {
namespace {

// What runs, by kernel.
int Commands(const PlanOnBackends& made) {
  return static_cast<int>(made.plan->report().nodes.size()) - made.CountKernel("alias") -
         made.CountKernel("merged");
}

// The same on both backends.
PlanOnBackends ExpectSame(const Graph& g) {
  ExpectSameAsEvaluate(g);
  return ExpectSameAsEvaluate(g, {.cpu = true});
}

TEST(Movement, ChainOfFiveKindsIsOneMove) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,6,5,4]
    const %starts: int64[2] = [1, 0]
    const %ends: int64[2] = [5, 3]
    const %axes: int64[2] = [1, 3]
    const %pads: int64[8] = [0, 0, 1, 0, 0, 0, 1, 2]
    %t = Transpose(%x) {perm=[0, 1, 3, 2]}
    %s = Slice(%t, %starts, %ends, %axes)
    %p = Pad(%s, %pads)
    %c = Concat(%p, %p) {axis=0}
    %e = Relu(%c)
    output %e
  })");
  const PlanOnBackends made = ExpectSame(g);
  EXPECT_EQ(made.CountKernel("move"), 1);
  EXPECT_EQ(Commands(made), 2);  // the move and Relu
}

TEST(Movement, PadThenReshapeThenTransposeIsOneMove) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,2,4,6]
    const %pads: int64[8] = [0, 2, 0, 0, 0, 0, 0, 0]
    const %shape: int64[4] = [2, 2, 4, 6]
    const %back: int64[3] = [4, 4, 6]
    %p = Pad(%x, %pads)
    %r = Reshape(%p, %shape)
    %t = Transpose(%r) {perm=[1, 0, 2, 3]}
    %y = Reshape(%t, %back)
    output %y
  })");
  const PlanOnBackends made = ExpectSame(g);
  EXPECT_EQ(Commands(made), 1);  // into the output
}

TEST(Movement, SliceOfAConcatIsAViewOfThePart) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,3,4]
    input %z: float32[2,5,4]
    const %starts: int64[1] = [4]
    const %ends: int64[1] = [7]
    const %axes: int64[1] = [1]
    %c = Concat(%x, %z) {axis=1}
    %s = Slice(%c, %starts, %ends, %axes)
    %y = ReduceMax(%s) {axes=[2]}
    output %y
  })");
  // The part is [1:4] of %z, of which no reader wants to hear in strides: one copy, of 24 elements.
  const PlanOnBackends made = ExpectSame(g);
  EXPECT_EQ(Commands(made), 2);
  EXPECT_EQ(made.CountKernel("alias"), 1);  // the slice
}

TEST(Movement, ShuffleThenSplitMovesEachHalfOnce) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,8,6,6]
    const %w: float32[8,8,1,1] = random(1)
    const %v: float32[4,4,1,1] = random(2)
    const %groups: int64[5] = [1, 2, 4, 6, 6]
    const %map: int64[4] = [1, 8, 6, 6]
    %a = Conv(%x, %w)
    %r = Reshape(%a, %groups)
    %t = Transpose(%r) {perm=[0, 2, 1, 3, 4]}
    %s = Reshape(%t, %map)
    %left, %right = Split(%s) {axis=1}
    %b = Conv(%right, %v)
    %c = Concat(%left, %b) {axis=1}
    %y = MaxPool(%c) {kernel=[2, 2]}
    output %y
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  // Half of the shuffled map for the convolution, half into the concatenation. The other two copies
  // are those of the input and the output; nothing copies the left half again.
  EXPECT_EQ(made.CountKernel("copy") + made.CountKernel("move"), 4);
  ExpectSameAsEvaluate(g, {.pad_pixels = true});
}

TEST(Movement, ConvolutionWritesIntoTheMiddleOfPaddedChannels) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,4,5,5]
    const %w: float32[6,4,1,1] = random(1)
    const %v: float32[2,9,1,1] = random(2)
    const %pads: int64[8] = [0, 1, 0, 0, 0, 2, 0, 0]
    %a = Conv(%x, %w)
    %p = Pad(%a, %pads)
    %y = Conv(%p, %v)
    output %y
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 2);  // the input and the output
  EXPECT_EQ(made.CountKernel("move"), 1);  // the border
  for (const NodeReport& node : made.plan->report().nodes)
    if (node.kernel == "move") {
      EXPECT_EQ(node.bytes, 2.0 * 3 * 25 * 4) << "more than the border";
    }
}

TEST(Movement, ValueThatAKernelReadsTooIsMadeOnce) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[4,6]
    input %z: float32[2,6]
    const %shape: int64[2] = [12, 3]
    %c = Concat(%x, %z) {axis=0}
    %r = Relu(%c)
    %f = Reshape(%c, %shape)
    %n = Neg(%f)
    output %r, %n
  })");
  const PlanOnBackends made = ExpectSame(g);
  EXPECT_EQ(made.CountKernel("move"), 1);
  EXPECT_EQ(Commands(made), 3);
}

TEST(Movement, WhatAKernelReadsIsMadeInItsPlaceInAConcatenation) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,4,4,4]
    input %z: float32[3,96]
    const %w: float32[6,4,1,1] = random(1)
    const %shape: int64[2] = [2, 96]
    %a = Conv(%x, %w)
    %r = Reshape(%a, %shape)
    %c = Concat(%z, %r) {axis=0}
    %n = Neg(%r)
    output %c, %n
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 2);  // %x to channel-last, %r into %c
  EXPECT_EQ(made.CountKernel("move"), 1);  // %z
}

TEST(Movement, ManyReadersShareOneCopy) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[3,4,5]
    const %pads: int64[6] = [0, 1, 1, 0, 1, 1]
    %p = Pad(%x, %pads)
    %a = Transpose(%p) {perm=[1, 0, 2]}
    %b = Transpose(%p) {perm=[2, 0, 1]}
    %c = Transpose(%p) {perm=[2, 1, 0]}
    %ra = Relu(%a)
    %rb = Relu(%b)
    %rc = Relu(%c)
    output %ra, %rb, %rc
  })");
  const PlanOnBackends made = ExpectSame(g);
  EXPECT_EQ(made.CountKernel("move"), 1);
  EXPECT_EQ(made.CountKernel("alias"), 3);
}

TEST(Movement, EveryElementType) {
  for (const char* type : {"float32", "uint8", "int64", "float16", "bool", "int16"}) {
    const Graph g = ParseOrFail(StrCat("graph \"g\" {\n input %x: ", type,
                                       "[2,5,3,4]\n const %p: int64[8] = "
                                       "[0, 1, 2, 0, 1, 0, 0, 3]\n"
                                       "%t = Transpose(%x) {perm=[0, 2, 3, 1]}\n"
                                       "%y = Pad(%t, %p)\n output %y\n}"));
    EXPECT_EQ(Commands(ExpectSame(g)), 1) << type;
  }
}

TEST(Movement, PaddedWithAValueOfTheRun) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[4,6]
    input %v: float32[]
    const %p: int64[2] = [1, 2]
    const %a: int64[1] = [1]
    %y = Pad(%x, %p, %v, %a)
    output %y
  })");
  EXPECT_EQ(Commands(ExpectSame(g)), 1);
}

TEST(Movement, BoundsOfTheRunAreLeftToKernels) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[4,6]
    const %i: int64[40] = random(1)
    %y = Gather(%x, %i)
    output %y
  })");
  EXPECT_EQ(ExpectSame(g).CountKernel("move"), 0);  // no order in these indices
}

TEST(Movement, GatherOfARangeIsAView) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[4,6]
    const %i: int64[3] = [5, 3, 1]
    const %j: int64[2] = [1, 2]
    const %k: int64[] = [1]
    %r = Relu(%x)
    %a = Gather(%r, %j) {axis=0}
    %b = Neg(%a)
    %c = Gather(%r, %i) {axis=1}
    %d = Gather(%c, %k) {axis=0}
    output %b, %d
  })");
  const PlanOnBackends made = ExpectSame(g);
  EXPECT_EQ(Commands(made), 3);  // Relu, Neg on a view, a copy to the output
}

// ---- random chains

Graph RandomChain(uint32_t seed) {
  RandomMovement random(seed);
  Graph g;
  std::vector<ValueId> values;
  const auto dims_of = [&](ValueId v) { return g.value(v).type.shape->Concrete(); };
  for (int i = 0; i < 2; ++i)
    values.push_back(g.AddInput(
        "", {DType::kFloat32,
             Shape::Of(i == 0 || seed % 2 == 0 ? random.RandomDims() : dims_of(values[0]))}));
  const int64_t length = 2 + random.Pick(7);
  for (int64_t i = 0; i < length; ++i) {
    // Mostly from the end of the chain, now and then from anywhere.
    const ValueId x =
        random.Chance(4) ? values[random.Pick(static_cast<int64_t>(values.size()))] : values.back();
    if (NumElements(dims_of(x)) > 2000) break;
    if (random.Chance(6)) {
      const NodeId id = g.AddNode(op::kNeg, Params::Of(NoParams{}), {x});
      EXPECT_TRUE(InferShapes(g).ok());
      values.push_back(g.node(id).outputs[0]);
    } else {
      random.AddNode(g, x, values);
    }
  }
  g.AddOutput(values.back());
  if (random.Chance(2)) g.AddOutput(values[random.Pick(static_cast<int64_t>(values.size()))]);
  return g;
}

void ExpectChainsTheSame(uint32_t seeds, bool cpu) {
  int moves = 0, merged = 0;
  for (uint32_t seed = 0; seed < seeds; ++seed) {
    const Graph g = RandomChain(seed);
    const PlanOnBackends made = ExpectSameAsEvaluate(g, {.cpu = cpu, .pad_pixels = seed % 2 == 1});
    if (testing::Test::HasFailure())
      FAIL() << "seed " << seed << "\n" << Print(g, {.all_elements = false});
    moves += made.CountKernel("move");
    merged += made.CountKernel("merged");
  }
  // Hundreds of nodes have nothing of their own to run.
  EXPECT_GT(merged, static_cast<int>(seeds / 4));
  EXPECT_GT(moves, static_cast<int>(seeds / 10));
}

TEST(Movement, RandomChainsOnTheLayoutBackend) { ExpectChainsTheSame(600, false); }
TEST(Movement, RandomChainsOnTheCpu) { ExpectChainsTheSame(600, true); }

}  // namespace
}  // namespace sula
