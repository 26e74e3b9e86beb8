// Chains of convolutions and pools that one kernel computes by bands of rows.
#include <algorithm>
#include <array>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/bands/bands.h"
#include "backends/cpu/machine_profile.h"
#include "backends/cpu/pool_adapter.h"
#include "ops/pool.h"

namespace sula::cpu {
namespace {

// What the nodes of a chain of convolutions are to be.
enum class Role : uint8_t { kPointwise, kPlanar, kWindow, kDepthwise };

// The kernel that a node of this role would have by itself.
const KernelEntry& Apart(Role role) {
  const std::string_view name = role == Role::kPlanar      ? "planar_input"
                                : role == Role::kDepthwise ? "depthwise"
                                                           : "implicit_gemm";
  const std::span<const KernelEntry> kernels = ConvKernels();
  return *std::find_if(kernels.begin(), kernels.end(),
                       [&](const KernelEntry& e) { return e.name == name; });
}
const KernelEntry& PoolApart() { return MaxPoolKernels()[0]; }

std::string Where(const ChainRequest& request, size_t i) {
  return StrCat("node ", i + 1, " ('", request.nodes[i].node->name, "'): ");
}

Verdict AcceptRole(const KernelRequest& request, Role role) {
  if (Verdict v = Apart(role).accept(request); !v) return v;
  const Result<ConvSpec> spec = ConvSpecOf(request);
  const Window& w = spec->window;
  if (request.inputs[kX].dims.size() != 4) return Verdict::No("not two spatial axes");
  if (role == Role::kDepthwise)
    return DepthwiseIsFast(w) ? Verdict::Yes()
                              : Verdict::No("a window without fast depthwise kernel");
  if (spec->groups != 1) return Verdict::No(StrCat(spec->groups, " groups"));
  if (role == Role::kPointwise && !w.IsPointwise())
    return Verdict::No("a window of more than one pixel, or a stride");
  return Verdict::Yes();
}

BandConv BandConvOf(const KernelRequest& request, Role role) {
  return {*ConvSpecOf(request), ConstantData(request, kW), ConstantData(request, kBias),
          role == Role::kPlanar, request.packs};
}

// What running nodes together saves: their values pass through L2 instead of wherever whole maps
// lie, and threads are forked and joined once. Against that stands the setup of bands.
double Savings(const ChainRequest& request) {
  constexpr double kSetup = 1e-6;
  const auto band = static_cast<double>(CurrentL2Bytes()) / 2;
  const Target target = BestTarget();
  double seconds = -kSetup;
  for (const KernelRequest& node : request.nodes.first(request.nodes.size() - 1)) {
    const double bytes = 2 * BytesOf(node.outputs[0]);
    Work inside{.sections = 0};
    inside.streams[0] = {bytes, std::min(bytes, band), true};
    seconds += Seconds({.bytes = bytes}, target, request.threads()) -
               Seconds(inside, target, request.threads());
  }
  return seconds;
}

// Reads the first node's input, writes the last one's output and adds the residual of one of them.
template <class Impl>
class BandKernel : public Kernel {
 public:
  BandKernel(Impl impl, const ChainRequest& request, std::string detail)
      : impl_(std::move(impl)), detail_(std::move(detail)) {
    const KernelRequest& last = request.nodes.back();
    in_stride_ = request.nodes[0].inputs[kX].pixel_stride;
    out_stride_ = last.outputs[0].pixel_stride;
    if (request.nodes.back().HasInput(kResidual)) {
      residual_ = request.InputPort(request.nodes.size() - 1, kResidual);
      residual_stride_ = last.inputs[kResidual].pixel_stride;
    }
    size_t port = 0;
    for (size_t n = 0; n < request.nodes.size(); ++n)
      for (size_t i = n > 0; i < request.nodes[n].inputs.size(); ++i, ++port)
        packed_.push_back(request.nodes[n].IsConstant(i) && (i == kW || i == kBias));
  }
  size_t workspace_bytes() const override { return impl_.workspace_bytes(); }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override { return !packed_[static_cast<size_t>(i)]; }
  std::string Detail() const override { return detail_; }
  void Run(const RunArgs& args) const noexcept override {
    ConvArgs a;
    a.in = static_cast<const float*>(args.inputs[0]), a.in_stride = in_stride_;
    a.out = static_cast<float*>(args.outputs[0]), a.out_stride = out_stride_;
    if (residual_) a.residual = static_cast<const float*>(args.inputs[residual_]);
    a.residual_stride = residual_stride_;
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  Impl impl_;
  int64_t in_stride_ = 0, out_stride_ = 0, residual_stride_ = 0;
  size_t residual_ = 0;       // its port; 0: none
  std::vector<bool> packed_;  // by port
  std::string detail_;
};

// ---- depthwise convolutions with what is before and behind them

using Roles = std::span<const Role>;

// Which node is the depthwise convolution.
size_t Middle(Roles roles) { return roles[0] == Role::kDepthwise ? 0 : 1; }

Verdict AcceptConvs(const ChainRequest& request, Roles roles) {
  for (size_t i = 0; i < roles.size(); ++i) {
    if (Verdict v = AcceptRole(request.nodes[i], roles[i]); !v)
      return Verdict::No(Where(request, i) + v.reason());
    if (i + 1 < roles.size() && request.nodes[i].HasInput(kResidual))
      return Verdict::No(Where(request, i) + "a residual within the chain");
  }
  if (roles[0] == Role::kPlanar && ConvSpecOf(request.nodes[0])->out_channels > kDepthwiseGroup)
    return Verdict::No(StrCat(Where(request, 0), "more than ", kDepthwiseGroup,
                              " output channels of a planar convolution"));
  return Verdict::Yes();
}

double EstimateConvs(const ChainRequest& request, Roles roles) {
  double seconds = -Savings(request);
  for (size_t i = 0; i < roles.size(); ++i) seconds += Apart(roles[i]).estimate(request.nodes[i]);
  return seconds;
}

Result<std::unique_ptr<Kernel>> CreateConvs(const ChainRequest& request, Roles roles) {
  const size_t middle = Middle(roles);
  std::optional<BandConv> first, last;
  if (middle > 0) first = BandConvOf(request.nodes[0], roles[0]);
  if (middle + 1 < roles.size()) last = BandConvOf(request.nodes[middle + 1], Role::kPointwise);
  Machine machine = MachineOf(request.nodes[0]);
  machine.target = TargetForColumns(ConvSpecOf(request.nodes[middle])->out_channels);
  ASSIGN_OR_RETURN(DepthwiseBands impl,
                   DepthwiseBands::Make(first, BandConvOf(request.nodes[middle], Role::kDepthwise),
                                        last, machine));
  std::string detail = StrCat(Name(machine.target), impl.by_groups() ? ", by groups, " : ", ",
                              impl.band_rows(), " rows a band");
  return std::unique_ptr<Kernel>(
      std::make_unique<BandKernel<DepthwiseBands>>(std::move(impl), request, std::move(detail)));
}

// Activations are channel-last, but for a planar input.
template <Role kFirst>
void BandLayouts(const ChainRequest& request, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  if (kFirst != Role::kPlanar) inputs[kX] = LayoutNeed::kChannelLast;
  outputs[0] = LayoutNeed::kChannelLast;
  const size_t last = request.nodes.size() - 1;
  if (request.nodes[last].HasInput(kResidual))
    inputs[request.InputPort(last, kResidual)] = LayoutNeed::kChannelLast;
}

template <Role... kRoles>
struct ConvChain {
  static constexpr std::array kRole = {kRoles...};
  static constexpr std::array<const OpDef*, sizeof...(kRoles)> kOps = [] {
    std::array<const OpDef*, sizeof...(kRoles)> ops{};
    ops.fill(&op::kConv);
    return ops;
  }();

  static constexpr ChainEntry Entry(std::string_view name) {
    return {.name = name,
            .ops = kOps,
            .layouts = BandLayouts<kRole[0]>,
            .accept = [](const ChainRequest& r) { return AcceptConvs(r, kRole); },
            .estimate = [](const ChainRequest& r) { return EstimateConvs(r, kRole); },
            .create = [](const ChainRequest& r) { return CreateConvs(r, kRole); }};
  }
};

// ---- convolution and pool

Verdict AcceptPool(const ChainRequest& request, Role role) {
  if (Verdict v = AcceptRole(request.nodes[0], role); !v)
    return Verdict::No(Where(request, 0) + v.reason());
  if (request.nodes[0].HasInput(kResidual))
    return Verdict::No(Where(request, 0) + "a residual within the chain");
  if (Verdict v = PoolApart().accept(request.nodes[1]); !v)
    return Verdict::No(Where(request, 1) + v.reason());
  return Verdict::Yes();
}

double EstimatePool(const ChainRequest& request, Role role) {
  // Rows that windows at the border of two shares both need are computed twice.
  const Window w = MaxPoolCall(request.nodes[1])->window;
  const double common =
      std::max<double>(0, static_cast<double>((w.kernel[1] - 1) * w.dilation[1] + 1 - w.stride[1]));
  const int shares = PoolBands::Shares(request.threads());
  const double twice = common * (shares - 1) / static_cast<double>(w.in[1]);
  return Apart(role).estimate(request.nodes[0]) * (1 + twice) +
         PoolApart().estimate(request.nodes[1]) - Savings(request);
}

Result<std::unique_ptr<Kernel>> CreatePool(const ChainRequest& request, Role role) {
  ASSIGN_OR_RETURN(const PoolCall pool, MaxPoolCall(request.nodes[1]));
  Machine machine = MachineOf(request.nodes[0]);
  machine.target = TargetForColumns(pool.channels);
  ASSIGN_OR_RETURN(PoolBands impl,
                   PoolBands::Make(BandConvOf(request.nodes[0], role), pool, machine));
  std::string detail = StrCat(Name(machine.target), ", ", impl.band_rows(), " rows a band");
  return std::unique_ptr<Kernel>(
      std::make_unique<BandKernel<PoolBands>>(std::move(impl), request, std::move(detail)));
}

constexpr const OpDef* kConvAndPool[] = {&op::kConv, &op::kMaxPool};

template <Role kRole>
constexpr ChainEntry PoolEntry(std::string_view name) {
  return {.name = name,
          .ops = kConvAndPool,
          .layouts = BandLayouts<kRole>,
          .accept = [](const ChainRequest& r) { return AcceptPool(r, kRole); },
          .estimate = [](const ChainRequest& r) { return EstimatePool(r, kRole); },
          .create = [](const ChainRequest& r) { return CreatePool(r, kRole); }};
}

using enum Role;
constexpr ChainEntry kChains[] = {
    ConvChain<kPointwise, kDepthwise, kPointwise>::Entry("bands_1x1_depthwise_1x1"),
    ConvChain<kPlanar, kDepthwise, kPointwise>::Entry("bands_planar_depthwise_1x1"),
    ConvChain<kDepthwise, kPointwise>::Entry("bands_depthwise_1x1"),
    ConvChain<kPointwise, kDepthwise>::Entry("bands_1x1_depthwise"),
    ConvChain<kPlanar, kDepthwise>::Entry("bands_planar_depthwise"),
    PoolEntry<kPlanar>("bands_planar_maxpool"),
    PoolEntry<kWindow>("bands_conv_maxpool"),
};

}  // namespace

std::span<const ChainEntry> ConvChains() { return kChains; }

}  // namespace sula::cpu
