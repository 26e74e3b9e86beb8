#include "backends/cpu/adapter.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/cpu_info.h"

namespace sula::cpu {

Epilogue EpilogueOf(const Activation& f) {
  Epilogue e;
  e.a = f.a, e.b = f.b;
  switch (f.kind) {
    case ActivationKind::kNone: break;
    case ActivationKind::kRelu: e.lo = 0; break;
    case ActivationKind::kClip: e.lo = f.a, e.hi = f.b; break;
    case ActivationKind::kLeakyRelu: e.curve = Curve::kLeakyRelu; break;
    case ActivationKind::kSigmoid: e.curve = Curve::kSigmoid; break;
    case ActivationKind::kTanh: e.curve = Curve::kTanh; break;
    case ActivationKind::kHardSigmoid: e.curve = Curve::kHardSigmoid; break;
    case ActivationKind::kHardSwish: e.curve = Curve::kHardSwish; break;
    case ActivationKind::kSwish: e.curve = Curve::kSwish; break;
    case ActivationKind::kGelu: e.curve = Curve::kGelu; break;
  }
  return e;
}

Window WindowOf(const ConvGeometry& g) {
  Window w;
  for (int i = 0; i < g.spatial; ++i) {
    const size_t from = static_cast<size_t>(i), to = static_cast<size_t>(3 - g.spatial + i);
    w.in[to] = g.in[from], w.out[to] = g.out[from], w.kernel[to] = g.kernel[from];
    w.stride[to] = g.stride[from], w.dilation[to] = g.dilation[from];
    w.pad[to] = g.pad_begin[from];
  }
  return w;
}

Machine MachineOf(const KernelRequest& request) {
  return {BestTarget(), std::max(1, request.threads), CpuInfo::Get().l2_bytes};
}

Verdict AcceptFloat(const KernelRequest& request) {
  for (std::span<const TensorDesc> tensors : {request.inputs, request.outputs}) {
    for (const TensorDesc& t : tensors) {
      if (!t.present) continue;
      if (t.dtype != DType::kFloat32) return Verdict::No(StrCat("element type ", Name(t.dtype)));
      if (t.num_elements() == 0) return Verdict::No("an empty tensor");
    }
  }
  return Verdict::Yes();
}

const float* ConstantData(const KernelRequest& request, size_t i) {
  return request.IsConstant(i) ? request.constants[i]->data<float>().data() : nullptr;
}

double BytesOf(const TensorDesc& t) {
  return t.present ? static_cast<double>(t.num_elements()) * static_cast<double>(SizeOf(t.dtype))
                   : 0;
}

namespace {

// Times a product that lies in L1.
double MeasurePeak(Target target) {
  const GemmKernels& kernels = GemmFor(target);
  const int64_t rows = kernels.tile_rows[2], depth = 128, columns = 2 * kernels.lanes;
  AlignedBuffer a(static_cast<size_t>(rows * depth) * 4),
      c(static_cast<size_t>(rows * columns) * 4);
  AlignedBuffer b(static_cast<size_t>(depth * columns) * 4), bias(static_cast<size_t>(columns) * 4);
  const Panel panel{0, 0, 0, static_cast<int32_t>(columns), 2};
  GemmCall call;
  call.a = a.as<float>(), call.a_stride = depth;
  call.panels = &panel, call.b = b.as<float>(), call.bias = bias.as<float>();
  call.k = depth;
  call.c = c.as<float>(), call.c_stride = columns;
  constexpr int kCalls = 8;
  double best = 1;
  for (int repeat = 0; repeat < 12; ++repeat) {  // the best of a few: others may use the core
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) kernels.run(call, 0, rows, 0, 1);
    const std::chrono::duration<double> t = std::chrono::steady_clock::now() - start;
    best = std::min(best, t.count());
  }
  return 2.0 * kCalls * static_cast<double>(rows * depth * columns) / best;
}

}  // namespace

double PeakFlops(Target target) {
  static const std::array<double, kNumTargets> peaks = [] {
    std::array<double, kNumTargets> r{};
    for (Target t : AvailableTargets())
      if (t != Target::kScalar16) r[static_cast<size_t>(t)] = MeasurePeak(t);
    return r;
  }();
  return peaks[static_cast<size_t>(target)];
}

double Seconds(const Work& work, Target target, int threads) {
  constexpr double kBytesPerSecond = 15e9;  // of one thread from L3
  constexpr double kForkSeconds = 3e-6;
  const double one =
      work.flops / (PeakFlops(target) * work.efficiency) + work.bytes / kBytesPerSecond;
  return threads > 1 ? one / (0.95 * threads) + kForkSeconds : one;
}

Target TargetForColumns(int64_t columns) {
  const Target best = BestTarget();
  if (best != Target::kAvx512) return best;
  // Double-pumped AVX-512 (Zen 4) runs at the rate of AVX2. The margin keeps noise out.
  static const bool half_rate = PeakFlops(Target::kAvx512) < 1.5 * PeakFlops(Target::kAvx2);
  const int64_t wide = (columns + 15) / 16 * 16, narrow = (columns + 7) / 8 * 8;
  return half_rate && wide * 9 > narrow * 10 ? Target::kAvx2 : best;
}

}  // namespace sula::cpu
