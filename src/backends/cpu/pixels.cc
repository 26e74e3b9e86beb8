// FromPixels: pictures become floats in one pass.
#include "ops/pixels.h"

#include <algorithm>

#include "backends/cpu/adapter.h"
#include "backends/cpu/pixels_adapter.h"
#include "backends/cpu/stream_kernels.h"

namespace sula::cpu {
namespace {

// Vector operations for each vector of bytes that is converted and added, for each pixel and tap
// that is added across (a vector by itself), and for each vector of floats that is written.
constexpr double kDownOperations = 2.5, kAcrossOperations = 1.5, kMixOperations = 10;

// Taps of one output as a contiguous range: those that the edge doubled are added up.
PixelTaps Contiguous(const ResizeTaps& from, int64_t in) {
  const size_t outs = from.begin.size() - 1;
  PixelTaps to;
  to.first.resize(outs);
  const auto bounds = [&](size_t i) {
    const auto [low, high] = std::minmax_element(from.index.begin() + from.begin[i],
                                                 from.index.begin() + from.begin[i + 1]);
    return std::pair(*low, *high);
  };
  bool any = false;
  for (size_t i = 0; i < outs; ++i) {
    if (from.begin[i] == from.begin[i + 1]) continue;
    const auto [low, high] = bounds(i);
    to.taps = std::max(to.taps, high - low + 1);
    if (!any) to.visible.begin = static_cast<int64_t>(i);
    to.visible.end = static_cast<int64_t>(i) + 1, any = true;
  }
  to.weights.resize(outs * static_cast<size_t>(to.taps));
  to.plain = to.taps == 1;
  for (int64_t i = to.visible.begin; i < to.visible.end; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t first = std::min(bounds(at).first, in - to.taps);
    to.first[at] = static_cast<int32_t>(first);
    float* weights = to.weights.data() + i * to.taps;
    for (int64_t t = from.begin[at]; t < from.begin[at + 1]; ++t)
      weights[from.index[static_cast<size_t>(t)] - first] +=
          static_cast<float>(from.weight[static_cast<size_t>(t)]);
    to.plain = to.plain && weights[0] == 1 &&
               first == to.first[static_cast<size_t>(to.visible.begin)] + i - to.visible.begin;
  }
  return to;
}

class PixelKernel final : public Kernel {
 public:
  PixelKernel(const KernelRequest& r, bool planar)
      : spec_(PixelSpecOf(r)), target_(BestTarget()), threads_(r.threads) {
    const TensorDesc& y = r.outputs[0];
    args_.channel_stride = planar ? spec_.height * spec_.width : 1;
    args_.pixel_stride = planar ? 1 : y.pixel_stride;
    args_.row_stride = spec_.width * args_.pixel_stride;
    args_.image_stride = spec_.height * args_.row_stride * (planar ? spec_.channels : 1);
  }
  size_t workspace_bytes() const override {
    return PixelScratchBytes(spec_) * static_cast<size_t>(threads_);
  }
  std::string Detail() const override {
    return StrCat(Name(target_), ", ", spec_.columns.taps, "x", spec_.rows.taps, " pixels each");
  }
  void Run(const RunArgs& args) const noexcept override {
    PixelArgs a = args_;
    a.in = static_cast<const uint8_t*>(args.inputs[0]);
    a.out = static_cast<float*>(args.outputs[0]);
    a.workspace = args.workspace;
    RunPixels(spec_, target_, a, args.parallel);
  }

 private:
  PixelSpec spec_;
  Target target_;
  int threads_;
  PixelArgs args_;
};

// Of one thread, out of L1, for `rows` rows of the result.
double PixelSeconds(const PixelSpec& spec, double rows) {
  const Target target = BestTarget();
  const auto lanes = static_cast<double>(std::min(GemmFor(target).lanes, 8));
  const auto pixels = static_cast<double>(spec.width);
  double operations = kMixOperations * pixels * static_cast<double>(spec.channels) / lanes;
  if (!spec.rows.plain || !spec.columns.plain)
    operations += kDownOperations * static_cast<double>(spec.rows.taps) *
                  static_cast<double>(spec.in_width * spec.in_channels) / lanes;
  if (!spec.columns.plain)
    operations += kAcrossOperations * static_cast<double>(spec.columns.taps) * pixels;
  return VectorSeconds(target, rows * operations);
}

double Estimate(const KernelRequest& r) {
  const PixelSpec spec = PixelSpecOf(r);
  Work work;
  work.bytes = BytesOf(r.inputs[0]) + BytesOf(r.outputs[0]);
  work.seconds = PixelSeconds(spec, static_cast<double>(spec.batch * spec.height));
  return Seconds(work, BestTarget(), r.threads);
}

// A channel-last map is written element by element: taken to be twice as slow, which was not
// measured.
template <bool kPlanar>
constexpr KernelEntry Entry(std::string_view name) {
  return {.name = name,
          .layouts =
              [](const KernelRequest&, std::span<LayoutNeed>, std::span<LayoutNeed> out) {
                if (!kPlanar) out[0] = LayoutNeed::kChannelLast;
              },
          .accept = AcceptPixels,
          .estimate = [](const KernelRequest& r) { return Estimate(r) * (kPlanar ? 1 : 2); },
          .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
            return std::unique_ptr<Kernel>(std::make_unique<PixelKernel>(r, kPlanar));
          }};
}

constexpr KernelEntry kEntries[] = {Entry<true>("planes"), Entry<false>("channel_last")};

}  // namespace

Verdict AcceptPixels(const KernelRequest& request) {
  const auto plan = PlanPixels(request.params<FromPixelsParams>(), request.inputs[0].dims);
  if (!plan) return Verdict::No(plan.error().message());
  if (plan->batch * plan->height * plan->width == 0) return Verdict::No("nothing to compute");
  return Verdict::Yes();
}

PixelSpec PixelSpecOf(const KernelRequest& request) {
  const auto& p = request.params<FromPixelsParams>();
  const Result<PixelPlan> plan = PlanPixels(p, request.inputs[0].dims);
  PixelSpec spec{.batch = plan->batch,
                 .in_height = plan->in_height,
                 .in_width = plan->in_width,
                 .in_channels = plan->in_channels,
                 .height = plan->height,
                 .width = plan->width,
                 .channels = plan->channels};
  spec.rows = Contiguous(plan->rows, spec.in_height);
  spec.columns = Contiguous(plan->columns, spec.in_width);
  for (int64_t o = 0; o < spec.channels; ++o) {
    const auto at = static_cast<size_t>(o);
    std::copy_n(p.mix.begin() + o * spec.in_channels, spec.in_channels, spec.mix[at].begin());
    spec.shift[at] = p.shift[at], spec.beyond[at] = plan->beyond[at];
  }
  return spec;
}

std::span<const KernelEntry> FromPixelsKernels() { return kEntries; }

}  // namespace sula::cpu
