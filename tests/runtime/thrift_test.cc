// Where a plan's constants outgrow the model's, kernels that take as long and hold less are chosen.
#include <gtest/gtest.h>

#include "backend/host.h"
#include "backends/reference/reference_backend.h"
#include "ops/catalogue.h"
#include "plan_harness.h"
#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

class HeavyKernel : public Kernel {
 public:
  explicit HeavyKernel(size_t constants) : constants_(constants) {}
  size_t constant_bytes() const override { return constants_; }
  void Run(const RunArgs&) const noexcept override {}

 private:
  size_t constants_;
};
template <size_t kConstants>
Result<std::unique_ptr<Kernel>> Make(const KernelRequest& request) {
  EXPECT_TRUE(request.packs) << "made to learn its size, it must not pack";
  return std::unique_ptr<Kernel>(std::make_unique<HeavyKernel>(kConstants));
}
double g_small_seconds = 0;

constexpr KernelEntry kEntries[] = {
    {.name = "large",
     .estimate = [](const KernelRequest&) { return 1e-9; },
     .create = Make<9 * kMiB>},
    {.name = "small",
     .estimate = [](const KernelRequest&) { return g_small_seconds; },
     .create = Make<kMiB>}};

class ScaleBackend : public HostBackend {
 public:
  std::string_view name() const override { return "scale"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef&) const override { return kEntries; }
};

std::string ChosenAt(double small_seconds, int channels) {
  g_small_seconds = small_seconds;
  const Graph graph =
      ParseOrFail(StrCat("graph \"g\" {\n  input %x: float32[1,", channels,
                         ",8,8]\n  const %w: float32[", channels, ",", channels,
                         ",3,3] = random(1)\n  %y = Conv(%x, %w) {pads=[1, 1, 1, 1]}\n"
                         "  output %y\n}\n"));
  const auto concrete = MakeConcrete(graph, {graph.value(graph.inputs()[0]).type});
  EXPECT_TRUE(concrete) << concrete.error().ToString();
  ScaleBackend scale;
  const std::unique_ptr<Backend> fallback = MakeReferenceBackend();
  Backend* const backends[] = {&scale, fallback.get()};
  const auto schedule = ChooseSchemes(*concrete, backends, {});
  EXPECT_TRUE(schedule) << schedule.error().ToString();
  const NodeReport& report = schedule->steps[0].report;
  // The other one is still told as one that would do.
  EXPECT_EQ(report.candidates[0].refused + report.candidates[1].refused, "");
  return report.kernel;
}

TEST(Thrift, KernelsThatTakeAsLongAreChosenByMemory) {
  EXPECT_EQ(ChosenAt(1.02e-9, 64), "small");
  EXPECT_EQ(ChosenAt(0.9e-9, 64), "small");
  EXPECT_EQ(ChosenAt(1.05e-9, 64), "large");
}

TEST(Thrift, NotWhereTheyAreInProportionToTheModel) {
  // 5.3 MB of weights; the large kernel holds 9 MiB.
  EXPECT_EQ(ChosenAt(1.02e-9, 384), "large");
  EXPECT_EQ(ChosenAt(0.9e-9, 384), "small");
}

}  // namespace
}  // namespace sula
