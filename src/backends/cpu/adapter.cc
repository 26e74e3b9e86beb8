#include "backends/cpu/adapter.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>
#include <vector>

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
  return {BestTarget(), std::max(1, request.threads), CpuInfo::Get().l2_bytes, request.packs};
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

// Seconds of one product that lies in L1, and its flops.
class PeakProbe {
 public:
  explicit PeakProbe(Target target) : kernels_(GemmFor(target)) {
    panel_.columns = static_cast<int32_t>(columns());
    panel_.vectors = 2;
  }
  double flops() const { return 2.0 * static_cast<double>(rows() * kDepth * columns()); }
  double Time() const {
    GemmCall call;
    call.a = a_.as<float>(), call.a_stride = kDepth;
    call.panels = &panel_, call.b = b_.as<float>(), call.bias = c_.as<float>();
    call.k = kDepth;
    call.c = c_.as<float>(), call.c_stride = columns();
    const auto start = std::chrono::steady_clock::now();
    kernels_.run(call, 0, rows(), 0, 1);
    const std::chrono::duration<double> t = std::chrono::steady_clock::now() - start;
    return t.count();
  }

 private:
  static constexpr int64_t kDepth = 128;
  int64_t rows() const { return kernels_.tile_rows[2]; }
  int64_t columns() const { return 2 * kernels_.lanes; }
  const GemmKernels& kernels_;
  Panel panel_;
  AlignedBuffer a_{static_cast<size_t>(rows() * kDepth) * 4};
  AlignedBuffer b_{static_cast<size_t>(kDepth * columns()) * 4};
  AlignedBuffer c_{static_cast<size_t>(rows() * columns()) * 4};
};

}  // namespace

double PeakFlops(Target target) {
  static const std::array<double, kNumTargets> peaks = [] {
    // In turns, and the best of many short runs: other work on the core only ever slows one down.
    std::array<double, kNumTargets> r{};
    std::vector<std::pair<Target, PeakProbe>> probes;
    for (Target t : AvailableTargets())
      if (t != Target::kScalar16) probes.emplace_back(t, PeakProbe(t));
    for (int repeat = 0; repeat < 200; ++repeat)
      for (const auto& [t, probe] : probes)
        r[static_cast<size_t>(t)] =
            std::max(r[static_cast<size_t>(t)], probe.flops() / probe.Time());
    return r;
  }();
  return peaks[static_cast<size_t>(target)];
}

double Seconds(const Work& work, Target target, int threads) {
  constexpr double kBytesPerSecond = 22e9;  // of one thread from L3 or memory, read ahead
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
