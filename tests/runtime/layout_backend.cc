#include "layout_backend.h"

#include <algorithm>
#include <cstring>

#include "backend/host.h"
#include "ops/catalogue.h"
#include "ops/conv.h"
#include "ops/pool.h"

namespace sula {
namespace {

constexpr size_t kWorkspace = 1000;

class LayoutKernel : public Kernel {
 public:
  LayoutKernel(const KernelRequest& request)
      : node_(*request.node),
        inputs_(request.inputs.begin(), request.inputs.end()),
        outputs_(request.outputs.begin(), request.outputs.end()) {}

  size_t workspace_bytes() const override { return kWorkspace; }
  std::string Detail() const override { return "for tests"; }

  void Run(const RunArgs& args) const noexcept override {
    // Whatever else is live must not be in the workspace, nor in the outputs; in place, only input
    // 0 may be there.
    std::memset(args.workspace, 0xAB, kWorkspace);
    std::vector<Tensor> tensors(inputs_.size());
    std::vector<const Tensor*> pointers(inputs_.size(), nullptr);
    const bool in_place = args.inputs[0] == args.outputs[0];
    if (!in_place) Scribble(args);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].present) continue;
      tensors[i] = Tensor(inputs_[i].dtype, inputs_[i].dims);
      SULA_CHECK(HostCopy(inputs_[i], args.inputs[i], DenseDesc(inputs_[i].dtype, inputs_[i].dims),
                          tensors[i].mutable_raw())
                     .ok());
      pointers[i] = &tensors[i];
      if (in_place && i == 0) Scribble(args);
    }
    auto results = EvaluateNode(node_, pointers);
    if (!results) {
      *args.status = results.error();
      return;
    }
    for (size_t i = 0; i < outputs_.size(); ++i)
      if (outputs_[i].present) Write((*results)[i], args, i);
  }

 private:
  void Write(const Tensor& tensor, const RunArgs& args, size_t output) const {
    const TensorDesc& to = outputs_[output];
    SULA_CHECK(HostCopy(DenseDesc(to.dtype, to.dims), tensor.raw(), to, args.outputs[output]).ok());
  }
  void Scribble(const RunArgs& args) const {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!outputs_[i].present) continue;
      Tensor garbage(outputs_[i].dtype, outputs_[i].dims);
      std::memset(garbage.mutable_raw(), 0x4B, garbage.bytes());
      Write(garbage, args, i);
    }
  }

  Node node_;
  std::vector<TensorDesc> inputs_, outputs_;
};

Result<std::unique_ptr<Kernel>> Make(const KernelRequest& request) {
  return std::unique_ptr<Kernel>(std::make_unique<LayoutKernel>(request));
}

// Reads and writes its ports as LayoutKernels do; what is handed on lies in tensors of its own.
class LayoutChain : public Kernel {
 public:
  explicit LayoutChain(const ChainRequest& request) {
    for (const KernelRequest& node : request.nodes) {
      nodes_.push_back(*node.node);
      inputs_.insert(inputs_.end(), node.inputs.begin() + (nodes_.size() > 1), node.inputs.end());
    }
    output_ = request.nodes.back().outputs[0];
  }
  size_t workspace_bytes() const override { return kWorkspace; }

  void Run(const RunArgs& args) const noexcept override {
    std::memset(args.workspace, 0xAB, kWorkspace);
    // Written before anything is read: they must not share memory.
    Tensor value(output_.dtype, output_.dims);
    std::memset(value.mutable_raw(), 0x4B, value.bytes());
    const auto write = [&] {
      SULA_CHECK(
          HostCopy(DenseDesc(output_.dtype, output_.dims), value.raw(), output_, args.outputs[0])
              .ok());
    };
    write();
    size_t port = 0;
    for (size_t n = 0; n < nodes_.size(); ++n) {
      std::vector<Tensor> tensors(nodes_[n].inputs.size());
      std::vector<const Tensor*> pointers(tensors.size(), nullptr);
      for (size_t i = 0; i < tensors.size(); ++i) {
        if (n > 0 && i == 0) {
          pointers[0] = &value;
          continue;
        }
        const TensorDesc& desc = inputs_[port];
        const void* const data = args.inputs[port++];
        if (!desc.present) continue;
        tensors[i] = Tensor(desc.dtype, desc.dims);
        SULA_CHECK(
            HostCopy(desc, data, DenseDesc(desc.dtype, desc.dims), tensors[i].mutable_raw()).ok());
        pointers[i] = &tensors[i];
      }
      auto results = EvaluateNode(nodes_[n], pointers);
      SULA_CHECK(results.has_value());
      value = std::move((*results)[0]);
    }
    write();
  }

 private:
  std::vector<Node> nodes_;
  std::vector<TensorDesc> inputs_;
  TensorDesc output_;
};

void ChannelLast(const KernelRequest& request, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kChannelLast;
  if (request.HasInput(3)) inputs[3] = LayoutNeed::kChannelLast;
}

void Follow(const KernelRequest& request, std::span<LayoutNeed> inputs,
            std::span<LayoutNeed> outputs) {
  outputs[0] = LayoutNeed::kFollow;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (request.HasInput(i) && request.inputs[i].dims == request.outputs[0].dims)
      inputs[i] = LayoutNeed::kFollow;
}

Verdict SameDims(const KernelRequest& request) {
  if (request.inputs[0].dims == request.outputs[0].dims) return Verdict::Yes();
  return Verdict::No("input 0 is broadcast");
}

double Estimate(const KernelRequest&) { return 1e-6; }

constexpr KernelEntry kChannelLast[] = {
    {.name = "channel_last", .layouts = ChannelLast, .estimate = Estimate, .create = Make}};
constexpr KernelEntry kFollow[] = {{.name = "follow",
                                    .layouts = Follow,
                                    .accept = SameDims,
                                    .estimate = Estimate,
                                    .create = Make,
                                    .in_place = true}};

class LayoutBackend : public HostBackend {
 public:
  explicit LayoutBackend(std::span<const ChainEntry> chains) : chains_(chains) {}
  std::span<const ChainEntry> Chains() const override { return chains_; }
  std::string_view name() const override { return "layout"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override {
    for (const OpDef* spatial :
         {&op::kConv, &op::kMaxPool, &op::kAveragePool, &op::kGlobalAveragePool})
      if (spatial == &op) return kChannelLast;
    if (op.Has(kElementwise)) return kFollow;
    return {};
  }

 private:
  std::span<const ChainEntry> chains_;
};

}  // namespace

void LayoutChainLayouts(const ChainRequest& request, std::span<LayoutNeed> inputs,
                        std::span<LayoutNeed> outputs) {
  inputs[0] = outputs[0] = LayoutNeed::kChannelLast;
  for (size_t n = 0; n < request.nodes.size(); ++n)
    if (request.nodes[n].HasInput(3)) inputs[request.InputPort(n, 3)] = LayoutNeed::kChannelLast;
}

Result<std::unique_ptr<Kernel>> CreateLayoutChain(const ChainRequest& request) {
  return std::unique_ptr<Kernel>(std::make_unique<LayoutChain>(request));
}

std::unique_ptr<Backend> MakeLayoutBackend(std::span<const ChainEntry> chains) {
  return std::make_unique<LayoutBackend>(chains);
}

}  // namespace sula
