// Pooling over windows and over whole maps.
#include "ops/pool.h"

#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/pool_adapter.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

class PoolKernel : public Kernel {
 public:
  PoolKernel(const PoolCall& call, Target target) : call_(call), target_(target) {}
  std::string Detail() const override { return std::string(Name(target_)); }
  void Run(const RunArgs& args) const noexcept override {
    PoolCall call = call_;
    call.in = static_cast<const float*>(args.inputs[0]);
    call.out = static_cast<float*>(args.outputs[0]);
    RunPool(call, target_, args.parallel);
  }

 private:
  PoolCall call_;
  Target target_;
};

// The call but for its pointers and strides.
Result<PoolCall> WindowCall(const KernelRequest& request, PoolKind kind) {
  const auto& p = request.params<PoolParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g, ResolvePool(p, request.inputs[0].dims));
  PoolCall call;
  call.kind = kind;
  call.window = WindowOf(g);
  call.batch = g.batch, call.channels = g.in_channels;
  const size_t spatial = static_cast<size_t>(g.spatial);
  for (size_t i = 0; i < spatial; ++i) {
    // The padding declared, without what ceil_mode adds to it.
    const bool declared = p.auto_pad == AutoPad::kExplicit;
    call.pad_end[3 - spatial + i] = !declared        ? g.pad_end[i]
                                    : p.pads.empty() ? 0
                                                     : p.pads[spatial + i];
  }
  return call;
}

}  // namespace

Result<PoolCall> MaxPoolCall(const KernelRequest& request) {
  return WindowCall(request, PoolKind::kMax);
}

namespace {

Result<PoolCall> AverageCall(const KernelRequest& request) {
  return WindowCall(request, request.params<PoolParams>().count_include_pad ? PoolKind::kMeanPadding
                                                                            : PoolKind::kMean);
}

PoolCall GlobalCall(const KernelRequest& request, PoolKind kind) {
  const Dims& x = request.inputs[0].dims;
  PoolCall call;
  call.kind = kind;
  call.batch = x[0], call.channels = x[1];
  int64_t pixels = 1;
  for (size_t i = 2; i < x.size(); ++i) pixels *= x[i];
  // All positions of a map are one window in a line.
  call.window.in[2] = call.window.kernel[2] = pixels;
  return call;
}
Result<PoolCall> GlobalMaxCall(const KernelRequest& request) {
  return GlobalCall(request, PoolKind::kMax);
}
Result<PoolCall> GlobalAverageCall(const KernelRequest& request) {
  return GlobalCall(request, PoolKind::kMean);
}

void ChannelLast(const KernelRequest&, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kChannelLast;
}

template <auto kCall>
Verdict AcceptPool(const KernelRequest& request) {
  if (Verdict v = AcceptFloat(request); !v) return v;
  if (request.outputs.size() > 1 && request.outputs[1].present)
    return Verdict::No("indices wanted");
  if (request.inputs[0].dims.size() < 3 || request.inputs[0].dims.size() > 5)
    return Verdict::No(StrCat(request.inputs[0].dims.size(), " axes"));
  if (Result<PoolCall> call = kCall(request); !call.has_value())
    return Verdict::No(call.error().message());
  return Verdict::Yes();
}

double EstimatePool(const KernelRequest& request) { return StreamSeconds(request); }

template <auto kCall>
Result<std::unique_ptr<Kernel>> CreatePool(const KernelRequest& request) {
  ASSIGN_OR_RETURN(PoolCall call, kCall(request));
  call.in_stride = request.inputs[0].pixel_stride;
  call.out_stride = request.outputs[0].pixel_stride;
  return std::unique_ptr<Kernel>(std::make_unique<PoolKernel>(call, BestTarget()));
}

template <auto kCall>
constexpr KernelEntry kEntry[] = {{.name = "channel_last",
                                   .layouts = ChannelLast,
                                   .accept = AcceptPool<kCall>,
                                   .estimate = EstimatePool,
                                   .create = CreatePool<kCall>}};

}  // namespace

std::span<const KernelEntry> MaxPoolKernels() { return kEntry<MaxPoolCall>; }
std::span<const KernelEntry> AveragePoolKernels() { return kEntry<AverageCall>; }
std::span<const KernelEntry> GlobalAveragePoolKernels() { return kEntry<GlobalAverageCall>; }
std::span<const KernelEntry> GlobalMaxPoolKernels() { return kEntry<GlobalMaxCall>; }

}  // namespace sula::cpu
