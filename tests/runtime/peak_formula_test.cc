#include "runtime/prepare/peak_formula.h"

#include <gtest/gtest.h>

#include "plan_harness.h"
#include "runtime/session.h"

namespace sula {
namespace {

std::vector<TensorType> InputTypes(const Graph& graph, const DimBindings& sizes) {
  std::vector<TensorType> types;
  for (ValueId v : graph.inputs()) {
    types.push_back(graph.value(v).type);
    types.back().shape = types.back().shape->Substitute(sizes);
  }
  return types;
}

PeakFormula PeakOf(const Graph& graph) {
  auto peak = ActivationPeak(graph);
  EXPECT_TRUE(peak) << peak.error().ToString();
  return peak ? *std::move(peak) : PeakFormula();
}

void ExpectHoldsFor(const Graph& graph, const PeakFormula& peak, const DimBindings& sizes) {
  const auto expected = ActivationPeakOf(graph, InputTypes(graph, sizes));
  ASSERT_TRUE(expected) << expected.error().ToString();
  const auto actual = peak.Evaluate(sizes);
  ASSERT_TRUE(actual) << actual.error().ToString();
  EXPECT_EQ(*actual, *expected) << peak.ToString();
}

// A network with a residual, a concatenation, views and sizes that are halved.
constexpr std::string_view kNet = R"(graph "g" {
  input %x: float32[N,8,H,W]
  const %w: float32[16,8,3,3] = random(1)
  const %v: float32[32,16,3,3] = random(2)
  const %u: float32[16,16,1,1] = random(3)
  %a = Conv(%x, %w) {pads=[1, 1, 1, 1]}
  %b = Conv(%a, %u)
  %r = Relu(%b)
  %s = Add(%a, %r)
  %c = Conv(%s, %v) {pads=[1, 1, 1, 1], strides=[2, 2]}
  %p = MaxPool(%s) {kernel=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]}
  %d = Concat(%c, %p) {axis=1}
  %e = Sigmoid(%d)
  %g = GlobalAveragePool(%e)
  %y = Flatten(%g)
  output %y
})";

TEST(PeakFormula, ChainIsTheLargestPair) {
  const Graph graph = ParseOrFail(R"(graph "g" {
  input %x: float32[N,3,H,W]
  const %w: float32[8,3,1,1] = random(1)
  const %v: float32[16,8,1,1] = random(2)
  const %u: float32[4,16,1,1] = random(3)
  %a = Conv(%x, %w)
  %b = Conv(%a, %v)
  %c = Conv(%b, %u)
  %y = ReduceMax(%c)
  output %y
})");
  const PeakFormula peak = PeakOf(graph);
  // 8 and 16 channels of 4 bytes; 16 and 4 are less whatever the sizes.
  EXPECT_EQ(peak.ToString(), "H*N*W*96");
}

TEST(PeakFormula, ElementwiseChainsNeedOneBlock) {
  const Graph graph = ParseOrFail(R"(graph "g" {
  input %x: float32[N,5]
  %a = Relu(%x)
  %b = Sigmoid(%a)
  %c = Tanh(%b)
  %y = ReduceMax(%c)
  output %y
})");
  EXPECT_EQ(PeakOf(graph).ToString(), "N*20");
}

TEST(PeakFormula, EqualsTheSumForEverySize) {
  const Graph graph = ParseOrFail(kNet);
  const PeakFormula peak = PeakOf(graph);
  for (int64_t h : {2, 7, 31, 224})
    for (int64_t w : {2, 8, 33}) ExpectHoldsFor(graph, peak, {{"N", 1}, {"H", h}, {"W", w}});
}

TEST(PeakFormula, IsLessThanTheSumOfBatches) {
  // In row-major batches the parts of a concatenation are not dense, so that they are copied.
  const Graph graph = ParseOrFail(kNet);
  const DimBindings sizes = {{"N", 2}, {"H", 30}, {"W", 30}};
  const auto sum = ActivationPeakOf(graph, InputTypes(graph, sizes));
  const auto formula = PeakOf(graph).Evaluate(sizes);
  ASSERT_TRUE(sum && formula);
  EXPECT_LE(*formula, *sum);
}

TEST(PeakFormula, ShapeArithmeticNeedsNothing) {
  const Graph graph = ParseOrFail(R"(graph "g" {
  input %x: float32[B,T,12]
  const %minus: int64[1] = [-1]
  const %three: int64[1] = [3]
  const %zero: int64[1] = [0]
  const %one: int64[1] = [1]
  %s = Shape(%x)
  %b = Slice(%s, %zero, %one)
  %t = Concat(%b, %minus, %three) {axis=0}
  %a = Relu(%x)
  %r = Reshape(%a, %t)
  %q = Softmax(%r)
  %y = ReduceMax(%q)
  output %y
})");
  const PeakFormula peak = PeakOf(graph);
  EXPECT_EQ(peak.ToString(), "B*T*96") << "the reshape is a view, softmax has a result of its own";
  ExpectHoldsFor(graph, peak, {{"B", 3}, {"T", 7}});
}

TEST(PeakFormula, OfConcreteGraphsIsANumber) {
  const Graph graph = ParseOrFail(R"(graph "g" {
  input %x: float32[2,8]
  %y = Relu(%x)
  output %y
})");
  EXPECT_EQ(PeakOf(graph).ToString(), "0") << "input and output have memory of their own";
}

TEST(PeakFormula, ValuesSizedByDataAreNotCounted) {
  const Graph graph = ParseOrFail(R"(graph "g" {
  input %x: float32[N]
  input %s: int64[2]
  %a = Reshape(%x, %s)
  %y = Relu(%a)
  output %y
})");
  EXPECT_EQ(PeakOf(graph).ToString(), "0");
}

TEST(PeakFormula, PlansNeedAtLeastThat) {
  const Graph graph = ParseOrFail(kNet);
  const PeakFormula peak = PeakOf(graph);
  auto model = Model::FromGraph(graph);
  ASSERT_TRUE(model);
  for (const char* backend : {"null", "cpu"}) {
    for (int64_t size : {16, 40, 64}) {
      const auto session = Session::Create(*model, {.threads = 1, .backend = backend},
                                           {{"x", {1, 8, size, 2 * size}}});
      ASSERT_TRUE(session) << session.error().ToString();
      const auto least = peak.Evaluate({{"N", 1}, {"H", size}, {"W", 2 * size}});
      ASSERT_TRUE(least);
      EXPECT_GE((*session)->Report().arena_bytes, static_cast<size_t>(*least)) << backend;
    }
  }
}

}  // namespace
}  // namespace sula
