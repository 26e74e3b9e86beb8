#include "backends/reference/reference_backend.h"

#include <cstring>

#include "backend/host.h"
#include "ops/catalogue.h"

namespace sula {
namespace {

class EvaluateKernel : public Kernel {
 public:
  explicit EvaluateKernel(const KernelRequest& request)
      : node_(*request.node),
        inputs_(request.inputs.begin(), request.inputs.end()),
        outputs_(request.outputs.begin(), request.outputs.end()) {}

  void Run(const RunArgs& args) const noexcept override {
    Status status = Evaluate(args);
    if (!status.ok() && args.status) *args.status = std::move(status);
  }

 private:
  Status Evaluate(const RunArgs& args) const {
    std::vector<Tensor> tensors(inputs_.size());
    std::vector<const Tensor*> pointers(inputs_.size(), nullptr);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].present) continue;
      tensors[i] = Tensor::Borrow(inputs_[i].dtype, inputs_[i].dims, args.inputs[i], nullptr);
      pointers[i] = &tensors[i];
    }
    ASSIGN_OR_RETURN(const std::vector<Tensor> results, EvaluateNode(node_, pointers));
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const TensorDesc& to = outputs_[i];
      if (!to.present) continue;
      const Tensor& from = results[i];
      if (from.dtype() != to.dtype || from.dims() != to.dims)
        return InvalidArgument("output ", i, " came out as ", Name(from.dtype()),
                               ToString(from.dims()), ", planned was ", to.ToString());
      if (from.bytes() > 0) std::memcpy(args.outputs[i], from.raw(), from.bytes());
    }
    return {};
  }

  Node node_;
  std::vector<TensorDesc> inputs_, outputs_;
};

Result<std::unique_ptr<Kernel>> CreateEvaluate(const KernelRequest& request) {
  return std::unique_ptr<Kernel>(std::make_unique<EvaluateKernel>(request));
}

// Evaluate works one element at a time in double: slow, and always slower than a kernel.
double EstimateEvaluate(const KernelRequest& request) {
  constexpr double kFlops = 1e8, kElements = 5e7, kCall = 5e-6;
  double elements = 0;
  auto types = [&](std::span<const TensorDesc> descs) {
    std::vector<TensorType> result;
    for (const TensorDesc& d : descs) {
      result.push_back({d.dtype, {}});
      if (!d.present) continue;
      result.back().shape = Shape::Of(d.dims);
      elements += static_cast<double>(d.num_elements());
    }
    return result;
  };
  const std::vector<TensorType> inputs = types(request.inputs), outputs = types(request.outputs);
  const OpDef& op = *request.node->op;
  const double flops = op.cost ? op.cost(*request.node, inputs, outputs).flops : 0;
  return kCall + elements / kElements + flops / kFlops;
}

constexpr KernelEntry kEvaluate[] = {
    {.name = "evaluate", .estimate = EstimateEvaluate, .create = CreateEvaluate}};

class ReferenceBackend : public HostBackend {
 public:
  std::string_view name() const override { return "reference"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef&) const override { return kEvaluate; }
};

}  // namespace

std::unique_ptr<Backend> MakeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace sula
