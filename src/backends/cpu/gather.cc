// Gather of any element type along one axis.
#include "ops/gather.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskBytes = 64 << 10;

class GatherKernel final : public Kernel {
 public:
  explicit GatherKernel(const KernelRequest& r) {
    const Dims& x = r.inputs[0].dims;
    int64_t axis = r.params<AxisParams>().axis;
    if (axis < 0) axis += static_cast<int64_t>(x.size());
    for (int64_t i = 0; i < axis; ++i) outer_ *= x[i];
    size_ = x[axis];
    row_bytes_ = static_cast<int64_t>(SizeOf(r.inputs[0].dtype));
    for (size_t i = axis + 1; i < x.size(); ++i) row_bytes_ *= x[i];
    count_ = r.inputs[1].num_elements();
    wide_ = r.inputs[1].dtype == DType::kInt64;
  }

  void Run(const RunArgs& args) const noexcept override {
    const auto* x = static_cast<const std::byte*>(args.inputs[0]);
    auto* y = static_cast<std::byte*>(args.outputs[0]);
    const int64_t rows = outer_ * count_;
    if (rows == 0 || row_bytes_ == 0) return;
    const int64_t per_task = std::max<int64_t>(1, kTaskBytes / row_bytes_);
    std::atomic<int64_t> bad_position{-1};
    args.parallel.For((rows + per_task - 1) / per_task, [&](int64_t task, int) {
      const int64_t end = std::min(rows, (task + 1) * per_task);
      for (int64_t row = task * per_task; row < end; ++row) {
        const int64_t position = row % count_;
        int64_t i = Index(args.inputs[1], position);
        if (i < 0) i += size_;
        if (i < 0 || i >= size_) {
          bad_position = position;
          return;
        }
        std::memcpy(y + row * row_bytes_, x + (row / count_ * size_ + i) * row_bytes_,
                    static_cast<size_t>(row_bytes_));
      }
    });
    if (const int64_t p = bad_position; p >= 0) {
      *args.status = InvalidArgument("Gather: index ", Index(args.inputs[1], p), " at position ", p,
                                     " lies outside an axis of size ", size_);
    }
  }

 private:
  int64_t Index(const void* indices, int64_t i) const {
    return wide_ ? static_cast<const int64_t*>(indices)[i]
                 : static_cast<const int32_t*>(indices)[i];
  }

  int64_t outer_ = 1, size_ = 0, count_ = 0, row_bytes_ = 0;
  bool wide_ = false;
};

constexpr KernelEntry kEntries[] = {{
    .name = "row-copy",
    .accept = [](const KernelRequest&) { return Verdict::Yes(); },
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<GatherKernel>(r));
    },
}};

}  // namespace

std::span<const KernelEntry> GatherKernels() { return kEntries; }

}  // namespace sula::cpu
