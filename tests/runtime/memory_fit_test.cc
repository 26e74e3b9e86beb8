// Plans under a limit of memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "ops/catalogue.h"
#include "plan_harness.h"
#include "runtime/session.h"

namespace sula {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// Convolutions for which the fast kernel has a workspace and large weights.
constexpr std::string_view kNet = R"(graph "g" {
  input %x: float32[1,32,24,24]
  const %w: float32[64,32,3,3] = random(1)
  const %v: float32[64,64,3,3] = random(2)
  const %u: float32[64,64,3,3] = random(3)
  %a = Conv(%x, %w) {pads=[1, 1, 1, 1]}
  %b = Conv(%a, %v) {pads=[1, 1, 1, 1]}
  %c = Conv(%b, %u) {pads=[1, 1, 1, 1]}
  %y = GlobalAveragePool(%c)
  output %y
})";

class MemoryLimit : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Session>> Create(size_t max_bytes) {
    return Session::Create(*model_, {.threads = 1, .backend = "cpu", .max_bytes = max_bytes});
  }

  // The bytes that the smallest plan needs, from the message of a limit that cannot be kept.
  size_t Least() {
    const auto refused = Create(1);
    EXPECT_FALSE(refused);
    const std::string text = refused.error().ToString();
    const std::string before = "the smallest plan needs ";
    size_t least = 0;
    const size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos) << text;
    if (at != std::string::npos)
      std::from_chars(text.data() + at + before.size(), text.data() + text.size(), least);
    return least;
  }

  // One run equals the interpreter's but for rounding.
  void ExpectRight(Session& session) {
    const std::vector<Tensor> inputs = RandomInputs(graph_, 7);
    const auto expected = EvaluateGraph(graph_, inputs);
    ASSERT_TRUE(expected);
    std::memcpy(session.input_data(0), inputs[0].raw(), inputs[0].bytes());
    ASSERT_TRUE(session.Run().ok());
    const auto* actual = static_cast<const float*>(session.output_data(0));
    double largest = 0, error = 0;
    for (int64_t i = 0; i < (*expected)[0].num_elements(); ++i) {
      const double value = (*expected)[0].AsDouble(i);
      largest = std::max(largest, std::abs(value));
      error = std::max(error, std::abs(value - static_cast<double>(actual[i])));
    }
    // Three sums of at most 576 products; transforms lose some bits more.
    EXPECT_LT(error, 3 * 576 * 16 * 6e-8 * largest);
  }

  Graph graph_ = ParseOrFail(kNet);
  Result<std::shared_ptr<const Model>> model_ = Model::FromGraph(graph_);
};

std::vector<std::string> Kernels(const Session& session) {
  std::vector<std::string> kernels;
  for (const NodeReport& node : session.Report().nodes) kernels.push_back(node.kernel);
  return kernels;
}

TEST_F(MemoryLimit, TotalIsTheSumOfItsParts) {
  const auto session = Create(0);
  ASSERT_TRUE(session) << session.error().ToString();
  const PlanReport report = (*session)->Report();
  EXPECT_EQ(report.total_bytes, report.arena_bytes + report.constant_bytes + report.port_bytes);
  EXPECT_EQ(report.port_bytes, size_t{32 * 24 * 24 + 64} * 4);
  EXPECT_LE(report.borrowed_bytes, report.constant_bytes);
}

TEST_F(MemoryLimit, SmallerKernelsAreChosen) {
  const auto free = Create(0);
  ASSERT_TRUE(free) << free.error().ToString();
  const size_t total = (*free)->Report().total_bytes;
  EXPECT_THAT(Kernels(**free), Contains(HasSubstr("winograd"))) << "the net has large kernels";
  ExpectRight(**free);

  const auto limited = Create(total - 1);
  ASSERT_TRUE(limited) << limited.error().ToString();
  EXPECT_LT((*limited)->Report().total_bytes, total);
  EXPECT_NE(Kernels(**limited), Kernels(**free));
  ExpectRight(**limited);
  bool told = false;
  for (const NodeReport& node : (*limited)->Report().nodes)
    for (const CandidateReport& c : node.candidates)
      told |= c.refused.find("max_bytes") != std::string::npos;
  EXPECT_TRUE(told);
}

TEST_F(MemoryLimit, IsKeptDownToTheSmallestPlan) {
  const auto free = Create(0);
  ASSERT_TRUE(free);
  const size_t most = (*free)->Report().total_bytes, least = Least();
  ASSERT_LT(least, most);
  for (int i = 0; i <= 4; ++i) {
    const size_t limit = least + (most - least) / 4 * static_cast<size_t>(i);
    const auto session = Create(limit);
    ASSERT_TRUE(session) << limit << ": " << session.error().ToString();
    EXPECT_LE((*session)->Report().total_bytes, limit);
    ExpectRight(**session);
    for (const NodeReport& node : (*session)->Report().nodes)
      EXPECT_EQ(node.backend, "cpu") << node.name;
  }
}

TEST_F(MemoryLimit, RefusalHasTheTwoNumbersAndTheNode) {
  const size_t least = Least();
  const auto refused = Create(least - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kResourceExhausted);
  const std::string text = refused.error().ToString();
  EXPECT_THAT(text, HasSubstr("needs " + std::to_string(least) + " bytes"));
  EXPECT_THAT(text, HasSubstr("allows " + std::to_string(least - 1)));
  EXPECT_THAT(text, HasSubstr("live at node '"));
}

}  // namespace
}  // namespace sula
