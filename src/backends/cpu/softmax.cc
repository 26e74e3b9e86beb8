// Softmax and LogSoftmax on float32 along any axis.
#include "ops/softmax.h"

#include <algorithm>

#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskElements = 4096;
constexpr int64_t kColumns = 256;  // of one pass across rows: its sums and maxima stay in L1
// Rows that fill no vector are turned into columns, a block of them at a time.
constexpr int64_t kShortRow = 16, kShortRows = 128;

int AxisOf(const KernelRequest& r) {
  const int64_t axis = r.params<SoftmaxParams>().axis;
  return static_cast<int>(axis < 0 ? axis + static_cast<int64_t>(r.inputs[0].dims.size()) : axis);
}

class SoftmaxKernel final : public Kernel {
 public:
  explicit SoftmaxKernel(const KernelRequest& r)
      : kernels_(GetElementwise(BestTarget())), log_(r.node->op == &op::kLogSoftmax) {
    const TensorDesc &x = r.inputs[0], &y = r.outputs[0];
    const int axis = AxisOf(r);
    length_ = x.dims[axis];
    if (x.num_elements() == 0) return;
    if (x.layout == Layout::kChannelLast && axis == 1) {
      outer_ = x.num_elements() / length_;
      in_step_ = x.pixel_stride, out_step_ = y.pixel_stride;
    } else {
      for (size_t i = axis + 1; i < x.dims.size(); ++i) inner_ *= x.dims[i];
      outer_ = x.num_elements() / (length_ * inner_);
      in_step_ = out_step_ = length_ * inner_;
    }
  }

  void Run(const RunArgs& args) const noexcept override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    if (inner_ == 1) {
      const int64_t per_task = std::max<int64_t>(1, kTaskElements / std::max<int64_t>(1, length_));
      args.parallel.For((outer_ + per_task - 1) / per_task, [&](int64_t task, int) {
        const int64_t end = std::min(outer_, (task + 1) * per_task);
        if (length_ <= kShortRow) return ShortRows(x, y, task * per_task, end);
        for (int64_t i = task * per_task; i < end; ++i) {
          kernels_.softmax(x + i * in_step_, y + i * out_step_, length_, log_);
        }
      });
      return;
    }
    const int64_t strips = (inner_ + kColumns - 1) / kColumns;
    args.parallel.For(outer_ * strips, [&](int64_t task, int) {
      const int64_t i = task / strips, begin = task % strips * kColumns;
      float scratch[2 * kColumns];
      kernels_.softmax_columns(x + i * in_step_ + begin, y + i * out_step_ + begin, length_, inner_,
                               std::min(kColumns, inner_ - begin), log_, scratch);
    });
  }

 private:
  void ShortRows(const float* x, float* y, int64_t begin, int64_t end) const {
    float columns[kShortRow * kShortRows], scratch[2 * kShortRows];
    for (int64_t at = begin; at < end; at += kShortRows) {
      const int64_t n = std::min(kShortRows, end - at);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t k = 0; k < length_; ++k) columns[k * n + i] = x[(at + i) * in_step_ + k];
      kernels_.softmax_columns(columns, columns, length_, n, n, log_, scratch);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t k = 0; k < length_; ++k) y[(at + i) * out_step_ + k] = columns[k * n + i];
    }
  }

  const ElementwiseKernels& kernels_;
  bool log_;
  int64_t outer_ = 0, length_ = 1, inner_ = 1, in_step_ = 0, out_step_ = 0;
};

constexpr KernelEntry kEntries[] = {{
    .name = "vector",
    .layouts =
        [](const KernelRequest& r, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
          if (AxisOf(r) == 1) in[0] = out[0] = LayoutNeed::kFollow;
        },
    .accept =
        [](const KernelRequest& r) {
          return r.inputs[0].dtype == DType::kFloat32 ? Verdict::Yes() : Verdict::No("not float32");
        },
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 8); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<SoftmaxKernel>(r));
    },
    .in_place = true,
}};

}  // namespace

std::span<const KernelEntry> SoftmaxKernels() { return kEntries; }

}  // namespace sula::cpu
