// What the layout of a value will cost those who read it.
#include <algorithm>
#include <array>

#include "ops/movement.h"
#include "runtime/prepare/scheduler.h"

namespace sula {
namespace {

constexpr Layout kChoices[] = {Layout::kRowMajor, Layout::kChannelLast};

constexpr Layout Other(Layout layout) {
  return layout == Layout::kRowMajor ? Layout::kChannelLast : Layout::kRowMajor;
}

}  // namespace

double Scheduler::ConversionCost(ValueId v, Layout to) {
  const Dims dims = DimsOf(v);
  if (dims.size() < 2) return 0;
  const TensorDesc from = DenseDesc(TypeOf(v), dims, Other(to));
  // Sizes of 1 may make both layouts one.
  Dims strides(dims.size());
  from.WriteStrides(strides);
  if (FitLayout(from.dtype, dims, strides, to)) return 0;
  return CopyCost(from, DenseDesc(TypeOf(v), dims, to));
}

double Scheduler::ReaderCost(NodeId reader, ValueId v, Layout layout) {
  const Node& node = graph_.node(reader);
  for (const auto* values : {&node.inputs, &node.outputs})
    for (ValueId u : *values)
      if (u != kNoValue && !IsStatic(u)) return layout == Layout::kRowMajor ? 0 : kNever;
  if (const std::optional<double> cost = MovementCost(node, v, layout)) return *cost;

  const NodeOptions& options = OptionsOf(reader);
  double least = kNever;
  for (const KernelOption& option : options.accepted) {
    if (option.passed_over) continue;
    for (Layout follow : kChoices) {
      const PortLayouts layouts = LayoutsOf(options.ports, option.needs, follow);
      bool reads_it = true;
      double cost = option.kernel;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] == v) {
          reads_it &= layouts.inputs[i] == layout || layouts.inputs[i] == Layout::kStrided;
        } else if (options.ports.inputs[i].present && !options.ports.constants[i]) {
          cost += OtherInputCost(node.inputs[i], layouts.inputs[i]);
        }
      }
      if (!reads_it) continue;
      for (size_t i = 0; i < node.outputs.size(); ++i)
        if (node.outputs[i] != kNoValue) cost += Outlook(node.outputs[i], layouts.outputs[i]);
      least = std::min(least, cost);
    }
  }
  return least;
}

std::optional<double> Scheduler::MovementCost(const Node& node, ValueId v, Layout layout) {
  if (!node.op->Has(kDataMovement)) return std::nullopt;
  const Dims dims = DimsOf(v);
  if (dims.size() < 2 && layout == Layout::kChannelLast) return kNever;
  std::vector<Dims> inputs, outputs;
  std::vector<const Tensor*> constants;
  for (ValueId u : node.inputs) {
    inputs.push_back(u == kNoValue ? Dims() : DimsOf(u));
    constants.push_back(graph_.Constant(u));
  }
  for (ValueId u : node.outputs) outputs.push_back(u == kNoValue ? Dims() : DimsOf(u));
  const auto lists = RegionsOf(node, inputs, outputs, constants);
  if (!lists && !node.op->Has(kReinterpret)) return std::nullopt;

  const Strided whole{0, StridesOf(dims, layout)};
  double cost = 0;
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    const ValueId y = node.outputs[k];
    if (y == kNoValue) continue;
    const Dims y_dims = DimsOf(y);
    std::optional<Dims> view;  // strides of y as a view of v
    if (!lists) {
      if (node.inputs[0] != v) continue;
      view = ReshapeStrides(dims, whole.strides, y_dims);
    } else if ((*lists)[k].size() == 1) {
      const Region& region = (*lists)[k][0];
      if (region.source == Region::kZeros || node.inputs[region.source] != v) continue;
      if (std::optional<Strided> at = ViewThrough(region, y_dims, whole))
        view = std::move(at->strides);
    }
    double least = kNever;
    for (Layout to : kChoices) {
      if (to == Layout::kChannelLast && y_dims.size() < 2) continue;
      bool fits = view && FitLayout(TypeOf(y), y_dims, *view, to);
      if (!view && lists) {
        // Parts of y that v fills as a whole are written in place.
        fits = true;
        const Strided all{0, StridesOf(y_dims, to)};
        for (const Region& region : (*lists)[k]) {
          if (region.source == Region::kZeros || node.inputs[region.source] != v) continue;
          const std::optional<Strided> part = PartThrough(region, dims, all);
          fits &= part && FitLayout(TypeOf(v), dims, part->strides, layout);
        }
      }
      const double move = fits ? 0 : std::max(ConversionCost(v, layout), ConversionCost(y, to));
      least = std::min(least, move + Outlook(y, to));
    }
    cost += least;
  }
  return cost;
}

double Scheduler::OtherInputCost(ValueId v, Layout layout) {
  if (laid_.empty() || layout == Layout::kStrided) return 0;
  const uint8_t known = laid_[static_cast<size_t>(v)];
  return known == 0 || (known & Bit(layout)) != 0 ? 0 : ConversionCost(v, layout);
}

std::vector<uint8_t> Scheduler::Heeded(const std::vector<uint8_t>& laid) {
  if (!joined_) {
    joined_.emplace();
    const auto joins = [&](const Node& node, ValueId v) {
      return v != kNoValue && !graph_.Constant(v) && IsStatic(v) && DimsOf(v).size() >= 2 &&
             ConversionCost(v, Layout::kRowMajor) > 0 && !MovementCost(node, v, Layout::kRowMajor);
    };
    for (NodeId id : order_) {
      const Node& node = graph_.node(id);
      std::set<ValueId> values;
      for (ValueId v : node.inputs)
        if (joins(node, v)) values.insert(v);
      if (values.size() > 1) joined_->insert(values.begin(), values.end());
    }
  }
  std::vector<uint8_t> heeded;
  constexpr uint8_t kBoth = Bit(Layout::kRowMajor) | Bit(Layout::kChannelLast);
  for (ValueId v : *joined_) {
    const uint8_t known = laid.empty() ? 0 : laid[static_cast<size_t>(v)] & kBoth;
    heeded.push_back(known == kBoth ? 0 : known);
  }
  return heeded;
}

void Scheduler::LookAhead() {
  outlook_.assign(static_cast<size_t>(graph_.value_slots()), {});
  // Readers come after what they read.
  for (auto id = order_.rbegin(); id != order_.rend(); ++id)
    for (ValueId v : graph_.node(*id).outputs)
      if (v != kNoValue && IsStatic(v)) LookAhead(v);
  for (ValueId v : graph_.inputs()) LookAhead(v);
}

void Scheduler::LookAhead(ValueId v) {
  if (DimsOf(v).size() < 2) return;
  std::vector<std::array<double, 2>> readers;  // by layout
  for (NodeId id : readers_[v])
    readers.push_back({ReaderCost(id, v, kChoices[0]), ReaderCost(id, v, kChoices[1])});
  if (graph_.IsOutput(v)) readers.push_back({0, kNever});

  ValueOutlook& outlook = outlook_[static_cast<size_t>(v)];
  for (size_t l = 0; l < 2; ++l) {
    double alone = 0, both = ConversionCost(v, kChoices[1 - l]);
    for (const auto& cost : readers) {
      alone += cost[l];
      both += std::min(cost[0], cost[1]);
    }
    outlook.copied[l] = both < alone;
    outlook.seconds[l] = std::min(alone, both);
  }
  const double least = std::min(outlook.seconds[0], outlook.seconds[1]);
  for (double& seconds : outlook.seconds) seconds = least < kNever ? seconds - least : 0;
}

void Scheduler::Promise(ValueId v, Layout layout) {
  if (!outlook_.empty() && outlook_[static_cast<size_t>(v)].copied[layout != kChoices[0]])
    expected_.insert({v, Other(layout)});
}

double Scheduler::Outlook(ValueId v, Layout layout) const {
  if (outlook_.empty() || layout == Layout::kStrided) return 0;
  return outlook_[static_cast<size_t>(v)].seconds[layout == Layout::kChannelLast];
}

}  // namespace sula
