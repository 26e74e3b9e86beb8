// Kernels with smaller constants, where those of a plan outgrow the model and it costs next to
// nothing.
#include <algorithm>
#include <limits>

#include "runtime/packs.h"
#include "runtime/prepare/scheduler.h"

namespace sula {
namespace {

// The constants of a plan may be this many times as large as those of the model that it reads.
constexpr size_t kMostGrowth = 2;
// Predictions differ from times by more than that: a kernel within it of another is as fast.
constexpr double kAsFast = 1.03;
// Weights that are worth a look, and what must be saved by another kernel.
constexpr size_t kLeastWeights = size_t{64} << 10, kLeastSaved = size_t{256} << 10;

std::vector<TensorDesc> Laid(std::span<const TensorDesc> descs,
                             const std::vector<Layout>& layouts) {
  std::vector<TensorDesc> result;
  for (size_t i = 0; i < descs.size(); ++i)
    result.push_back(descs[i].present ? DenseDesc(descs[i].dtype, descs[i].dims, layouts[i])
                                      : TensorDesc{});
  return result;
}

}  // namespace

std::optional<size_t> Scheduler::ConstantsOf(NodeId id, const KernelOption& option) const {
  const Ports& ports = node_options_[static_cast<size_t>(id)]->ports;
  const PortLayouts layouts = LayoutsOf(ports, option.needs, Layout::kChannelLast);
  Step step;
  step.node = id;
  step.backend = option.backend;
  step.scheme = option.scheme;
  SizedPacks packs;
  const Result<std::unique_ptr<Kernel>> kernel = MakeKernel(
      graph_, step, Laid(ports.inputs, layouts.inputs), Laid(ports.outputs, layouts.outputs),
      options_, [&](NodeId) -> PackSource* { return &packs; });
  if (!kernel || !*kernel) return std::nullopt;
  return (*kernel)->constant_bytes();
}

bool Scheduler::SaveConstants(const Schedule& schedule) {
  struct Saving {
    NodeId node;
    const KernelOption* to;
    size_t bytes;
    double seconds;  // lost
  };
  struct Holder {
    NodeId node;
    const KernelOption* chosen;
    size_t held;
  };
  std::vector<Holder> holders;
  std::set<const Tensor*> seen;
  size_t weights = 0, constants = 0;
  for (const Step& step : schedule.steps) {
    if (step.kind != Step::Kind::kKernel) continue;
    size_t own = 0;
    for (ValueId v : InputValues(graph_, step)) {
      const Tensor* const constant = graph_.Constant(v);
      if (constant && seen.insert(constant).second) own += constant->bytes();
    }
    weights += own;
    std::vector<KernelOption>& options = OptionsOf(step.node).accepted;
    const auto chosen = std::find_if(options.begin(), options.end(), [&](const KernelOption& o) {
      return o.backend == step.backend && o.scheme == step.scheme;
    });
    const std::optional<size_t> held = own < kLeastWeights || chosen == options.end()
                                           ? std::nullopt
                                           : ConstantsOf(step.node, *chosen);
    constants += held.value_or(own);
    if (held) holders.push_back({step.node, &*chosen, *held});
  }
  if (constants <= kMostGrowth * weights) return false;
  std::vector<Saving> savings;
  for (const auto& [node, chosen, held] : holders) {
    std::optional<Saving> best;
    for (KernelOption& option : OptionsOf(node).accepted) {
      if (&option == chosen || option.needs != chosen->needs ||
          option.kernel > kAsFast * chosen->kernel)
        continue;
      const std::optional<size_t> bytes = ConstantsOf(node, option);
      if (!bytes || *bytes + kLeastSaved > held || (best && held - *bytes <= best->bytes)) continue;
      best = {node, &option, held - *bytes, option.kernel - chosen->kernel};
    }
    if (best) savings.push_back(*best);
  }
  // The cheapest savings first.
  std::stable_sort(savings.begin(), savings.end(), [](const Saving& a, const Saving& b) {
    return a.seconds * static_cast<double>(b.bytes) < b.seconds * static_cast<double>(a.bytes);
  });
  bool any = false;
  for (const Saving& saving : savings) {
    if (constants <= kMostGrowth * weights) break;
    constants -= saving.bytes;
    any = true;
    // Not those either that are as fast and not as small.
    for (KernelOption& option : OptionsOf(saving.node).accepted)
      option.passed_over = &option != saving.to && option.needs == saving.to->needs &&
                           option.kernel <= saving.to->kernel;
  }
  return any;
}

}  // namespace sula
