// Resize of maps on float32: every mode, vectors along the channels.
#include "ops/resize.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

constexpr int kMaxTaps = 64;  // of one output pixel: 4 linear, 16 cubic, more with antialias

// The axes of x [N, C, (H,) W] that change, or why this kernel can't do them.
struct ResizePlan {
  Verdict verdict = Verdict::Yes();
  ResizeTaps rows, columns;
};

ResizeTaps Unchanged(int64_t size) {
  ResizeTaps taps;
  for (int64_t i = 0; i < size; ++i) {
    taps.begin.push_back(i), taps.index.push_back(i), taps.weight.push_back(1);
  }
  taps.begin.push_back(size);
  return taps;
}

int MostTaps(const ResizeTaps& taps) {
  int64_t most = 0;
  for (size_t i = 0; i + 1 < taps.begin.size(); ++i)
    most = std::max(most, taps.begin[i + 1] - taps.begin[i]);
  return static_cast<int>(most);
}

ResizePlan PlanResize(const KernelRequest& r) {
  ResizePlan plan;
  const auto no = [&](std::string reason) {
    plan.verdict = Verdict::No(std::move(reason));
    return plan;
  };
  const Dims& x = r.inputs[0].dims;
  const int rank = static_cast<int>(x.size());
  if (r.inputs[0].dtype != DType::kFloat32) return no("not float32");
  if (rank != 3 && rank != 4) return no("rank not 3 or 4");
  std::vector<double> roi;
  std::vector<float> scales;
  std::vector<int64_t> sizes;
  for (size_t i = 1; i < r.inputs.size(); ++i) {
    if (!r.HasInput(i)) continue;
    if (!r.IsConstant(i)) return no("roi, scales or sizes not constant");
    const Tensor& t = *r.constants[i];
    for (int64_t k = 0; k < t.num_elements(); ++k) {
      if (i == 1) roi.push_back(t.AsDouble(k));
      if (i == 2) scales.push_back(static_cast<float>(t.AsDouble(k)));
      if (i == 3) sizes.push_back(t.AsInt(k));
    }
  }
  const auto& p = r.params<ResizeParams>();
  const auto axes = ResolveResize(p, x, scales, sizes, roi);
  if (!axes) return no(axes.error().message());
  plan.rows = Unchanged(rank == 4 ? x[2] : 1), plan.columns = Unchanged(x[rank - 1]);
  for (const ResizeAxis& axis : *axes) {
    if (axis.scale == 1 && axis.in == axis.out &&
        p.coordinate != CoordinateMode::kTfCropAndResize) {
      continue;
    }
    if (axis.axis < 2) return no("batch or channels resized");
    ResizeTaps taps = MakeResizeTaps(p, axis);
    if (axis.axis == rank - 1) {
      plan.columns = std::move(taps);
    } else {
      plan.rows = std::move(taps);
    }
  }
  if (MostTaps(plan.rows) * MostTaps(plan.columns) > kMaxTaps) return no("too many taps");
  return plan;
}

class ResizeKernel final : public Kernel {
 public:
  explicit ResizeKernel(const KernelRequest& r)
      : kernels_(GetElementwise(BestTarget())),
        plan_(PlanResize(r)),
        x_(r.inputs[0]),
        y_(r.outputs[0]),
        fill_(r.params<ResizeParams>().extrapolation) {}

  void Run(const RunArgs& args) const noexcept override {
    if (y_.num_elements() == 0) return;
    const bool planes = x_.dims.size() == 4;
    const int64_t in_h = planes ? x_.dims[2] : 1, in_w = x_.dims.back();
    const int64_t out_h = planes ? y_.dims[2] : 1, out_w = y_.dims.back();
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    args.parallel.For(x_.dims[0] * out_h, [&](int64_t row, int) {
      const int64_t n = row / out_h, oy = row % out_h;
      for (int64_t ox = 0; ox < out_w; ++ox) {
        Pixel(x + n * in_h * in_w * x_.pixel_stride, in_w, oy, ox,
              y + (row * out_w + ox) * y_.pixel_stride);
      }
    });
  }

 private:
  void Pixel(const float* x, int64_t in_w, int64_t oy, int64_t ox, float* y) const {
    const float* from[kMaxTaps];
    float weight[kMaxTaps];
    int count = 0;
    const ResizeTaps &rows = plan_.rows, &columns = plan_.columns;
    for (int64_t j = rows.begin[oy]; j < rows.begin[oy + 1]; ++j) {
      for (int64_t i = columns.begin[ox]; i < columns.begin[ox + 1]; ++i) {
        from[count] = x + (rows.index[j] * in_w + columns.index[i]) * x_.pixel_stride;
        weight[count++] = static_cast<float>(rows.weight[j] * columns.weight[i]);
      }
    }
    const int64_t channels = y_.dims[1];
    if (count == 0) {
      std::fill_n(y, channels, fill_);
    } else if (count == 1 && weight[0] == 1) {
      std::memcpy(y, from[0], static_cast<size_t>(channels) * sizeof(float));
    } else {
      kernels_.weighted_sum(from, weight, count, y, channels);
    }
  }

  const ElementwiseKernels& kernels_;
  ResizePlan plan_;
  TensorDesc x_, y_;
  float fill_;
};

constexpr KernelEntry kEntries[] = {{
    .name = "channel-vectors",
    .layouts = [](const KernelRequest&, std::span<LayoutNeed> in,
                  std::span<LayoutNeed> out) { in[0] = out[0] = LayoutNeed::kChannelLast; },
    .accept = [](const KernelRequest& r) { return PlanResize(r).verdict; },
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 8); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<ResizeKernel>(r));
    },
}};

}  // namespace

std::span<const KernelEntry> ResizeKernels() { return kEntries; }

}  // namespace sula::cpu
