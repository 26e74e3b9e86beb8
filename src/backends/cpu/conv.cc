// Convolution: depthwise, planar input, Winograd, implicit GEMM.
#include "ops/conv.h"

#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"

namespace sula::cpu {
namespace {

// Inputs of the operator.
constexpr size_t kX = 0, kW = 1, kBias = 2, kResidual = 3;
// The planar kernel converts each input row once per band: pays while channels are few.
constexpr int64_t kMaxPlanarChannels = 4;

Result<ConvSpec> SpecOf(const KernelRequest& request) {
  const auto& p = request.params<ConvParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g,
                   ResolveConv(p, request.inputs[kX].dims, request.inputs[kW].dims));
  return ConvSpec{g.batch, g.in_channels, g.out_channels,
                  g.group, WindowOf(g),   EpilogueOf(p.Fused())};
}

Verdict AcceptConv(const KernelRequest& request) {
  if (Verdict v = AcceptFloat(request); !v) return v;
  if (!request.IsConstant(kW)) return Verdict::No("weights not constant");
  if (request.HasInput(kBias) && !request.IsConstant(kBias))
    return Verdict::No("bias not constant");
  const size_t rank = request.inputs[kX].dims.size();
  if (rank < 3 || rank > 5) return Verdict::No(StrCat(rank, " axes"));
  if (Result<ConvSpec> spec = SpecOf(request); !spec.has_value())
    return Verdict::No(spec.error().message());
  return Verdict::Yes();
}

void ChannelLast(const KernelRequest&, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  inputs[kX] = outputs[0] = LayoutNeed::kChannelLast;
  if (inputs.size() > kResidual) inputs[kResidual] = LayoutNeed::kChannelLast;
}

double ConvFlops(const ConvSpec& s) {
  return 2.0 * static_cast<double>(s.batch * s.window.out_pixels() * s.window.taps()) *
         static_cast<double>(s.out_channels) * static_cast<double>(s.in_channels / s.groups);
}

// Activations and weights, each once.
double ConvBytes(const KernelRequest& request) {
  double bytes = BytesOf(request.outputs[0]);
  for (const TensorDesc& t : request.inputs) bytes += BytesOf(t);
  return bytes;
}

// A prepared convolution of kernels/ as a Kernel.
template <class Impl>
class ConvKernel : public Kernel {
 public:
  ConvKernel(Impl impl, const KernelRequest& request, std::string detail)
      : impl_(std::move(impl)),
        in_stride_(request.inputs[kX].pixel_stride),
        out_stride_(request.outputs[0].pixel_stride),
        residual_stride_(request.HasInput(kResidual) ? request.inputs[kResidual].pixel_stride : 0),
        detail_(std::move(detail)) {}
  size_t workspace_bytes() const override {
    if constexpr (requires { impl_.workspace_bytes(); }) {
      return impl_.workspace_bytes();
    } else {
      return 0;
    }
  }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override { return i != int{kW} && i != int{kBias}; }
  std::string Detail() const override { return detail_; }
  void Run(const RunArgs& args) const noexcept override {
    ConvArgs a;
    a.in = static_cast<const float*>(args.inputs[kX]), a.in_stride = in_stride_;
    a.out = static_cast<float*>(args.outputs[0]), a.out_stride = out_stride_;
    if (args.inputs.size() > kResidual)
      a.residual = static_cast<const float*>(args.inputs[kResidual]);
    a.residual_stride = residual_stride_;
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  Impl impl_;
  int64_t in_stride_, out_stride_, residual_stride_;
  std::string detail_;
};

template <class Impl>
Result<std::unique_ptr<Kernel>> MakeConv(const KernelRequest& request, const ConvSpec& spec,
                                         const Machine& machine) {
  ASSIGN_OR_RETURN(Impl impl, Impl::Make(spec, ConstantData(request, kW),
                                         ConstantData(request, kBias), machine));
  return std::unique_ptr<Kernel>(std::make_unique<ConvKernel<Impl>>(
      std::move(impl), request, std::string(Name(machine.target))));
}

// ---- implicit GEMM: every convolution

double EstimateGemm(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const ConvSpec& s = *spec;
  const int64_t columns = s.out_channels / s.groups;
  const Target target = TargetForColumns(columns);
  const int64_t lanes = GemmFor(target).lanes;
  const double lane_share =
      static_cast<double>(columns) / static_cast<double>((columns + lanes - 1) / lanes * lanes);
  // Filling and storing a tile costs about as much as 12 values of k.
  const double depth = static_cast<double>(s.in_channels / s.groups * s.window.taps());
  return Seconds({ConvFlops(s), 0.92 * lane_share * depth / (depth + 12), ConvBytes(request)},
                 target, request.threads);
}

Result<std::unique_ptr<Kernel>> CreateGemm(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels / spec.groups);
  return MakeConv<ConvGemm>(request, spec, machine);
}

// ---- planar input

Verdict AcceptPlanar(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  if (spec->in_channels > kMaxPlanarChannels)
    return Verdict::No(StrCat("more than ", kMaxPlanarChannels, " input channels"));
  if (spec->window.in[0] != 1 || spec->window.kernel[0] != 1)
    return Verdict::No("three spatial axes");
  return Verdict::Yes();
}

void PlanarLayouts(const KernelRequest& request, std::span<LayoutNeed> inputs,
                   std::span<LayoutNeed> outputs) {
  ChannelLast(request, inputs, outputs);
  inputs[kX] = LayoutNeed::kRowMajor;
}

double EstimatePlanar(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const double taps = static_cast<double>(spec->in_channels * spec->window.taps());
  return Seconds({ConvFlops(*spec), 0.9 * taps / (taps + 12), ConvBytes(request)}, BestTarget(),
                 request.threads);
}

Result<std::unique_ptr<Kernel>> CreatePlanar(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels);
  return MakeConv<ConvPlanar>(request, spec, machine);
}

// ---- depthwise

Verdict AcceptDepthwise(const KernelRequest& request) {
  if (Verdict v = AcceptConv(request); !v) return v;
  const Result<ConvSpec> spec = SpecOf(request);
  if (spec->groups != spec->in_channels || spec->groups != spec->out_channels)
    return Verdict::No("not one channel in and out of each group");
  return Verdict::Yes();
}

double EstimateDepthwise(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  return Seconds({ConvFlops(*spec), 0.4, ConvBytes(request)}, BestTarget(), request.threads);
}

Result<std::unique_ptr<Kernel>> CreateDepthwise(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  return MakeConv<Depthwise>(request, spec, MachineOf(request));
}

constexpr KernelEntry kConvKernels[] = {
    {.name = "depthwise",
     .layouts = ChannelLast,
     .accept = AcceptDepthwise,
     .estimate = EstimateDepthwise,
     .create = CreateDepthwise},
    {.name = "planar_input",
     .layouts = PlanarLayouts,
     .accept = AcceptPlanar,
     .estimate = EstimatePlanar,
     .create = CreatePlanar},
    {.name = "implicit_gemm",
     .layouts = ChannelLast,
     .accept = AcceptConv,
     .estimate = EstimateGemm,
     .create = CreateGemm},
};

}  // namespace

std::span<const KernelEntry> ConvKernels() { return kConvKernels; }

}  // namespace sula::cpu
