#include "runtime/prepare/requests.h"

#include <algorithm>

#include "format/hash.h"
#include "ir/text.h"
#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

// Contents of larger constants are data, not instructions.
constexpr int64_t kMostTold = 64;

std::string ConstantText(const Tensor& t) {
  if (IsFloat(t.dtype()) || t.num_elements() > kMostTold) return "constant";
  return StrCat("constant ", HashBytes({t.raw(), t.bytes()}));
}

}  // namespace

bool Ports::HasEmptyInput() const {
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const TensorDesc& d) { return d.present && d.num_elements() == 0; });
}

KernelRequest Ports::Request(const Node& node, const SchemeOptions& options) const {
  return {&node, inputs, outputs, constants, options.threads, options.max_error};
}

Ports PortsOf(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  Ports ports{node.inputs, node.outputs, {}, {}, {}};
  const auto describe = [&](ValueId v) {
    if (v == kNoValue) return TensorDesc{};
    return DenseDesc(graph.value(v).type.dtype, *KnownDims(graph.value(v)));
  };
  for (ValueId v : node.inputs) {
    ports.inputs.push_back(describe(v));
    ports.constants.push_back(graph.Constant(v));
  }
  for (ValueId v : node.outputs) ports.outputs.push_back(describe(v));
  return ports;
}

Ports Joined(std::span<const Ports> nodes) {
  Ports whole = nodes[0];
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin() + 1, from.end());
  };
  for (const Ports& ports : nodes.subspan(1)) {
    append(whole.input_values, ports.input_values);
    append(whole.inputs, ports.inputs);
    append(whole.constants, ports.constants);
  }
  whole.output_values = nodes.back().output_values;
  whole.outputs = nodes.back().outputs;
  return whole;
}

std::string KeyOf(std::span<const KernelRequest> nodes) {
  std::string key = StrCat(nodes[0].threads, " threads");
  for (const KernelRequest& r : nodes) {
    key += StrCat("; ", r.node->op->name);
    for (const auto& [name, value] : FieldTexts(*r.node)) key += StrCat(" ", name, "=", value);
    for (size_t i = 0; i < r.inputs.size(); ++i) {
      key += StrCat(", ", r.inputs[i].ToString());
      if (r.constants[i]) key += " " + ConstantText(*r.constants[i]);
    }
    for (const TensorDesc& output : r.outputs) key += StrCat(" -> ", output.ToString());
  }
  return key;
}

PortNeeds NeedsOf(const KernelEntry& entry, const Ports& ports, const KernelRequest& request) {
  PortNeeds needs(ports);
  if (entry.layouts) entry.layouts(request, needs.inputs, needs.outputs);
  return needs;
}

PortNeeds NeedsOf(const ChainEntry& entry, const Ports& ports, const ChainRequest& request) {
  PortNeeds needs(ports);
  if (entry.layouts) entry.layouts(request, needs.inputs, needs.outputs);
  return needs;
}

PortLayouts LayoutsOf(const Ports& ports, const PortNeeds& needs, Layout follow) {
  const auto layout_of = [&](LayoutNeed need, const TensorDesc& desc) {
    if (need == LayoutNeed::kChannelLast && desc.dims.size() >= 2) return Layout::kChannelLast;
    if (need == LayoutNeed::kFollow && desc.dims.size() >= 3) return follow;
    if (need == LayoutNeed::kStrided && desc.dims.size() <= kMaxStridedRank)
      return Layout::kStrided;
    return Layout::kRowMajor;
  };
  PortLayouts layouts;
  for (size_t i = 0; i < needs.inputs.size(); ++i)
    layouts.inputs.push_back(layout_of(needs.inputs[i], ports.inputs[i]));
  for (size_t i = 0; i < needs.outputs.size(); ++i)
    layouts.outputs.push_back(layout_of(needs.outputs[i], ports.outputs[i]));
  return layouts;
}

}  // namespace sula
