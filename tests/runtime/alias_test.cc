// Views, concatenations, in-place and outputs: each as a graph whose results must not change.
#include <gtest/gtest.h>

#include "ops/catalogue.h"
#include "plan_harness.h"
#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

TEST(Aliases, ConcatOfConvolutionsCopiesNothing) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,4,6,6]
    const %w: float32[8,4,1,1] = random(1)
    const %v: float32[3,4,3,3] = random(2)
    const %u: float32[2,11,1,1] = random(3)
    %a = Conv(%x, %w)
    %b = Conv(%x, %v) {pads=[1, 1, 1, 1]}
    %c = Concat(%a, %b) {axis=1}
    %y = Conv(%c, %u)
    output %y
  })");
  for (bool pad : {false, true}) {
    const PlanOnBackends made = ExpectSameAsEvaluate(g, {.pad_pixels = pad});
    // The input to channel-last, the output back: nothing else.
    EXPECT_EQ(made.CountKernel("copy"), 2);
    EXPECT_EQ(made.CountKernel("alias"), 1);
  }
}

TEST(Aliases, DenseBlockGrowsInPlace) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,4,4,4]
    const %w0: float32[4,4,1,1] = random(1)
    const %w1: float32[3,4,1,1] = random(2)
    const %w2: float32[3,7,1,1] = random(3)
    const %w3: float32[2,10,1,1] = random(4)
    %a = Conv(%x, %w0)
    %b = Conv(%a, %w1)
    %ab = Concat(%a, %b) {axis=1}
    %c = Conv(%ab, %w2)
    %abc = Concat(%ab, %c) {axis=1}
    %y = Conv(%abc, %w3)
    output %y
  })");
  EXPECT_EQ(ExpectSameAsEvaluate(g).CountKernel("copy"), 2);
}

TEST(Aliases, ValueInTwoConcatsIsCopiedOnce) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,4,4,4]
    const %w: float32[4,4,1,1] = random(1)
    %a = Conv(%x, %w)
    %b = Conv(%a, %w)
    %c = Concat(%a, %b) {axis=1}
    %d = Concat(%b, %a) {axis=1}
    %e = Add(%c, %d)
    %p = MaxPool(%e) {kernel=[2, 2]}
    output %p
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 2);  // the input and the output
  EXPECT_EQ(made.CountKernel("move"), 1);  // both parts of the second one
}

TEST(Aliases, SameValueTwiceInAConcat) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,2,3,3]
    const %w: float32[4,2,1,1] = random(1)
    %a = Conv(%x, %w)
    %c = Concat(%a, %a, %x) {axis=1}
    %p = MaxPool(%c) {kernel=[2, 2]}
    output %p
  })");
  ExpectSameAsEvaluate(g);
}

TEST(Aliases, SplitAndSliceOfChannelsAreViews) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,4,4,4]
    const %w: float32[6,4,1,1] = random(1)
    const %v: float32[5,3,3,3] = random(2)
    const %starts: int64[1] = [1]
    const %ends: int64[1] = [5]
    const %axes: int64[1] = [1]
    %a = Conv(%x, %w)
    %s, %t = Split(%a) {axis=1}
    %u = Conv(%s, %v)
    %r = Relu(%t)
    %q = Slice(%a, %starts, %ends, %axes)
    %m = MaxPool(%q) {kernel=[2, 2]}
    output %u, %r, %m
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 4);  // the input, the three outputs
  EXPECT_EQ(made.CountKernel("alias"), 2);
}

TEST(Aliases, TransposesBetweenLayoutsAreFree) {
  // A channel-last model: its input and output are NHWC.
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,5,6,3]
    const %w: float32[4,3,3,3] = random(1)
    %t = Transpose(%x) {perm=[0, 3, 1, 2]}
    %a = Conv(%t, %w)
    %r = Relu(%a)
    %y = Transpose(%r) {perm=[0, 2, 3, 1]}
    output %y
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 0);
  EXPECT_EQ(made.CountKernel("alias"), 2);
}

TEST(Aliases, ChannelShuffleIsOneCopy) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,4,6,6]
    const %w: float32[8,4,1,1] = random(1)
    const %groups: int64[5] = [1, 2, 4, 6, 6]
    const %map: int64[4] = [1, 8, 6, 6]
    %a = Conv(%x, %w)
    %r = Reshape(%a, %groups)
    %t = Transpose(%r) {perm=[0, 2, 1, 3, 4]}
    %s = Reshape(%t, %map)
    %u, %v = Split(%s) {axis=1}
    %m = MaxPool(%u) {kernel=[2, 2]}
    %n = MaxPool(%v) {kernel=[2, 2]}
    output %m, %n
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 4);  // the input, the shuffle, the outputs
  EXPECT_EQ(made.CountKernel("alias"), 3);
  EXPECT_EQ(made.CountKernel("merged"), 1);  // the last reshape, which is the shuffle
}

TEST(Aliases, AttentionHeadsAreOneCopyEach) {
  // Query, key and value in one matrix: cut, split into heads, transposed.
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,5,24]
    const %heads: int64[4] = [2, 5, 2, 4]
    %r = Relu(%x)
    %q, %k, %v = Split(%r) {axis=2}
    %q4 = Reshape(%q, %heads)
    %k4 = Reshape(%k, %heads)
    %qt = Transpose(%q4) {perm=[0, 2, 1, 3]}
    %kt = Transpose(%k4) {perm=[0, 2, 3, 1]}
    %s = MatMul(%qt, %kt)
    output %s, %v
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 3);
  EXPECT_EQ(made.CountKernel("alias"), 5);
}

TEST(Aliases, AttentionReadsHeadsWhereTheyLie) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,5,6]
    const %w: float32[6,24] = random(1)
    const %heads: int64[5] = [2, 5, 3, 2, 4]
    const %rows: int64[3] = [2, 5, 8]
    const %axis: int64[1] = [0]
    %p = MatMul(%x, %w)
    %r = Reshape(%p, %heads)
    %t = Transpose(%r) {perm=[2, 0, 3, 1, 4]}
    %q1, %k1, %v1 = Split(%t)
    %q = Squeeze(%q1, %axis)
    %k = Squeeze(%k1, %axis)
    %v = Squeeze(%v1, %axis)
    %a = Attention(%q, %k, %v) {scale=0.01, heads_inside=true}
    %y = Reshape(%a, %rows)
    %n = Neg(%y)
    output %n
  })");
  const PlanOnBackends made = MakePlan(g, {.cpu = true});
  ASSERT_TRUE(made.plan);
  EXPECT_EQ(made.CountKernel("copy") + made.CountKernel("move"), 0);
  EXPECT_EQ(made.CountKernel("blocks"), 1);
  const std::vector<Tensor> inputs = RandomInputs(g, 1);
  const auto expected = EvaluateGraph(g, inputs);
  ASSERT_TRUE(expected);
  const Tensor actual = RunPlan(*made.plan, g, inputs)[0];
  // Scores and values are sums of 6 products of numbers below 4, in some roundings each.
  for (int64_t i = 0; i < actual.num_elements(); ++i)
    EXPECT_NEAR(actual.AsDouble(i), (*expected)[0].AsDouble(i), 1e-4) << i;
}

TEST(Aliases, ManyAxesAreCopiedByKernels) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,1,3,1,2,1,2,1,3]
    %r = Relu(%x)
    %t = Transpose(%r) {perm=[8, 0, 1, 2, 3, 4, 5, 6, 7]}
    %y = Neg(%t)
    output %y
  })");
  ExpectSameAsEvaluate(g);
}

TEST(Aliases, PooledMapsFlattenWithoutCopy) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,4,4,4]
    const %w: float32[6,4,1,1] = random(1)
    %a = Conv(%x, %w)
    %p = GlobalAveragePool(%a)
    %f = Flatten(%p)
    output %f
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 1);  // the input
}

TEST(Aliases, ReshapeOfAMapCopiesOnceForAllReaders) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,4,4,4]
    const %w: float32[6,4,1,1] = random(1)
    const %shape: int64[2] = [2, 96]
    %a = Conv(%x, %w)
    %f = Reshape(%a, %shape)
    %e = Reshape(%a, %shape)
    %y = Add(%f, %e)
    %m = MaxPool(%a) {kernel=[2, 2]}
    output %y, %m
  })");
  EXPECT_EQ(ExpectSameAsEvaluate(g).CountKernel("copy"), 3);
}

TEST(Aliases, InPlaceOnlyIfNobodyReadsTheInputAgain) {
  const Graph chain = ParseOrFail(R"(graph "g" {
    input %x: float32[1,8,32,32]
    const %w: float32[8,8,1,1] = random(1)
    %a = Conv(%x, %w)
    %b = Relu(%a)
    %c = Sigmoid(%b)
    %y = MaxPool(%c) {kernel=[2, 2]}
    output %y
  })");
  const PlanReport one = ExpectSameAsEvaluate(chain).plan->report();
  const Graph twice = ParseOrFail(R"(graph "g" {
    input %x: float32[1,8,32,32]
    const %w: float32[8,8,1,1] = random(1)
    %a = Conv(%x, %w)
    %b = Relu(%a)
    %c = Sigmoid(%b)
    %d = Add(%c, %a)
    %y = MaxPool(%d) {kernel=[2, 2]}
    output %y
  })");
  const PlanReport two = ExpectSameAsEvaluate(twice).plan->report();
  const size_t map = 8 * 32 * 32 * 4;
  // The copy of the input and the convolution's result, then one block for all.
  EXPECT_GE(one.arena_bytes, 2 * map);
  EXPECT_LT(one.arena_bytes, 2 * map + map / 2);
  EXPECT_GE(two.arena_bytes, 2 * map);
  EXPECT_LT(two.arena_bytes, 3 * map + map / 2);
}

TEST(Aliases, InPlaceWithTheSameValueTwice) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,8]
    %a = Relu(%x)
    %b = Mul(%a, %a)
    %c = Sub(%b, %a)
    output %c
  })");
  ExpectSameAsEvaluate(g);
}

TEST(Aliases, OutputsThatAreReadTwiceOrViewed) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,8]
    const %k: float32[3] = [1, 2, 3]
    const %shape: int64[2] = [4, 4]
    %a = Relu(%x)
    %b = Neg(%a)
    %v = Reshape(%a, %shape)
    %w = Reshape(%x, %shape)
    output %a, %b, %a, %v, %x, %k, %w, %x, %k
  })");
  ExpectSameAsEvaluate(g);
}

TEST(Aliases, OutputAlsoPartOfAConcat) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,2,3,3]
    const %w: float32[4,2,1,1] = random(1)
    %a = Conv(%x, %w)
    %b = Conv(%x, %w)
    %c = Concat(%a, %b) {axis=1}
    output %a, %c
  })");
  ExpectSameAsEvaluate(g);
}

TEST(Aliases, ConcatOfRowsIntoTheOutput) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,3]
    input %y: float32[4,3]
    %a = Relu(%x)
    %b = Neg(%y)
    %c = Concat(%a, %b) {axis=0}
    %d = Concat(%a, %x) {axis=1}
    output %c, %d
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g);
  EXPECT_EQ(made.CountKernel("copy"), 0);  // %d by a kernel, %c in place
}

TEST(Aliases, BroadcastOverChannels) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[2,4,3,3]
    const %w: float32[4,4,1,1] = random(1)
    const %s: float32[4,1,1] = random(2)
    %a = Conv(%x, %w)
    %b = Mul(%a, %s)
    %p = GlobalAveragePool(%b)
    %c = Mul(%b, %p)
    output %c
  })");
  ExpectSameAsEvaluate(g);
}

TEST(Aliases, NothingToCompute) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[0,4,3,3]
    const %w: float32[4,4,1,1] = random(1)
    %a = Relu(%x)
    %c = Concat(%a, %x) {axis=0}
    output %c
  })");
  ExpectSameAsEvaluate(g);
}

TEST(PaddedPixelStride, PowersOfTwoFrom64) {
  EXPECT_EQ(PaddedPixelStride(32), 32);
  EXPECT_EQ(PaddedPixelStride(64), 80);
  EXPECT_EQ(PaddedPixelStride(96), 96);
  EXPECT_EQ(PaddedPixelStride(256), 272);
}

TEST(Aliases, PaddedMaps) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[1,64,3,3]
    const %w: float32[64,64,1,1] = random(1)
    %a = Conv(%x, %w)
    %b = Relu(%a)
    %s, %t = Split(%b) {axis=1}
    %c = Add(%s, %t)
    %d = Concat(%c, %s) {axis=1}
    %p = GlobalAveragePool(%d)
    %f = Flatten(%p)
    output %f, %d
  })");
  const PlanOnBackends made = ExpectSameAsEvaluate(g, {.pad_pixels = true});
  EXPECT_NE(made.plan->report().nodes[1].outputs[0].find("stride 80"), std::string::npos)
      << made.plan->report().nodes[1].outputs[0];
}

}  // namespace
}  // namespace sula
