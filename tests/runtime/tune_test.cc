// Choices that come from measured times and from scheme locks.
#include "runtime/prepare/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <random>

#include "backend/host.h"
#include "backends/reference/reference_backend.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "plan_harness.h"
#include "runtime/plan.h"
#include "runtime/prepare/requests.h"
#include "runtime/session.h"

namespace sula {
namespace {

using testing::HasSubstr;

// ---- a backend whose kernels only take time, and whose estimates are what a test wants

std::mt19937 g_random(1);
bool g_random_estimates = false;
int g_runs[3], g_alive = 0, g_most_alive = 0;
int g_microseconds_in_plan[3];  // of a kernel among those of whole plans; 0: as it is by itself
double g_fast_estimate;

double Estimate(double seconds) {
  return g_random_estimates ? std::uniform_real_distribution<double>(1e-6, 1e-3)(g_random)
                            : seconds;
}

class SpinKernel : public Kernel {
 public:
  explicit SpinKernel(int which) : which_(which) {
    g_most_alive = std::max(g_most_alive, ++g_alive);
  }
  ~SpinKernel() override { --g_alive; }
  void Run(const RunArgs&) const noexcept override {
    ++g_runs[which_];
    // Far enough apart that what else runs on the machine does not change their order.
    static constexpr int kMicroseconds[] = {1000, 50, 4000};
    const bool in_plan = g_alive > 4 && g_microseconds_in_plan[which_] > 0;
    const auto end =
        std::chrono::steady_clock::now() +
        std::chrono::microseconds(in_plan ? g_microseconds_in_plan[which_] : kMicroseconds[which_]);
    while (std::chrono::steady_clock::now() < end) {
    }
  }

 private:
  int which_;
};

template <int kWhich>
Result<std::unique_ptr<Kernel>> Make(const KernelRequest&) {
  return std::unique_ptr<Kernel>(std::make_unique<SpinKernel>(kWhich));
}
void ChannelLast(const KernelRequest&, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kChannelLast;
}
void Follow(const KernelRequest&, std::span<LayoutNeed> inputs, std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kFollow;
}

// Estimates put the slow ones first.
constexpr KernelEntry kSpatial[] = {
    {.name = "slow",
     .layouts = ChannelLast,
     .estimate = [](const KernelRequest&) { return Estimate(10e-6); },
     .create = Make<0>},
    {.name = "fast",
     .estimate = [](const KernelRequest&) { return Estimate(g_fast_estimate); },
     .create = Make<1>},
    {.name = "snail",
     .layouts = ChannelLast,
     .estimate = [](const KernelRequest&) { return Estimate(15e-6); },
     .create = Make<2>},
    {.name = "picky",
     .accept = [](const KernelRequest&) { return Verdict::No("it is picky"); },
     .estimate = [](const KernelRequest&) { return Estimate(1e-9); },
     .create = Make<2>}};
constexpr KernelEntry kFollow[] = {
    {.name = "slow",
     .layouts = Follow,
     .estimate = [](const KernelRequest&) { return Estimate(10e-6); },
     .create = Make<0>},
    {.name = "fast",
     .layouts = Follow,
     .estimate = [](const KernelRequest&) { return Estimate(20e-6); },
     .create = Make<1>}};

// A convolution and what follows it at once, dearer by its estimates than both apart.
constexpr const OpDef* kConvRelu[] = {&op::kConv, &op::kRelu};
void ChainLayouts(const ChainRequest&, std::span<LayoutNeed>, std::span<LayoutNeed>) {}
template <int kWhich>
constexpr ChainEntry kChain = {
    .name = kWhich == 1 ? "both" : "both_slowly",
    .ops = kConvRelu,
    .layouts = ChainLayouts,
    .accept = [](const ChainRequest&) { return Verdict::Yes(); },
    .estimate = [](const ChainRequest&) { return Estimate(kWhich == 1 ? 90e-6 : 80e-6); },
    .create = [](const ChainRequest&) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<SpinKernel>(kWhich));
    }};
constexpr ChainEntry kChains[] = {kChain<1>, kChain<2>};
bool g_chains = false;

class SpinBackend : public HostBackend {
 public:
  std::string_view name() const override { return "spin"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override {
    if (&op == &op::kConv) return kSpatial;
    if (op.Has(kElementwise)) return kFollow;
    return {};
  }
  std::span<const ChainEntry> Chains() const override {
    return g_chains ? std::span<const ChainEntry>(kChains) : std::span<const ChainEntry>();
  }
  double CopyCost(const TensorDesc&, const TensorDesc&, int) const override {
    return Estimate(1e-6);
  }
};

constexpr std::string_view kNet = R"(graph "net" {
  input %x: float32[1,4,8,8]
  const %w0: float32[4,4,3,3] = random(1)
  const %w1: float32[4,4,3,3] = random(2)
  const %w2: float32[4,4,1,1] = random(3)
  %a = Conv(%x, %w0) {pads=[1, 1, 1, 1]} "first"
  %b = Relu(%a) "act"
  %c = Conv(%b, %w1) {pads=[1, 1, 1, 1]} "second"
  %d = Concat(%b, %c) {axis=1} "join"
  %e, %f = Split(%d) {axis=1} "part"
  %g = Conv(%e, %w2) "point"
  %h = Add(%g, %f) "sum"
  output %h, %d
})";

class Schemes : public testing::Test {
 protected:
  Schemes() : graph_(ParseOrFail(kNet)) {
    backends_[0] = &spin_;
    reference_ = MakeReferenceBackend();
    backends_[1] = reference_.get();
    g_random_estimates = g_chains = false;
    g_fast_estimate = 30e-6;
    std::fill(std::begin(g_microseconds_in_plan), std::end(g_microseconds_in_plan), 0);
    std::fill(std::begin(g_runs), std::end(g_runs), 0);
    g_most_alive = 0;
  }

  Result<std::unique_ptr<Plan>> Make(const PlanOptions& options) {
    return Plan::Make(graph_, *ConcreteInputTypes(graph_, {}), backends_, options);
  }
  static const NodeReport& Node(const Plan& plan, std::string_view name) {
    for (const NodeReport& node : plan.report().nodes)
      if (node.name == name) return node;
    ADD_FAILURE() << "no node " << name;
    return plan.report().nodes[0];
  }
  // Everything that was chosen, copies included.
  static std::string Choices(const Plan& plan) {
    std::string text;
    for (const NodeReport& node : plan.report().nodes) {
      text += StrCat(node.op, " '", node.name, "' ", node.backend, "/", node.kernel);
      for (const auto* values : {&node.inputs, &node.outputs})
        for (const std::string& value : *values) text += " " + value;
      text += "\n";
    }
    return text;
  }

  Graph graph_;
  SpinBackend spin_;
  std::unique_ptr<Backend> reference_;
  Backend* backends_[2];
};

TEST_F(Schemes, MeasuredTimesTakeThePlaceOfEstimates) {
  const auto estimated = Make({});
  ASSERT_TRUE(estimated) << estimated.error().ToString();
  EXPECT_EQ(Node(**estimated, "first").kernel, "slow");
  EXPECT_EQ((*estimated)->report().tune.distinct_nodes, 0);

  std::vector<TuneProgress> progress;
  const auto tuned = Make({.tune = {20, [&](const TuneProgress& p) { progress.push_back(p); }}});
  ASSERT_TRUE(tuned) << tuned.error().ToString();
  EXPECT_EQ(Node(**tuned, "first").kernel, "fast");
  EXPECT_EQ(Node(**tuned, "act").kernel, "fast");
  for (const CandidateReport& c : Node(**tuned, "second").candidates) {
    if (c.kernel == "picky" || c.backend == "reference") {
      EXPECT_EQ(c.measured_seconds, 0);
    } else {
      EXPECT_GE(c.measured_seconds, 20e-6) << c.kernel;
      EXPECT_GE(c.seconds, c.measured_seconds);  // layout copies on top
    }
    if (c.kernel == "slow") {
      EXPECT_DOUBLE_EQ(c.kernel_seconds, 10e-6);
    }
  }
  // first and second are alike but for their weights.
  const TuneReport& report = (*tuned)->report().tune;
  EXPECT_EQ(report.nodes, 5);
  EXPECT_EQ(report.distinct_nodes, 4);
  EXPECT_EQ(report.measured_nodes, 4);
  EXPECT_DOUBLE_EQ(report.covered_seconds, report.predicted_seconds);
  EXPECT_EQ(report.candidates, 3 + 2 + 3 + 2);
  EXPECT_LT(report.seconds, 20);
  EXPECT_EQ(report.outcome, TuneOutcome::kTuned);
  EXPECT_GE(report.tuned_run_seconds, 5 * 50e-6);  // five nodes
  EXPECT_GE(report.untuned_run_seconds, 5 * 1000e-6);
  ASSERT_EQ(progress.size(), 4u);
  EXPECT_EQ(progress[0].op, "Conv");  // two of them: the most at stake
  EXPECT_EQ(progress[3].measured, 3);
}

TEST_F(Schemes, WhatIsBeatenLeavesEarlyAndIsFreed) {
  graph_ = ParseOrFail(R"(graph "net" {
    input %x: float32[1,4,8,8]
    const %w0: float32[4,4,3,3] = random(1)
    %a = Conv(%x, %w0) {pads=[1, 1, 1, 1]} "first"
    output %a
  })");
  ASSERT_TRUE(Make({.tune = {20, {}}}));
  EXPECT_LE(g_runs[2], 2);  // a hundred times slower
  EXPECT_GE(g_runs[1], 4);
  EXPECT_EQ(g_most_alive, 3);
  EXPECT_EQ(g_alive, 0);
}

TEST_F(Schemes, TheBudgetIsKept) {
  const auto plan = Make({.tune = {1e-9, {}}});
  ASSERT_TRUE(plan);
  EXPECT_EQ((*plan)->report().tune.measured_nodes, 0);
  EXPECT_EQ((*plan)->report().tune.distinct_nodes, 4);
  EXPECT_EQ(Node(**plan, "first").kernel, "slow");
  EXPECT_EQ(g_runs[0] + g_runs[1] + g_runs[2], 0);
}

TEST_F(Schemes, ATunedPlanThatIsSlowerIsNotKept) {
  g_microseconds_in_plan[1] = 3000;
  const auto plan = Make({.tune = {20, {}}});
  ASSERT_TRUE(plan) << plan.error().ToString();
  const TuneReport& report = (*plan)->report().tune;
  EXPECT_EQ(report.outcome, TuneOutcome::kUntuned);
  EXPECT_GT(report.tuned_run_seconds, report.untuned_run_seconds);
  EXPECT_EQ(Node(**plan, "first").kernel, "slow");
  // What was measured is told nevertheless.
  for (const CandidateReport& c : Node(**plan, "first").candidates)
    if (c.kernel == "fast") {
      EXPECT_GT(c.measured_seconds, 0);
    }
}

TEST_F(Schemes, WithoutTimeToCompareTheUntunedPlanIsKept) {
  // A run takes half a second; the budget is enough for the kernels by themselves.
  g_microseconds_in_plan[0] = g_microseconds_in_plan[1] = 100000;
  const auto plan = Make({.tune = {0.6, {}}});
  ASSERT_TRUE(plan) << plan.error().ToString();
  EXPECT_EQ((*plan)->report().tune.outcome, TuneOutcome::kUncompared);
  EXPECT_EQ((*plan)->report().tune.tuned_run_seconds, 0);
  EXPECT_EQ(Node(**plan, "first").kernel, "slow");
}

TEST_F(Schemes, WhereTuningChangesNothingNothingIsCompared) {
  graph_ = ParseOrFail(R"(graph "net" {
    input %x: float32[1,4,8,8]
    const %w0: float32[4,4,1,1] = random(1)
    %a = Conv(%x, %w0) "first"
    output %a
  })");
  g_fast_estimate = 5e-6;
  const auto plan = Make({.tune = {20, {}}});
  ASSERT_TRUE(plan) << plan.error().ToString();
  EXPECT_EQ((*plan)->report().tune.outcome, TuneOutcome::kSame);
  EXPECT_EQ((*plan)->report().tune.tuned_run_seconds, 0);
  EXPECT_EQ(Node(**plan, "first").kernel, "fast");
}

TEST_F(Schemes, ChainsAreTimedAndLocked) {
  g_chains = true;
  const auto estimated = Make({});
  ASSERT_TRUE(estimated) << estimated.error().ToString();
  EXPECT_EQ(Node(**estimated, "first").kernel, "slow");
  const auto tuned = Make({.tune = {20, {}}});
  ASSERT_TRUE(tuned) << tuned.error().ToString();
  const NodeReport& first = Node(**tuned, "first");
  EXPECT_EQ(first.kernel, "both");
  EXPECT_EQ(first.op, "Conv + Relu");
  EXPECT_THAT(first.chain, testing::ElementsAre("act"));
  for (const CandidateReport& c : first.candidates)
    if (c.nodes > 1) {
      EXPECT_GE(c.measured_seconds, 20e-6) << c.kernel;
    }
  EXPECT_EQ((*tuned)->report().tune.distinct_nodes, 5);  // four nodes, a chain

  SchemeLock lock;
  lock.nodes = (*tuned)->schemes();
  g_random_estimates = true;
  for (int i = 0; i < 10; ++i) {
    const auto again = Make({.lock = &lock});
    ASSERT_TRUE(again) << again.error().ToString();
    EXPECT_EQ(Node(**again, "first").kernel, "both");
    EXPECT_EQ(Choices(**again), Choices(**tuned));
  }
  const auto without = Make({.chains = false, .lock = &lock});
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().ToString(), HasSubstr("no kernel 'spin/both'"));
}

TEST_F(Schemes, ALockDecidesWhateverTheEstimatesSay) {
  const auto plan = Make({.tune = {20, {}}});
  ASSERT_TRUE(plan);
  SchemeLock lock;
  lock.nodes = (*plan)->schemes();
  ASSERT_EQ(lock.nodes.size(), 5u);
  const auto first = Make({.lock = &lock});
  ASSERT_TRUE(first) << first.error().ToString();
  EXPECT_EQ((*first)->report().locked_nodes, 5);
  EXPECT_EQ(Node(**first, "second").kernel, "fast");
  g_random_estimates = true;
  int differs = 0;
  for (int i = 0; i < 20; ++i) {
    const auto again = Make({.lock = &lock});
    ASSERT_TRUE(again) << again.error().ToString();
    EXPECT_EQ(Choices(**again), Choices(**first));
    const auto free = Make({});
    ASSERT_TRUE(free);
    differs += Choices(**free) != Choices(**first);
  }
  EXPECT_GT(differs, 10);  // so the estimates are random
  // What a plan of random choices saves brings that plan back, too.
  for (int i = 0; i < 10; ++i) {
    const auto random = Make({});
    SchemeLock other;
    other.nodes = (*random)->schemes();
    const auto back = Make({.lock = &other});
    ASSERT_TRUE(back) << back.error().ToString();
    for (const NodeScheme& scheme : other.nodes)
      EXPECT_EQ(Node(**back, scheme.name).kernel, scheme.kernel);
  }
}

TEST_F(Schemes, LocksThatDoNotFitNameNodeAndLine) {
  const auto plan = Make({});
  ASSERT_TRUE(plan);
  SchemeLock good;
  good.nodes = (*plan)->schemes();
  for (size_t i = 0; i < good.nodes.size(); ++i) good.nodes[i].line = 10 + static_cast<int>(i);
  const auto expect = [&](const std::function<void(SchemeLock&)>& change,
                          const std::vector<std::string>& says) {
    SchemeLock lock = good;
    change(lock);
    const auto refused = Make({.lock = &lock});
    ASSERT_FALSE(refused) << says[0];
    for (const std::string& part : says) EXPECT_THAT(refused.error().ToString(), HasSubstr(part));
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
    const auto adapted = Make({.lock = &lock, .adapt_lock = true});
    ASSERT_TRUE(adapted) << adapted.error().ToString();
    EXPECT_GE((*adapted)->report().locked_nodes, 4);
  };
  expect([](SchemeLock& l) { l.nodes[0].kernel = "faster"; },
         {"'first'", "line 10", "no kernel 'spin/faster' for Conv", "spin/slow"});
  expect([](SchemeLock& l) { l.nodes[0].kernel = "picky"; },
         {"'first'", "line 10", "refuses the node: it is picky"});
  expect([](SchemeLock& l) { l.nodes[0].outputs = {Layout::kRowMajor}; },
         {"'first'", "line 10", "does not take these layouts"});
  expect([](SchemeLock& l) { l.nodes[0].inputs.pop_back(); }, {"does not take these layouts"});
  expect([](SchemeLock& l) { l.nodes[0].op = "Relu"; },
         {"'first' is a Conv for this kernel, not a Relu"});
  expect([](SchemeLock& l) { l.nodes.erase(l.nodes.begin()); },
         {"'first'", "no line for this node"});
  expect([](SchemeLock& l) { l.nodes.push_back(l.nodes[0]), l.nodes.back().name = "ghost"; },
         {"no node 'ghost'"});
}

TEST(KeyOf, TellsWhatTimeDependsOn) {
  const Graph graph = ParseOrFail(R"(graph "net" {
    input %x: float32[1,4,8,8]
    input %i: int64[2]
    const %w0: float32[4,4,3,3] = random(1)
    const %w1: float32[4,4,3,3] = random(2)
    const %k0: int64[2] = [0, 1]
    const %k1: int64[2] = [1, 3]
    %a = Conv(%x, %w0) {pads=[1, 1, 1, 1]} "a"
    %b = Conv(%a, %w1) {pads=[1, 1, 1, 1]} "b"
    %c = Conv(%b, %w1) {pads=[2, 2, 2, 2], dilations=[2, 2]} "c"
    %d = Gather(%c, %k0) {axis=1} "d"
    %e = Gather(%c, %k1) {axis=1} "e"
    %f = Gather(%c, %i) {axis=1} "f"
    output %d, %e, %f
  })");
  const auto key = [&](std::string_view name, int threads = 1) {
    const Ports ports = PortsOf(graph, *graph.FindNode(name));
    const KernelRequest request =
        ports.Request(graph.node(*graph.FindNode(name)), SchemeOptions{.threads = threads});
    return KeyOf({&request, 1});
  };
  EXPECT_EQ(key("a"), key("b"));
  EXPECT_NE(key("b"), key("c"));
  EXPECT_NE(key("d"), key("e"));
  EXPECT_NE(key("d"), key("f"));
  EXPECT_NE(key("a"), key("a", 2));
}

// ---- through sessions, on the CPU backend

std::shared_ptr<const Model> ModelOf(std::string_view text) {
  auto model = Model::FromGraph(ParseOrFail(text));
  EXPECT_TRUE(model) << model.error().ToString();
  return *model;
}

TEST(SchemesOfSessions, SavedAndUsedAgain) {
  const auto model = ModelOf(kNet);
  const auto tuned = Session::Create(model, {.threads = 1, .tune_seconds = 5});
  ASSERT_TRUE(tuned) << tuned.error().ToString();
  const Result<std::string> text = (*tuned)->Schemes();
  ASSERT_TRUE(text) << text.error().ToString();
  EXPECT_GT((*tuned)->Report().tune.measured_nodes, 0);

  const auto locked = Session::Create(model, {.threads = 1, .schemes = *text});
  ASSERT_TRUE(locked) << locked.error().ToString();
  EXPECT_EQ(*(*locked)->Schemes(), *text);
  const Tensor x = RandomTensor(DType::kFloat32, {1, 4, 8, 8}, 9);
  std::vector<Tensor> results;
  for (Session* session : {tuned->get(), locked->get()}) {
    std::memcpy(session->input_data(0), x.raw(), x.bytes());
    ASSERT_TRUE(session->Run().ok());
    results.push_back(
        Tensor::Borrow(DType::kFloat32, session->output_dims(0), session->output_data(0), nullptr)
            .Clone());
  }
  // The same kernels: the same bits.
  EXPECT_EQ(std::memcmp(results[0].raw(), results[1].raw(), results[0].bytes()), 0);
  // Extra outputs are no other model.
  EXPECT_TRUE(Session::Create(model, {.threads = 1, .schemes = *text, .extra_outputs = {"b"}}));
}

TEST(SchemesOfSessions, AreForOneScope) {
  std::string text(kNet);
  text.replace(text.find("float32[1,"), 10, "float32[N,");
  const auto model = ModelOf(text);
  const InputShapes one = {{"x", {1, 4, 8, 8}}}, two = {{"x", {2, 4, 8, 8}}};
  const auto session = Session::Create(model, {.threads = 1}, one);
  ASSERT_TRUE(session);
  const std::string lock = *(*session)->Schemes();
  const auto expect = [&](const Result<std::unique_ptr<Session>>& refused, std::string_view says) {
    ASSERT_FALSE(refused) << says;
    EXPECT_THAT(refused.error().ToString(), HasSubstr(says));
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  };
  expect(Session::Create(model, {.threads = 2, .schemes = lock}, one), "threads is 1, here 2");
  expect(Session::Create(model, {.threads = 1, .schemes = lock}, two),
         "x[1,4,8,8], here x[2,4,8,8]");
  expect(Session::Create(ModelOf(kNet), {.threads = 1, .schemes = lock}), "the model is ");
  expect(Session::Create(model, {.threads = 1, .schemes = "rubbish", .adapt_schemes = true}, one),
         "not a scheme lock");
  expect(Session::Create(model, {.threads = 1, .tune_seconds = -1}, one), "tune_seconds is -1");
  const auto adapted =
      Session::Create(model, {.threads = 2, .schemes = lock, .adapt_schemes = true}, two);
  ASSERT_TRUE(adapted) << adapted.error().ToString();
  EXPECT_GT((*adapted)->Report().locked_nodes, 0);

  const auto locked = Session::Create(model, {.threads = 1, .schemes = lock}, one);
  ASSERT_TRUE(locked);
  EXPECT_THAT((*locked)->Resize(two).ToString(), HasSubstr("x[1,4,8,8]"));
  EXPECT_TRUE((*locked)->Run().ok());  // it stayed as it was
}

}  // namespace
}  // namespace sula
