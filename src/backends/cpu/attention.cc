// Attention.
#include "ops/attention.h"

#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/attention/attention.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

constexpr size_t kQ = 0, kK = 1, kV = 2, kMask = 3;

HeadStrides StridesOf(const TensorDesc& desc) {
  const Dims s = LogicalStrides(desc);
  return {s[0], s[1], s[2], s[3]};
}

AttentionGeometry GeometryOf(const KernelRequest& r) {
  return ResolveAttention(r.inputs[kQ].dims, r.inputs[kK].dims, r.inputs[kV].dims);
}

AttentionSpec SpecOf(const KernelRequest& r) {
  const auto& p = r.params<AttentionParams>();
  const AttentionGeometry g = GeometryOf(r);
  AttentionSpec s;
  s.batch = g.batch, s.heads = g.heads, s.kv_heads = g.kv_heads;
  s.queries = g.queries, s.keys = g.keys;
  s.size = g.size, s.value_size = g.value_size;
  s.scale = p.scale, s.softcap = p.softcap;
  s.causal = p.causality != Causality::kNone;
  s.causal_offset = p.causality == Causality::kBottomRight ? g.keys - g.queries : 0;
  s.q = StridesOf(r.inputs[kQ]), s.k = StridesOf(r.inputs[kK]), s.v = StridesOf(r.inputs[kV]);
  s.y = StridesOf(r.outputs[0]);
  if (p.heads_inside) std::swap(s.y.head, s.y.position);
  s.masked = r.HasInput(kMask);
  if (s.masked) {
    const int64_t scores[] = {g.batch, g.heads, g.queries, g.keys};
    const Dims mask = BroadcastStrides(r.inputs[kMask], scores);
    std::copy(mask.begin(), mask.end(), s.mask.begin());
  }
  return s;
}

// Views of a projection to queries, keys and values are read as they lie. The mask's keys are read
// in vectors.
void AttentionLayouts(const KernelRequest&, std::span<LayoutNeed> inputs, std::span<LayoutNeed>) {
  for (size_t i : {kQ, kK, kV}) inputs[i] = LayoutNeed::kStrided;
}

double EstimateAttention(const KernelRequest& r) {
  const AttentionGeometry g = GeometryOf(r);
  const double scores =
      static_cast<double>(g.batch * g.heads * g.queries) * static_cast<double>(g.keys);
  const double sizes = static_cast<double>(g.size + g.value_size);
  double bytes = BytesOf(r.outputs[0]);
  for (const TensorDesc& t : r.inputs) bytes += BytesOf(t);
  // The softmax takes as long as some 40 flops for each score.
  const double flops = scores * (2 * sizes + 40);
  return Seconds({flops, 0.85, bytes}, BestTarget(), r.threads);
}

class AttentionKernel : public Kernel {
 public:
  explicit AttentionKernel(Attention impl) : impl_(std::move(impl)) {}
  size_t workspace_bytes() const override { return impl_.workspace_bytes(); }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  std::string Detail() const override {
    return StrCat(Name(BestTarget()), ", ", impl_.block_queries(), " queries a block");
  }
  void Run(const RunArgs& args) const noexcept override {
    AttentionArgs a;
    a.q = static_cast<const float*>(args.inputs[kQ]);
    a.k = static_cast<const float*>(args.inputs[kK]);
    a.v = static_cast<const float*>(args.inputs[kV]);
    if (args.inputs.size() > kMask) a.mask = static_cast<const float*>(args.inputs[kMask]);
    a.y = static_cast<float*>(args.outputs[0]);
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  Attention impl_;
};

Result<std::unique_ptr<Kernel>> CreateAttention(const KernelRequest& request) {
  ASSIGN_OR_RETURN(Attention impl, Attention::Make(SpecOf(request), MachineOf(request)));
  return std::unique_ptr<Kernel>(std::make_unique<AttentionKernel>(std::move(impl)));
}

constexpr KernelEntry kAttentionKernels[] = {
    {.name = "blocks",
     .layouts = AttentionLayouts,
     .accept = AcceptFloat,
     .estimate = EstimateAttention,
     .create = CreateAttention},
};

}  // namespace

std::span<const KernelEntry> AttentionKernels() { return kAttentionKernels; }

}  // namespace sula::cpu
