// What backends are asked about: nodes and chains with concrete types, before layouts are known.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "runtime/prepare/concrete.h"

namespace sula {

struct SchemeOptions;

// A node or a chain as backends are asked about it: everything dense and row-major.
struct Ports {
  std::vector<ValueId> input_values, output_values;
  std::vector<TensorDesc> inputs, outputs;
  std::vector<const Tensor*> constants;  // by input

  bool HasEmptyInput() const;
  // Points to the ports.
  KernelRequest Request(const Node& node, const SchemeOptions& options) const;
};
// All sizes must be known.
Ports PortsOf(const Graph& graph, NodeId id);
// The ports of a chain of these nodes; see ChainRequest.
Ports Joined(std::span<const Ports> nodes);

// What the time of a kernel for these nodes depends on, as text: operators, fields, types, which
// inputs are constants, threads; of constants the sizes and, where they say what is to be done
// (integers), the contents.
std::string KeyOf(std::span<const KernelRequest> nodes);

// The layouts that a kernel needs, by port.
struct PortNeeds {
  explicit PortNeeds(const Ports& ports)
      : inputs(ports.inputs.size(), LayoutNeed::kRowMajor),
        outputs(ports.outputs.size(), LayoutNeed::kRowMajor) {}
  bool operator==(const PortNeeds&) const = default;
  std::vector<LayoutNeed> inputs, outputs;
};

PortNeeds NeedsOf(const KernelEntry& entry, const Ports& ports, const KernelRequest& request);
PortNeeds NeedsOf(const ChainEntry& entry, const Ports& ports, const ChainRequest& request);

// The layouts that it gets: `follow` for ports of kind kFollow whose rank allows a choice.
struct PortLayouts {
  std::vector<Layout> inputs, outputs;
};
PortLayouts LayoutsOf(const Ports& ports, const PortNeeds& needs, Layout follow);

}  // namespace sula
