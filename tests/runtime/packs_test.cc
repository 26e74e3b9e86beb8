#include "runtime/packs.h"

#include <gtest/gtest.h>

#include "plan_harness.h"
#include "runtime/session.h"

namespace sula {
namespace {

constexpr auto kNothing = [](std::byte*) {};

TEST(PackStore, KnowsWhatIsAlive) {
  PackStore store;
  EXPECT_EQ(store.Find("a", 4).pack.data(), nullptr);
  Pack pack = store.Add("a", {Pack::Fresh(4, kNothing), true}).pack;
  EXPECT_EQ(store.Find("a", 4).pack.data(), pack.data());
  EXPECT_TRUE(store.Find("a", 4).mapped);
  EXPECT_EQ(store.Find("a", 5).pack.data(), nullptr) << "of another size";
  EXPECT_EQ(store.Find("b", 4).pack.data(), nullptr);
  pack = Pack();
  EXPECT_EQ(store.Find("a", 4).pack.data(), nullptr) << "nobody holds it any more";
}

TEST(PackStore, TheFirstOfTwoMakersWins) {
  PackStore store;
  const Pack first = store.Add("a", {Pack::Fresh(4, kNothing), false}).pack;
  const Pack second = store.Add("a", {Pack::Fresh(4, kNothing), false}).pack;
  EXPECT_EQ(first.data(), second.data());
}

TEST(PackStore, ForgetsMany) {
  PackStore store;
  const Pack kept = store.Add("kept", {Pack::Fresh(4, kNothing), false}).pack;
  for (int i = 0; i < 1000; ++i) store.Add(StrCat(i), {Pack::Fresh(4, kNothing), false});
  EXPECT_EQ(store.Find("kept", 4).pack.data(), kept.data());
}

TEST(PlanPacks, KeysTellConstantsApart) {
  const Graph model = ParseOrFail(R"(graph "g" {
    input %x: float32[1,4,3,3]
    const %w: float32[4,4,1,1] = random(1)
    const %b: float32[4] = random(2)
    %y = Conv(%x, %w, %b)
    output %y
  })");
  PackStore store;
  const Node& node = model.node(model.TopologicalOrder()[0]);
  const auto key = [&](const Graph& concrete) {
    return PlanPacks(store, nullptr, model, concrete).KeyOf(node);
  };
  EXPECT_EQ(key(model), "-\n1 w\n1 b\n");
  // Computed in preparation: the content counts, since the name stays.
  Graph folded = model;
  const auto set = [&](uint64_t seed) {
    folded.value(*folded.FindValue("w")).constant =
        std::make_shared<const Tensor>(WholeNumbers(DType::kFloat32, {4, 4, 1, 1}, seed));
    return key(folded);
  };
  const std::string one = set(1);
  EXPECT_NE(one, key(model));
  EXPECT_NE(one, set(2));
  EXPECT_EQ(one, set(1));
}

TEST(SizedPacks, HaveSizeAlone) {
  SizedPacks packs;
  const Pack pack = packs.Get("", size_t{1} << 40, [](std::byte*) { ADD_FAILURE(); });
  EXPECT_NE(pack.data(), nullptr);
  EXPECT_EQ(pack.bytes(), size_t{1} << 40);
}

constexpr std::string_view kNet = R"(graph "g" {
  input %x: float32[N,32,14,14]
  const %w: float32[64,32,3,3] = random(1)
  const %d: float32[64,1,3,3] = random(2)
  const %u: float32[64,100] = random(3)
  %a = Conv(%x, %w) {pads=[1, 1, 1, 1]}
  %b = Conv(%a, %d) {pads=[1, 1, 1, 1], group=64}
  %g = GlobalAveragePool(%b)
  %f = Flatten(%g)
  %y = MatMul(%f, %u)
  output %y
})";

std::unique_ptr<Session> Open(const std::shared_ptr<const Model>& model, int64_t batch,
                              SessionOptions options) {
  auto session = Session::Create(model, options, {{"x", {batch, 32, 14, 14}}});
  EXPECT_TRUE(session) << session.error().ToString();
  return *std::move(session);
}

std::vector<float> Outputs(Session& session) {
  auto* x = static_cast<float*>(session.input_data(0));
  const int64_t count = NumElements(session.input_dims(0));
  for (int64_t i = 0; i < count; ++i) x[i] = static_cast<float>(i % 17) - 8;
  EXPECT_TRUE(session.Run().ok());
  auto* y = static_cast<const float*>(session.output_data(0));
  return {y, y + NumElements(session.output_dims(0))};
}

TEST(SessionPacks, AreSharedByTheSessionsOfAModel) {
  auto model = Model::FromGraph(ParseOrFail(kNet));
  ASSERT_TRUE(model);
  const SessionOptions options{.threads = 1, .backend = "cpu"};
  auto first = Open(*model, 1, options);
  EXPECT_EQ(first->Report().shared_bytes, 0u);
  EXPECT_EQ(first->Report().mapped_bytes, 0u);
  const std::vector<float> want = Outputs(*first);
  const size_t weights = (64 * 32 * 9 + 64 * 9 + 6400) * 4;

  auto second = Open(*model, 1, options);
  EXPECT_GE(second->Report().shared_bytes, weights);
  first.reset();  // what it made lives on
  EXPECT_EQ(Outputs(*second), want);

  SessionOptions looking = options;
  looking.extra_outputs = {"b"};
  EXPECT_GE(Open(*model, 1, looking)->Report().shared_bytes, weights) << "a model made of it";
  second.reset();
  EXPECT_EQ(Open(*model, 1, options)->Report().shared_bytes, 0u) << "nobody held them";
}

TEST(SessionPacks, AreSharedByThePlansOfASession) {
  auto model = Model::FromGraph(ParseOrFail(kNet));
  ASSERT_TRUE(model);
  auto session = Open(*model, 1, {.threads = 1, .backend = "cpu"});
  ASSERT_TRUE(session->Resize({{"x", {2, 32, 14, 14}}}).ok());
  EXPECT_GE(session->Report().shared_bytes, (64 * 9 + 6400) * sizeof(float));
}

TEST(SessionPacks, NodesWithTheSameWeightsShareThem) {
  auto model = Model::FromGraph(ParseOrFail(R"(graph "g" {
    input %x: float32[3,50]
    const %w: float32[50,50] = random(1)
    %a = MatMul(%x, %w)
    %y = MatMul(%a, %w)
    output %y
  })"));
  ASSERT_TRUE(model);
  auto session = Session::Create(*model, {.threads = 1, .backend = "cpu"});
  ASSERT_TRUE(session);
  EXPECT_GE((*session)->Report().shared_bytes, 10'000u);
}

}  // namespace
}  // namespace sula
