// The CPU backend's chains in whole plans, taken wherever they can be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/host.h"
#include "backends/cpu/kernel_table.h"
#include "plan_harness.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

double Free(const ChainRequest&) { return 0; }

// The CPU's kernels, with chains that cost nothing.
class EagerBackend : public HostBackend {
 public:
  std::string_view name() const override { return "cpu"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override { return CpuKernels(op); }
  std::span<const ChainEntry> Chains() const override { return chains_; }

 private:
  std::vector<ChainEntry> chains_ = [] {
    std::vector<ChainEntry> chains(CpuChains().begin(), CpuChains().end());
    for (ChainEntry& c : chains) c.estimate = Free;
    return chains;
  }();
};
std::unique_ptr<Backend> MakeEager() { return std::make_unique<EagerBackend>(); }

// The kernels that compute several nodes.
std::vector<std::string> ChainsOf(const PlanOnBackends& made) {
  std::vector<std::string> names;
  for (const NodeReport& node : made.plan->report().nodes)
    if (!node.chain.empty()) names.push_back(node.kernel);
  return names;
}

// The graph with constants of small whole numbers, so that sums are exact.
Graph Parse(std::string_view text) {
  Graph g = ParseOrFail(text);
  for (ValueId v = 0; v < g.value_slots(); ++v)
    if (const Tensor* constant = g.Constant(v))
      g.value(v).constant =
          std::make_shared<Tensor>(WholeNumbers(constant->dtype(), constant->dims(), 17 + v));
  return g;
}

void Expect(std::string_view text, const std::vector<std::string>& chains) {
  const Graph g = Parse(text);
  for (int threads : {1, 2}) {
    for (bool pad : {false, true}) {
      SCOPED_TRACE(testing::Message() << threads << " threads" << (pad ? ", padded" : ""));
      const PlanOnBackends made =
          ExpectSameAsEvaluate(g, {.pad_pixels = pad, .threads = threads, .backend = MakeEager});
      ASSERT_TRUE(made.plan);
      EXPECT_THAT(ChainsOf(made), testing::UnorderedElementsAreArray(chains));
    }
  }
}

std::string Reasons(std::string_view text) {
  const PlanOnBackends made = ExpectSameAsEvaluate(Parse(text), {.backend = MakeEager});
  std::string reasons;
  for (const NodeReport& node : made.plan->report().nodes)
    for (const CandidateReport& c : node.candidates)
      if (c.nodes > 1) reasons += c.kernel + ": " + c.refused + "\n";
  return reasons;
}

TEST(CpuChains, InvertedResidual) {
  Expect(R"(graph "g" {
  input %x: float32[2,64,9,7]
  const %a: float32[70,64,1,1] = random(1)
  const %b: float32[70] = random(2)
  const %d: float32[70,1,3,3] = random(3)
  const %p: float32[64,70,1,1] = random(4)
  %r = Relu(%x)
  %e = Conv(%r, %a, %b) {activation="clip", activation_a=0.0, activation_b=600.0}
  %f = Conv(%e, %d) {pads=[1, 1, 1, 1], group=70, activation="relu"}
  %y = Conv(%f, %p, _, %r)
  %z = Relu(%y)
  output %z
})",
         {"bands_1x1_depthwise_1x1"});
}

TEST(CpuChains, EntryOfANet) {
  Expect(R"(graph "g" {
  input %x: float32[1,3,21,18]
  const %a: float32[20,3,3,3] = random(1)
  const %d: float32[20,1,3,3] = random(3)
  const %p: float32[11,20,1,1] = random(4)
  const %q: float32[11] = random(5)
  %e = Conv(%x, %a) {strides=[2, 2], pads=[1, 1, 1, 1], activation="relu"}
  %f = Conv(%e, %d) {pads=[1, 1, 1, 1], group=20, activation="relu"}
  %y = Conv(%f, %p, %q)
  output %y
})",
         {"bands_planar_depthwise_1x1"});
}

TEST(CpuChains, PairsAndPartsOfConcatenations) {
  Expect(R"(graph "g" {
  input %x: float32[1,24,12,10]
  const %d: float32[24,1,3,3] = random(3)
  const %p: float32[9,24,1,1] = random(4)
  const %a: float32[30,24,1,1] = random(1)
  const %e: float32[30,1,5,5] = random(5)
  %f = Conv(%x, %d) {pads=[1, 1, 1, 1], strides=[2, 2], group=24, activation="relu"}
  %g = Conv(%f, %p)
  %h = Conv(%x, %a) {activation="relu"}
  %i = Conv(%h, %e) {pads=[2, 2, 2, 2], strides=[2, 2], group=30}
  %y = Concat(%g, %i) {axis=1}
  %z = MaxPool(%y) {kernel=[2, 2]}
  output %z
})",
         {"bands_depthwise_1x1", "bands_1x1_depthwise"});
}

TEST(CpuChains, ConvolutionAndPool) {
  Expect(R"(graph "g" {
  input %x: float32[2,3,31,29]
  const %a: float32[12,3,7,7] = random(1)
  const %b: float32[20,12,3,3] = random(3)
  %c = Conv(%x, %a) {strides=[2, 2], pads=[3, 3, 3, 3], activation="relu"}
  %d = MaxPool(%c) {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]}
  %e = Conv(%d, %b) {pads=[1, 1, 1, 1]}
  %y = MaxPool(%e) {kernel=[2, 2], strides=[2, 2]}
  output %y
})",
         {"bands_planar_maxpool", "bands_conv_maxpool"});
}

TEST(CpuChains, RefusalsNameTheNode) {
  EXPECT_THAT(Reasons(R"(graph "g" {
  input %x: float32[1,8,9,7]
  input %s: float32[1,16,9,7]
  const %a: float32[16,8,1,1] = random(1)
  const %d: float32[16,1,7,7] = random(3)
  %e = Conv(%x, %a, _, %s)
  %f = Conv(%e, %d) {pads=[3, 3, 3, 3], group=16}
  output %f
})"),
              testing::AllOf(HasSubstr("bands_1x1_depthwise: node 1"),
                             HasSubstr("a residual within the chain")));
  EXPECT_THAT(Reasons(R"(graph "g" {
  input %x: float32[1,8,9,7]
  const %a: float32[16,8,1,1] = random(1)
  const %d: float32[16,1,7,7] = random(3)
  %e = Conv(%x, %a)
  %f = Conv(%e, %d) {pads=[3, 3, 3, 3], group=16}
  output %f
})"),
              testing::AllOf(HasSubstr("bands_1x1_depthwise: node 2"),
                             HasSubstr("a window without fast depthwise kernel")));
}

}  // namespace
}  // namespace sula
