// Transposed convolution.
#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/conv/transposed.h"
#include "ops/conv.h"

namespace sula::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kBias = 2;

Result<ConvSpec> SpecOf(const KernelRequest& request) {
  const auto& p = request.params<ConvTransposeParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g,
                   ResolveConvTranspose(p, request.inputs[kX].dims, request.inputs[kW].dims));
  return ConvSpec{g.batch, g.in_channels, g.out_channels,
                  g.group, WindowOf(g),   EpilogueOf(p.Fused())};
}

class ConvTransposeKernel final : public Kernel {
 public:
  ConvTransposeKernel(ConvTransposed impl, const KernelRequest& request, Target target)
      : impl_(std::move(impl)),
        in_stride_(request.inputs[kX].pixel_stride),
        out_stride_(request.outputs[0].pixel_stride),
        target_(target) {}
  size_t workspace_bytes() const override { return impl_.workspace_bytes(); }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override { return i != int{kW} && i != int{kBias}; }
  std::string Detail() const override { return std::string(Name(target_)); }
  void Run(const RunArgs& args) const noexcept override {
    ConvArgs a;
    a.in = static_cast<const float*>(args.inputs[kX]), a.in_stride = in_stride_;
    a.out = static_cast<float*>(args.outputs[0]), a.out_stride = out_stride_;
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  ConvTransposed impl_;
  int64_t in_stride_, out_stride_;
  Target target_;
};

Verdict Accept(const KernelRequest& request) {
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

double Estimate(const KernelRequest& request) {
  const Result<ConvSpec> spec = SpecOf(request);
  const double depth = static_cast<double>(spec->in_channels / spec->groups);
  const double flops = 2.0 *
                       static_cast<double>(spec->batch * spec->window.in_pixels() *
                                           spec->window.taps() * spec->out_channels) *
                       depth;
  double bytes = BytesOf(request.outputs[0]);
  for (const TensorDesc& t : request.inputs) bytes += BytesOf(t);
  return Seconds({flops, 0.85 * depth / (depth + 12), bytes},
                 TargetForColumns(spec->out_channels / spec->groups), request.threads);
}

Result<std::unique_ptr<Kernel>> Create(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const ConvSpec spec, SpecOf(request));
  Machine machine = MachineOf(request);
  machine.target = TargetForColumns(spec.out_channels / spec.groups);
  ASSIGN_OR_RETURN(
      ConvTransposed impl,
      ConvTransposed::Make(spec, ConstantData(request, kW), ConstantData(request, kBias), machine));
  return std::unique_ptr<Kernel>(
      std::make_unique<ConvTransposeKernel>(std::move(impl), request, machine.target));
}

constexpr KernelEntry kEntries[] = {{
    .name = "sub_pixel_gemm",
    .layouts = [](const KernelRequest&, std::span<LayoutNeed> in,
                  std::span<LayoutNeed> out) { in[kX] = out[0] = LayoutNeed::kChannelLast; },
    .accept = Accept,
    .estimate = Estimate,
    .create = Create,
}};

}  // namespace

std::span<const KernelEntry> ConvTransposeKernels() { return kEntries; }

}  // namespace sula::cpu
