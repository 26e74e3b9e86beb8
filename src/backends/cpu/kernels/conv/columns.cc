#include "backends/cpu/kernels/conv/columns.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/conv/columns_targets.h"

namespace sula::cpu {
namespace {

WeightShape ShapeOf(const ConvSpec& spec) {
  return {spec.out_channels * spec.window.taps(), 1, spec.in_channels, 1};
}

}  // namespace

const ColumnKernels& ColumnsFor(Target target) {
  static constexpr Variants<ColumnKernels> kVariants = {
      &kColumnsScalar,
      &kColumnsScalar16,
#ifdef SULA_CPU_SIMD
      &kColumnsAvx2,
      &kColumnsAvx512,
#endif
  };
  return Pick(kVariants, target);
}

ColumnPlan PlanColumns(const ConvSpec& spec, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const WeightShape shape = ShapeOf(spec);
  ColumnPlan plan{SplitColumns(shape, kernels.lanes, kernels.registers), {}};
  plan.blocks = ChooseGemmBlocks(
      spec.window.in_pixels(), shape.n, 1, shape.k, shape.k * int64_t{sizeof(float)},
      static_cast<int>(plan.panels.size()), kernels.tile_rows[plan.panels.front().vectors],
      machine.threads, machine.l2_bytes);
  return plan;
}

Result<ConvColumns> ConvColumns::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                      const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const Window& w = spec.window;
  const int64_t taps = w.taps(), n = spec.out_channels, k = spec.in_channels;
  ConvColumns r;
  r.spec_ = spec, r.machine_ = machine;
  std::vector<float> own;
  const auto arrange = [&] {
    own.resize(static_cast<size_t>(k * n * taps));
    for (int64_t c = 0; c < k; ++c)
      for (int64_t m = 0; m < n; ++m)
        for (int64_t t = 0; t < taps; ++t)
          own[(c * taps + t) * n + m] = weights[(c * n + m) * taps + t];
    return WeightView{own.data(), 1, 0, n * taps};
  };
  r.weights_ = PackArranged(arrange, nullptr, ShapeOf(spec), {kernels.lanes, kernels.registers},
                            machine, "columns by tap");
  r.bias_ = AlignedBuffer(static_cast<size_t>(n) * sizeof(float));
  if (!r.weights_.data.data() || !r.weights_.bias.data() || !r.bias_.data())
    return ResourceExhausted("no memory for the packed weights of a transposed convolution");
  if (bias) std::memcpy(r.bias_.data(), bias, static_cast<size_t>(n) * sizeof(float));
  r.blocks_ = PlanColumns(spec, machine).blocks;

  int64_t pixel_step = taps * n, tap_step = n;  // of the axis
  for (size_t axis = 3; axis-- > 0;) {
    Meetings& m = r.axes_[axis];
    for (int64_t o = 0; o < w.out[axis]; ++o) {
      m.begin.push_back(std::ssize(m.offsets));
      for (int64_t tap = 0; tap < w.kernel[axis]; ++tap) {
        const int64_t at = o + w.pad[axis] - tap * w.dilation[axis], i = at / w.stride[axis];
        if (at >= 0 && at % w.stride[axis] == 0 && i < w.in[axis])
          m.offsets.push_back(i * pixel_step + tap * tap_step);
      }
    }
    m.begin.push_back(std::ssize(m.offsets));
    pixel_step *= w.in[axis], tap_step *= w.kernel[axis];
  }
  r.columns_bytes_ = AlignUp(static_cast<size_t>(w.in_pixels() * taps * n) * sizeof(float));
  // Rows that collide are copied.
  const int64_t rows = std::min(r.blocks_.rows, w.in_pixels());
  r.worker_bytes_ =
      AlignUp(static_cast<size_t>(rows) *
              (sizeof(float*) + static_cast<size_t>(PackedRowStride(k)) * sizeof(float)));
  return r;
}

size_t ConvColumns::workspace_bytes() const {
  return columns_bytes_ + worker_bytes_ * static_cast<size_t>(machine_.threads);
}

size_t ConvColumns::constant_bytes() const {
  size_t bytes = weights_.bytes() + bias_.bytes();
  for (const Meetings& m : axes_) bytes += (m.offsets.size() + m.begin.size()) * sizeof(int64_t);
  return bytes;
}

void ConvColumns::Multiply(const ConvArgs& args, int64_t image, const Parallel& parallel) const {
  const GemmKernels& kernels = GemmFor(machine_.target);
  const int64_t pixels = spec_.window.in_pixels(), k = spec_.in_channels;
  const int num_panels = static_cast<int>(weights_.panels.size());
  const bool copy = RowsCollide(args.in_stride, kernels.tile_rows[weights_.panels.front().vectors]);
  auto* const base = static_cast<std::byte*>(args.workspace);
  parallel.For(blocks_.tasks(), [&](int64_t task, int worker) {
    const int64_t begin = task / blocks_.panel_groups * blocks_.rows;
    const int64_t end = std::min(begin + blocks_.rows, pixels);
    const int p0 = static_cast<int>(task % blocks_.panel_groups) * blocks_.panels;
    GemmCall call;
    call.a = args.in + (image * pixels + begin) * args.in_stride, call.a_stride = args.in_stride;
    call.panels = weights_.panels.data();
    call.b = weights_.data.as<float>(), call.bias = weights_.bias.as<float>();
    call.k = k;
    call.prefetch = weights_.data.bytes() > machine_.l2_bytes / 2;
    call.c_stride = weights_.shape.n;
    call.c = reinterpret_cast<float*>(base) + begin * call.c_stride;
    if (copy) {
      auto** const rows = reinterpret_cast<const float**>(
          base + columns_bytes_ + static_cast<size_t>(worker) * worker_bytes_);
      for (int64_t i = 0; i < end - begin; ++i) rows[i] = call.a + i * args.in_stride;
      auto* const packed = reinterpret_cast<float*>(rows + (end - begin));
      PackRows(rows, end - begin, k, packed);
      call.a = packed, call.a_stride = PackedRowStride(k);
    }
    kernels.run(call, 0, end - begin, p0, std::min(p0 + blocks_.panels, num_panels));
  });
}

void ConvColumns::Run(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = spec_.window;
  const ColumnKernels& kernels = ColumnsFor(machine_.target);
  ColumnSums call;
  call.columns = static_cast<const float*>(args.workspace);
  for (size_t i = 0; i < 3; ++i) call.axes[i] = {axes_[i].offsets.data(), axes_[i].begin.data()};
  call.out = w.out;
  call.channels = spec_.out_channels;
  call.bias = bias_.as<float>();
  call.epilogue = spec_.epilogue;
  call.to_stride = args.out_stride;
  const int64_t rows = w.out[0] * w.out[1];
  const int64_t tasks =
      parallel.threads() > 1 ? std::min<int64_t>(rows, 4 * parallel.threads()) : 1;
  for (int64_t image = 0; image < spec_.batch; ++image) {
    Multiply(args, image, parallel);
    call.to = args.out + image * w.out_pixels() * args.out_stride;
    parallel.For(tasks, [&](int64_t task, int) {
      kernels.run(call, rows * task / tasks, rows * (task + 1) / tasks);
    });
  }
}

}  // namespace sula::cpu
