// Normalisation on float32 with statistics of the run's data: LayerNormalization,
// RMSNormalization, InstanceNormalization and GroupNormalization. In row-major memory each of them
// takes rows of adjacent elements by themselves: a row is brought to mean 0 (not for RMS) and mean
// square 1, then scaled and shifted by element or by channel.
#include "ops/norm.h"

#include <algorithm>

#include "backends/cpu/channel_norm.h"
#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskElements = 4096;

// How a row meets scale and shift.
struct RowPlan {
  int64_t rows = 0, length = 0;
  int64_t segment = 1;  // elements that share one number of scale and shift
  int64_t period = 1;   // numbers that scale and shift have; row r begins at number
  int64_t per_row = 0;  // r * per_row modulo period
  bool centre = true;   // the mean is taken off
  float epsilon = 0;
};

size_t LayerAxis(const KernelRequest& r) {
  const int64_t axis = r.params<LayerNormParams>().axis;
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(r.inputs[0].dims.size())
                                      : axis);
}

std::span<const int64_t> WithoutLeadingOnes(std::span<const int64_t> dims) {
  while (!dims.empty() && dims.front() == 1) dims = dims.subspan(1);
  return dims;
}

// Rows from an axis on; scale and shift are arrays over them, or one number for all.
RowPlan LayerRows(const KernelRequest& r) {
  const auto& p = r.params<LayerNormParams>();
  const Dims& x = r.inputs[0].dims;
  const size_t axis = LayerAxis(r);
  RowPlan plan;
  plan.length = NumElements(std::span(x).subspan(axis));
  plan.rows = NumElements(std::span(x).first(axis));
  plan.period = r.inputs[1].num_elements();
  plan.segment = plan.period == 1 ? plan.length : 1;
  plan.centre = r.node->op == &op::kLayerNormalization;
  plan.epsilon = p.epsilon;
  return plan;
}

RowPlan GroupRows(const KernelRequest& r) {
  const Dims& x = r.inputs[0].dims;
  const bool instance = r.node->op == &op::kInstanceNormalization;
  const int64_t groups = instance ? x[1] : r.params<GroupNormParams>().groups;
  RowPlan plan;
  plan.rows = x[0] * groups;
  plan.segment = NumElements(std::span(x).subspan(2));
  plan.period = x[1];
  plan.per_row = x[1] / groups;
  plan.length = plan.per_row * plan.segment;
  plan.epsilon = instance ? r.params<NormParams>().epsilon : r.params<GroupNormParams>().epsilon;
  return plan;
}

class NormKernel final : public Kernel {
 public:
  explicit NormKernel(const RowPlan& plan) : kernels_(GetElementwise(BestTarget())), plan_(plan) {}

  void Run(const RunArgs& args) const noexcept override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* scale = static_cast<const float*>(args.inputs[1]);
    const auto* shift =
        args.inputs.size() > 2 ? static_cast<const float*>(args.inputs[2]) : nullptr;
    auto* y = static_cast<float*>(args.outputs[0]);
    const int64_t per_task = std::max<int64_t>(1, kTaskElements / plan_.length);
    args.parallel.For((plan_.rows + per_task - 1) / per_task, [&](int64_t task, int) {
      const int64_t end = std::min(plan_.rows, (task + 1) * per_task);
      for (int64_t row = task * per_task; row < end; ++row)
        Row(x + row * plan_.length, scale, shift, row * plan_.per_row % plan_.period,
            y + row * plan_.length);
    });
  }

 private:
  // y = a op b over n elements.
  void Apply(Binary op, const float* a, const float* b, float* y, int64_t n) const {
    kernels_.binary[static_cast<size_t>(op)](a, 1, b, 0, y, n);
  }

  void Row(const float* x, const float* scale, const float* shift, int64_t number, float* y) const {
    const int64_t n = plan_.length;
    const int64_t segments = n / plan_.segment;
    if (plan_.segment == 1 || segments == 1) {
      kernels_.normalise({x, y, scale + number, shift ? shift + number : nullptr, n,
                          plan_.segment == 1 ? 1 : 0, plan_.centre, plan_.epsilon});
      return;
    }
    constexpr float kOne = 1;
    kernels_.normalise({x, y, &kOne, nullptr, n, 0, plan_.centre, plan_.epsilon});
    for (int64_t at = 0; at < n; at += plan_.segment, ++number) {
      Apply(Binary::kMul, y + at, scale + number, y + at, plan_.segment);
      if (shift) Apply(Binary::kAdd, y + at, shift + number, y + at, plan_.segment);
    }
  }

  const ElementwiseKernels& kernels_;
  RowPlan plan_;
};

Verdict AcceptFloats(const KernelRequest& r) {
  for (const TensorDesc& t : r.inputs)
    if (t.present && t.dtype != DType::kFloat32) return Verdict::No("not float32");
  if (r.inputs[0].num_elements() == 0) return Verdict::No("no elements");
  return Verdict::Yes();
}

Verdict AcceptLayer(const KernelRequest& r) {
  if (Verdict v = AcceptFloats(r); !v) return v;
  for (size_t i = 1; i < r.outputs.size(); ++i)
    if (r.outputs[i].present) return Verdict::No("mean or deviation wanted");
  const std::span<const int64_t> row = std::span(r.inputs[0].dims).subspan(LayerAxis(r));
  for (size_t i = 1; i < r.inputs.size(); ++i) {
    if (!r.HasInput(i)) continue;
    const TensorDesc& t = r.inputs[i];
    // Both have as many numbers: Row reads them with one step.
    const bool fits = t.num_elements() == r.inputs[1].num_elements() &&
                      (t.num_elements() == 1 ||
                       std::ranges::equal(WithoutLeadingOnes(t.dims), WithoutLeadingOnes(row)));
    if (!fits)
      return Verdict::No("scale or bias is neither one number nor one for each element of a row");
  }
  return Verdict::Yes();
}

template <RowPlan (*kPlan)(const KernelRequest&), Verdict (*kAccept)(const KernelRequest&)>
constexpr KernelEntry kRows = {
    .name = "rows",
    .accept = kAccept,
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 8); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<NormKernel>(kPlan(r)));
    },
    .in_place = true,
};
constexpr KernelEntry kLayerEntries[] = {kRows<LayerRows, AcceptLayer>};
constexpr KernelEntry kGroupEntries[] = {kRows<GroupRows, AcceptFloats>,
                                         {.name = "channel_last",
                                          .layouts = ChannelNormLayouts,
                                          .accept = AcceptChannelNorm,
                                          .estimate = EstimateChannelNorm,
                                          .create = CreateChannelNorm,
                                          .in_place = true}};

}  // namespace

std::span<const KernelEntry> LayerNormKernels() { return kLayerEntries; }
std::span<const KernelEntry> GroupNormKernels() { return kGroupEntries; }

}  // namespace sula::cpu
