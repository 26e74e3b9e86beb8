// Local response normalisation on float32.
#include <algorithm>

#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"
#include "base/aligned_buffer.h"
#include "ops/norm.h"

namespace sula::cpu {
namespace {

constexpr int64_t kBlockFloats = 2048;  // of one array of a block of pixels: three of them fit L1
constexpr int64_t kMostChannels = 64;   // of a window

// A block of pixels is squared into a row with zeros between the pixels, so that the sum over the
// window is a few additions of that row, shifted, to itself.
class LrnKernel final : public Kernel {
 public:
  explicit LrnKernel(const KernelRequest& r)
      : kernels_(GetElementwise(BestTarget())),
        params_(r.params<LrnParams>()),
        threads_(std::max(1, r.threads)) {
    const TensorDesc &x = r.inputs[0], &y = r.outputs[0];
    channels_ = x.dims[1];
    pixels_ = channels_ > 0 ? x.num_elements() / channels_ : 0;
    const bool wide = x.layout == Layout::kChannelLast;
    in_step_ = wide ? x.pixel_stride : channels_, out_step_ = wide ? y.pixel_stride : channels_;
    step_ = channels_ + params_.size - 1;
    block_ = std::max<int64_t>(1, kBlockFloats / std::max<int64_t>(1, step_));
  }
  size_t workspace_bytes() const override {
    return ArrayBytes() * 2 * static_cast<size_t>(threads_);
  }
  void Run(const RunArgs& args) const noexcept override {
    args.parallel.For((pixels_ + block_ - 1) / block_, [&](int64_t task, int worker) {
      auto* work =
          static_cast<std::byte*>(args.workspace) + ArrayBytes() * 2 * static_cast<size_t>(worker);
      const int64_t begin = task * block_;
      RunBlock(static_cast<const float*>(args.inputs[0]) + begin * in_step_,
               static_cast<float*>(args.outputs[0]) + begin * out_step_,
               std::min(block_, pixels_ - begin), reinterpret_cast<float*>(work),
               reinterpret_cast<float*>(work + ArrayBytes()));
    });
  }

 private:
  size_t ArrayBytes() const {
    return AlignUp(static_cast<size_t>(block_ * step_ + params_.size) * sizeof(float));
  }

  void RunBlock(const float* x, float* y, int64_t pixels, float* squares, float* sums) const {
    const auto binary = [&](Binary fn, const float* a, const float* b, int b_step, float* to,
                            int64_t n) {
      kernels_.binary[static_cast<size_t>(fn)](a, 1, b, b_step, to, n);
    };
    const auto unary = [&](Unary fn, float* a, int64_t n) {
      kernels_.unary[static_cast<size_t>(fn)](a, a, n, 0, 0);
    };
    const int64_t n = pixels * step_, before = (params_.size - 1) / 2;
    std::fill_n(squares, n + params_.size, 0.f);
    for (int64_t p = 0; p < pixels; ++p) {
      const float* row = x + p * in_step_;
      binary(Binary::kMul, row, row, 1, squares + p * step_ + before, channels_);
    }
    std::copy_n(squares, n, sums);
    for (int64_t k = 1; k < params_.size; ++k) binary(Binary::kAdd, sums, squares + k, 1, sums, n);
    const float scale = params_.alpha / static_cast<float>(params_.size), power = -params_.beta;
    binary(Binary::kMul, sums, &scale, 0, sums, n);
    binary(Binary::kAdd, sums, &params_.bias, 0, sums, n);
    unary(Unary::kLog, sums, n);
    binary(Binary::kMul, sums, &power, 0, sums, n);
    unary(Unary::kExp, sums, n);
    for (int64_t p = 0; p < pixels; ++p)
      binary(Binary::kMul, x + p * in_step_, sums + p * step_, 1, y + p * out_step_, channels_);
  }

  const ElementwiseKernels& kernels_;
  LrnParams params_;
  int threads_;
  int64_t channels_ = 0, pixels_ = 0, in_step_ = 0, out_step_ = 0;
  int64_t step_ = 0;   // floats between pixels of a block
  int64_t block_ = 1;  // pixels
};

constexpr KernelEntry kEntries[] = {{
    .name = "vector",
    .layouts =
        [](const KernelRequest& r, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
          if (r.inputs[0].dims.size() >= 3) in[0] = out[0] = LayoutNeed::kChannelLast;
        },
    .accept =
        [](const KernelRequest& r) {
          if (r.inputs[0].dtype != DType::kFloat32) return Verdict::No("not float32");
          if (r.params<LrnParams>().size > kMostChannels)
            return Verdict::No(StrCat("a window of more than ", kMostChannels, " channels"));
          return Verdict::Yes();
        },
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 16); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<LrnKernel>(r));
    },
    .in_place = true,
}};

}  // namespace

std::span<const KernelEntry> LrnKernels() { return kEntries; }

}  // namespace sula::cpu
