#include "runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <thread>

#include "ir/text.h"
#include "ops/catalogue.h"
#include "plan_harness.h"

namespace sula {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::string_view kConvNet = R"(graph "net" {
  input %x: float32[N,3,12,12]
  const %w0: float32[8,3,3,3] = random(1)
  const %b0: float32[8] = random(2)
  const %w1: float32[8,1,3,3] = random(3)
  const %w2: float32[6,16,1,1] = random(4)
  const %w3: float32[6,5] = random(5)
  %a = Conv(%x, %w0, %b0) {strides=[2, 2], pads=[1, 1, 1, 1], activation="relu"} "stem"
  %d = Conv(%a, %w1) {pads=[1, 1, 1, 1], group=8} "depthwise"
  %s = Sigmoid(%d)
  %c = Concat(%a, %s) {axis=1}
  %p = Conv(%c, %w2) "point"
  %m = MaxPool(%p) {kernel=[2, 2], strides=[2, 2]}
  %g = GlobalAveragePool(%m)
  %f = Flatten(%g)
  %q = MatMul(%f, %w3)
  %y = Softmax(%q)
  output %y, %m
})";

std::shared_ptr<const Model> ModelOf(std::string_view text) {
  auto model = Model::FromGraph(ParseOrFail(text));
  EXPECT_TRUE(model) << model.error().ToString();
  return *model;
}

std::unique_ptr<Session> MakeSession(std::string_view text, const SessionOptions& options = {},
                                     const InputShapes& shapes = {}) {
  auto session = Session::Create(ModelOf(text), options, shapes);
  EXPECT_TRUE(session) << session.error().ToString();
  return session ? *std::move(session) : nullptr;
}

void Fill(Session& session, int i, const Tensor& t) {
  std::memcpy(session.input_data(i), t.raw(), t.bytes());
}

Tensor Output(const Session& session, int i) {
  return Tensor::Borrow(session.output_type(i), session.output_dims(i), session.output_data(i),
                        nullptr)
      .Clone();
}

// Largest difference of two float tensors; infinite if their sizes differ.
double Distance(const Tensor& a, const Tensor& b) {
  if (a.dims() != b.dims()) return INFINITY;
  double largest = 0;
  for (int64_t i = 0; i < a.num_elements(); ++i)
    largest = std::max(largest, std::abs(a.AsDouble(i) - b.AsDouble(i)));
  return largest;
}

// The net's sums have at most 27 products of factors below 1 (then 9, 16, 6), so values stay below
// 30, 270, 4600; each float operation may be off by half an ulp of the sum so far. Softmax and
// pooling do not enlarge errors relative to that.
constexpr double kTolerance = 4600 * (27 + 9 + 16 + 9 + 6) * 6e-8 * 2;

TEST(Session, BackendsAgreeWithEvaluate) {
  for (const char* backend : {"", "cpu", "reference"}) {
    for (int threads : {1, 2}) {
      const auto session =
          MakeSession(kConvNet, {.threads = threads, .backend = backend}, {{"x", {2, 3, 12, 12}}});
      ASSERT_TRUE(session);
      const Tensor x = RandomTensor(DType::kFloat32, {2, 3, 12, 12}, 9);
      Fill(*session, 0, x);
      ASSERT_TRUE(session->Run().ok());
      const auto expected = EvaluateGraph(ParseOrFail(kConvNet), {{x}});
      ASSERT_TRUE(expected);
      EXPECT_LT(Distance(Output(*session, 0), (*expected)[0]), kTolerance) << backend;
      EXPECT_LT(Distance(Output(*session, 1), (*expected)[1]), kTolerance) << backend;
    }
  }
}

TEST(Session, NullBackendPlansAndRuns) {
  const auto session = MakeSession(kConvNet, {.backend = "null"}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  EXPECT_TRUE(session->Run().ok());
  for (const NodeReport& node : session->Report().nodes) EXPECT_NE(node.backend, "reference");
}

TEST(Session, DescribesInputsAndOutputs) {
  const auto session = MakeSession(kConvNet, {}, {{"x", {2, 3, 12, 12}}});
  ASSERT_TRUE(session);
  EXPECT_EQ(session->num_inputs(), 1);
  EXPECT_EQ(session->num_outputs(), 2);
  EXPECT_EQ(session->input_name(0), "x");
  EXPECT_EQ(session->output_name(1), "m");
  EXPECT_EQ(session->input_type(0), DType::kFloat32);
  EXPECT_EQ(session->input_dims(0), (Dims{2, 3, 12, 12}));
  EXPECT_EQ(session->output_dims(0), (Dims{2, 5}));
  EXPECT_EQ(session->output_dims(1), (Dims{2, 6, 3, 3}));
}

TEST(Session, ErrorsOfShapesSayWhatToDo) {
  const auto model = ModelOf(kConvNet);
  auto open = Session::Create(model);
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().ToString(), HasSubstr("'x' is declared float32[N,3,12,12]"));
  EXPECT_THAT(open.error().ToString(), HasSubstr("N"));
  EXPECT_EQ(open.error().code(), Code::kInvalidArgument);
  auto unknown = Session::Create(model, {}, {{"image", {1}}});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().ToString(), HasSubstr("no input 'image'; its inputs are 'x'"));
  for (const Dims& dims :
       {Dims{1, 3, 12}, Dims{1, 4, 12, 12}, Dims{-1, 3, 12, 12}, Dims{int64_t{1} << 60, 3, 12, 12}})
    EXPECT_FALSE(Session::Create(model, {}, {{"x", dims}})) << ToString(dims);
}

TEST(Session, SizesFollowFromOtherInputs) {
  const auto model = ModelOf(R"(graph "g" {
    input %a: float32[N,4]
    input %b: float32[N,4]
    %y = Add(%a, %b)
    output %y
  })");
  const auto session = Session::Create(model, {}, {{"a", {3, 4}}});
  ASSERT_TRUE(session) << session.error().ToString();
  EXPECT_EQ((*session)->input_dims(1), (Dims{3, 4}));
  EXPECT_FALSE(Session::Create(model, {}, {{"a", {3, 4}}, {"b", {2, 4}}}));
}

TEST(Session, RefusesUnknownOptions) {
  const auto model = ModelOf(kConvNet);
  const InputShapes shapes = {{"x", {1, 3, 12, 12}}};
  auto backend = Session::Create(model, {.backend = "tpu"}, shapes);
  ASSERT_FALSE(backend);
  EXPECT_THAT(backend.error().ToString(), HasSubstr("no backend 'tpu'"));
  EXPECT_FALSE(Session::Create(model, {.threads = -1}, shapes));
  EXPECT_FALSE(Session::Create(model, {.threads = 100000}, shapes));
  EXPECT_FALSE(Session::Create(model, {.plan_cache = 0}, shapes));
  EXPECT_FALSE(Session::Create(nullptr, {}, shapes));
}

TEST(Session, ResizeKeepsRecentPlans) {
  const auto session =
      MakeSession(kConvNet, {.backend = "reference", .plan_cache = 2}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  void* const first = session->input_data(0);
  ASSERT_TRUE(session->Resize({{"x", {2, 3, 12, 12}}}).ok());
  EXPECT_EQ(session->output_dims(0), (Dims{2, 5}));
  void* const second = session->input_data(0);
  EXPECT_NE(first, second);
  ASSERT_TRUE(session->Resize({{"x", {1, 3, 12, 12}}}).ok());
  EXPECT_EQ(session->input_data(0), first);
  ASSERT_TRUE(session->Resize({{"x", {2, 3, 12, 12}}}).ok());
  EXPECT_EQ(session->input_data(0), second);

  const Tensor x = RandomTensor(DType::kFloat32, {2, 3, 12, 12}, 5);
  Fill(*session, 0, x);
  ASSERT_TRUE(session->Run().ok());
  EXPECT_TRUE(Output(*session, 0) == (*EvaluateGraph(ParseOrFail(kConvNet), {{x}}))[0]);
  // A third shape drops the one that was used least recently.
  ASSERT_TRUE(session->Resize({{"x", {3, 3, 12, 12}}}).ok());
  ASSERT_TRUE(session->Resize({{"x", {2, 3, 12, 12}}}).ok());
  EXPECT_EQ(session->input_data(0), second);
}

TEST(Session, FailedResizeLeavesTheSessionAsItWas) {
  const auto session = MakeSession(kConvNet, {.backend = "reference"}, {{"x", {2, 3, 12, 12}}});
  ASSERT_TRUE(session);
  const Tensor x = RandomTensor(DType::kFloat32, {2, 3, 12, 12}, 5);
  Fill(*session, 0, x);
  EXPECT_FALSE(session->Resize({{"x", {2, 4, 12, 12}}}).ok());
  EXPECT_FALSE(session->Resize({}).ok());
  ASSERT_TRUE(session->Run().ok());
  EXPECT_TRUE(Output(*session, 0) == (*EvaluateGraph(ParseOrFail(kConvNet), {{x}}))[0]);
}

TEST(Session, BoundMemoryIsReadAndWrittenInPlace) {
  const auto session = MakeSession(kConvNet, {.backend = "reference"}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  const Tensor mine = RandomTensor(DType::kFloat32, {1, 3, 12, 12}, 1);
  const Tensor own = RandomTensor(DType::kFloat32, {1, 3, 12, 12}, 2);
  Fill(*session, 0, own);
  std::vector<float> result(6 * 3 * 3, -1);
  ASSERT_TRUE(session->BindInput(0, mine.raw()).ok());
  ASSERT_TRUE(session->BindOutput(1, result.data()).ok());
  ASSERT_TRUE(session->Run().ok());
  const auto of_mine = EvaluateGraph(ParseOrFail(kConvNet), {{mine}});
  EXPECT_EQ(session->output_data(1), result.data());
  EXPECT_TRUE(Output(*session, 1) == (*of_mine)[1]);
  EXPECT_TRUE(Output(*session, 0) == (*of_mine)[0]);

  ASSERT_TRUE(session->BindInput(0, nullptr).ok());
  ASSERT_TRUE(session->BindOutput(1, nullptr).ok());
  const std::vector<float> before = result;
  ASSERT_TRUE(session->Run().ok());
  EXPECT_EQ(result, before);
  EXPECT_TRUE(Output(*session, 1) == (*EvaluateGraph(ParseOrFail(kConvNet), {{own}}))[1]);
  EXPECT_FALSE(session->BindInput(1, mine.raw()).ok());
  EXPECT_FALSE(session->BindOutput(-1, result.data()).ok());
}

TEST(Session, ResizeDropsBindings) {
  const auto session = MakeSession(kConvNet, {}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  std::vector<float> result(6 * 3 * 3, -1);
  ASSERT_TRUE(session->BindOutput(1, result.data()).ok());
  ASSERT_TRUE(session->Resize({{"x", {2, 3, 12, 12}}}).ok());
  ASSERT_TRUE(session->Resize({{"x", {1, 3, 12, 12}}}).ok());
  ASSERT_TRUE(session->Run().ok());
  EXPECT_NE(session->output_data(1), result.data());
  EXPECT_EQ(result[0], -1);
}

TEST(Session, MemoryLimitIsHonoured) {
  const InputShapes shapes = {{"x", {1, 3, 12, 12}}};
  const auto tight = Session::Create(ModelOf(kConvNet), {.max_bytes = 1000}, shapes);
  ASSERT_FALSE(tight);
  EXPECT_EQ(tight.error().code(), Code::kResourceExhausted);
  EXPECT_THAT(tight.error().ToString(), HasSubstr("allows 1000"));
  EXPECT_TRUE(Session::Create(ModelOf(kConvNet), {.max_bytes = 1 << 20}, shapes));
}

TEST(Session, MaxErrorLimitsTheChoice) {
  const auto model = ModelOf(R"(graph "g" {
    input %x: float32[1,32,24,24]
    const %w: float32[32,32,3,3] = random(1)
    %y = Conv(%x, %w) {pads=[1,1,1,1]}
    output %y
  })");
  // The reasons for the kernels that were refused for their error.
  const auto refused = [&](double max_error) {
    const auto session =
        Session::Create(model, {.threads = 1, .backend = "cpu", .max_error = max_error});
    std::vector<std::string> r;
    if (!session) return r;
    for (const NodeReport& node : (*session)->Report().nodes)
      for (const CandidateReport& c : node.candidates)
        if (c.refused.find("max_error") != std::string::npos) r.push_back(c.kernel);
    return r;
  };
  EXPECT_THAT(refused(1e-6), Contains("winograd_4x4_3x3"));
  EXPECT_THAT(refused(1e-6), Not(Contains("winograd_2x2_3x3")));
  EXPECT_THAT(refused(1e-4), IsEmpty());
  for (double bad : {0., 1e-8, 1e-2, -1.}) {
    const auto session = Session::Create(model, {.max_error = bad});
    ASSERT_FALSE(session);
    EXPECT_THAT(session.error().ToString(), HasSubstr("max_error"));
  }
}

TEST(Session, RefusesSizesBeyondTheMachine) {
  const auto session = Session::Create(ModelOf(R"(graph "g" {
    input %x: float32[N]
    %y = Exp(%x)
    output %y
  })"),
                                       {}, {{"x", {int64_t{1} << 61}}});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), Code::kResourceExhausted) << session.error().ToString();
}

TEST(Session, ReportShowsCandidatesAndMemory) {
  const auto session =
      MakeSession(kConvNet, {.threads = 1, .chains = false}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  const PlanReport report = session->Report();
  EXPECT_GT(report.arena_bytes, 0u);
  EXPECT_LE(report.lower_bound_bytes, report.arena_bytes);
  EXPECT_GT(report.constant_bytes, 0u);
  EXPECT_EQ(report.threads, 1);
  EXPECT_FALSE(report.placements.empty());
  int with_candidates = 0;
  for (const NodeReport& node : report.nodes) {
    EXPECT_FALSE(node.op.empty());
    EXPECT_FALSE(node.kernel.empty()) << node.name;
    if (node.name == "point") {
      EXPECT_EQ(node.flops, 2.0 * 6 * 16 * 36);
      EXPECT_THAT(node.inputs[0], HasSubstr("float32[1,16,6,6]"));
    }
    with_candidates += !node.candidates.empty();
  }
  EXPECT_GE(with_candidates, 7);
}

TEST(Session, ProfileCountsRuns) {
  const auto session = MakeSession(kConvNet, {.backend = "reference"}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->Run().ok());
  session->SetProfiling(true);
  ASSERT_TRUE(session->Run().ok());
  ASSERT_TRUE(session->Run().ok());
  for (const NodeReport& node : session->Report().nodes) {
    if (node.kernel == "alias") continue;
    EXPECT_EQ(node.runs, 2) << node.name;
    EXPECT_GT(node.min_seconds, 0);
    EXPECT_GE(node.total_seconds, 2 * node.min_seconds);
  }
}

TEST(Session, TimesOfTheLastProfiledRunFollowEachOther) {
  const auto session = MakeSession(kConvNet, {}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->Run().ok());
  const PlanReport before = session->Report();
  ASSERT_EQ(session->LastTimes().size(), before.nodes.size());
  for (const CommandTime& t : session->LastTimes()) EXPECT_EQ(t.end, 0);
  session->SetProfiling(true);
  ASSERT_TRUE(session->Run().ok());
  const PlanReport report = session->Report();
  double now = 0;
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const CommandTime t = session->LastTimes()[i];
    if (report.nodes[i].kernel == "alias") continue;
    EXPECT_GE(t.begin, now) << report.nodes[i].name;
    EXPECT_DOUBLE_EQ(t.end - t.begin, report.nodes[i].min_seconds);
    now = t.end;
  }
}

TEST(Session, ReportSaysWhatFeedsWhat) {
  const auto session = MakeSession(kConvNet, {}, {{"x", {1, 3, 12, 12}}});
  ASSERT_TRUE(session);
  const PlanReport report = session->Report();
  std::map<std::string, int> commands;
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const NodeReport& n = report.nodes[i];
    ASSERT_EQ(n.inputs.size(), n.input_values.size());
    ASSERT_EQ(n.inputs.size(), n.producers.size());
    ASSERT_EQ(n.outputs.size(), n.output_values.size());
    for (size_t k = 0; k < n.producers.size(); ++k) {
      const int p = n.producers[k];
      ASSERT_LT(p, static_cast<int>(i));
      if (p < 0) continue;
      EXPECT_THAT(report.nodes[static_cast<size_t>(p)].output_values,
                  testing::Contains(n.input_values[k]));
    }
    if (n.op != "Copy") commands[n.name] = static_cast<int>(i);
  }
  const NodeReport& stem = report.nodes[static_cast<size_t>(commands.at("stem"))];
  EXPECT_THAT(stem.input_values, testing::ElementsAre("x", "w0", "b0"));
  EXPECT_EQ(stem.producers[1], -1);
  EXPECT_THAT(stem.fields, testing::Contains(testing::Pair("strides", "[2, 2]")));
  EXPECT_THAT(stem.fields, testing::Contains(testing::Pair("activation", "\"relu\"")));
  EXPECT_THAT(stem.fields, testing::Not(testing::Contains(testing::Key("group"))));
  // The pointwise convolution reads the concatenation, this one the stem and the sigmoid.
  const NodeReport& point = report.nodes[static_cast<size_t>(commands.at("point"))];
  int concat = point.producers[0];
  while (report.nodes[static_cast<size_t>(concat)].op == "Copy")
    concat = report.nodes[static_cast<size_t>(concat)].producers[0];
  EXPECT_EQ(report.nodes[static_cast<size_t>(concat)].op, "Concat");
  for (int p : report.nodes[static_cast<size_t>(concat)].producers) EXPECT_GE(p, 0);
}

TEST(Session, ExtraOutputsAreValuesWithinTheModel) {
  const Tensor x = RandomTensor(DType::kFloat32, {2, 3, 12, 12}, 9);
  Graph watched = ParseOrFail(kConvNet);
  for (const char* name : {"d", "x", "w2", "a"}) watched.AddOutput(*watched.FindValue(name));
  const auto expected = EvaluateGraph(watched, {{x}});
  ASSERT_TRUE(expected);
  for (const char* backend : {"cpu", "reference"}) {
    const auto session =
        MakeSession(kConvNet, {.backend = backend, .extra_outputs = {"d", "x", "w2", "a"}},
                    {{"x", {2, 3, 12, 12}}});
    ASSERT_TRUE(session);
    ASSERT_EQ(session->num_outputs(), 6);
    EXPECT_EQ(session->output_name(2), "d");
    Fill(*session, 0, x);
    ASSERT_TRUE(session->Run().ok());
    for (int i = 0; i < 6; ++i)
      EXPECT_LT(Distance(Output(*session, i), (*expected)[static_cast<size_t>(i)]), kTolerance)
          << backend << " output " << i;
  }
  auto unknown =
      Session::Create(ModelOf(kConvNet), {.extra_outputs = {"nowhere"}}, {{"x", {1, 3, 12, 12}}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Code::kNotFound);
  EXPECT_THAT(unknown.error().ToString(), HasSubstr("'nowhere'"));
}

TEST(Session, ManySessionsOfOneModelInThreads) {
  const auto model = ModelOf(kConvNet);
  const Tensor x = RandomTensor(DType::kFloat32, {2, 3, 12, 12}, 3);
  const auto expected = EvaluateGraph(ParseOrFail(kConvNet), {{x}});
  std::vector<double> distances(4, INFINITY);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < distances.size(); ++t) {
    threads.emplace_back([&, t] {
      auto session = Session::Create(model, {.threads = 2}, {{"x", {2, 3, 12, 12}}});
      if (!session) return;
      double largest = 0;
      for (int run = 0; run < 20; ++run) {
        Fill(**session, 0, x);
        if (!(*session)->Run().ok()) return;
        largest = std::max(largest, Distance(Output(**session, 0), (*expected)[0]));
        largest = std::max(largest, Distance(Output(**session, 1), (*expected)[1]));
      }
      distances[t] = largest;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (double distance : distances) EXPECT_LT(distance, kTolerance);
}

TEST(Session, OneThreadStartsNoThread) {
  // Where tests share a process, others may have started the pool before.
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  };
  const auto before = threads();
  const auto session = Session::Create(ModelOf(kConvNet), {.threads = 1}, {{"x", {2, 3, 12, 12}}});
  ASSERT_TRUE(session) << session.error().ToString();
  ASSERT_TRUE((*session)->Run().ok());
  EXPECT_EQ(threads(), before);
}

TEST(Session, UsesNoCpuBetweenRuns) {
  const auto session = Session::Create(ModelOf(kConvNet), {.threads = 2}, {{"x", {2, 3, 12, 12}}});
  ASSERT_TRUE(session) << session.error().ToString();
  const auto cpu_seconds = [] {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  double idle = 0;
  for (int run = 0; run < 3; ++run) {
    ASSERT_TRUE((*session)->Run().ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // workers wait awake for a while
    const double before = cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    idle += cpu_seconds() - before;
  }
  EXPECT_LT(idle, 0.01 * 3 * 0.1);
}

TEST(Session, ShapeArithmeticIsFolded) {
  const auto session = MakeSession(R"(graph "g" {
    input %x: float32[N,6]
    const %zero: int64[] = [0]
    const %axes: int64[1] = [0]
    const %rest: int64[2] = [3, 2]
    %s = Shape(%x)
    %n = Gather(%s, %zero)
    %first = Unsqueeze(%n, %axes)
    %shape = Concat(%first, %rest) {axis=0}
    %r = Reshape(%x, %shape)
    %y = Exp(%r)
    output %y
  })",
                                   {}, {{"x", {4, 6}}});
  ASSERT_TRUE(session);
  EXPECT_EQ(session->output_dims(0), (Dims{4, 3, 2}));
  const PlanReport report = session->Report();
  ASSERT_EQ(report.nodes.size(), 2u);
  EXPECT_EQ(report.nodes[0].op, "Reshape");
  EXPECT_EQ(report.nodes[0].kernel, "alias");
  EXPECT_EQ(report.nodes[1].op, "Exp");
}

}  // namespace
}  // namespace sula
