// What the adapters of convolution, transposed convolution and products by Strassen share.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "backends/cpu/adapter.h"

namespace sula::cpu {

// Inputs of the operators; a transposed convolution has no residual.
inline constexpr size_t kX = 0, kW = 1, kBias = 2, kResidual = 3;

// No unless the weights (and bias) are constant and everything is float32 with 1 to 3 spatial axes.
Verdict AcceptConvInputs(const KernelRequest& request);

// Activations are channel-last.
void ConvLayouts(const KernelRequest& request, std::span<LayoutNeed> inputs,
                 std::span<LayoutNeed> outputs);

// The sizes of a convolution (not a transposed one). Errors: those of ResolveConv.
Result<ConvSpec> ConvSpecOf(const KernelRequest& request);
// The machine, with the instruction set that fits the columns of the product.
Machine MachineFor(const KernelRequest& request, const ConvSpec& spec);
// No unless ConvSpecOf has an answer and AcceptConvInputs accepts.
Verdict AcceptConv(const KernelRequest& request);

// Bytes of the activations, each once.
double ActivationBytes(const KernelRequest& request);

// Floats from pixel to pixel, or from row to row of a matrix.
struct ConvStrides {
  int64_t in = 0, out = 0, residual = 0;
};
ConvStrides StridesOf(const KernelRequest& request);

// A prepared convolution or product of kernels/ as a Kernel. Inputs are those named above.
template <class Impl>
class ConvKernel : public Kernel {
 public:
  ConvKernel(Impl impl, const ConvStrides& strides, std::string detail)
      : impl_(std::move(impl)), strides_(strides), detail_(std::move(detail)) {}
  size_t workspace_bytes() const override {
    if constexpr (requires { impl_.workspace_bytes(); }) {
      return impl_.workspace_bytes();
    } else {
      return 0;
    }
  }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override { return i != int{kW} && i != int{kBias}; }
  std::string Detail() const override { return detail_; }
  void Run(const RunArgs& args) const noexcept override {
    ConvArgs a;
    a.in = static_cast<const float*>(args.inputs[kX]), a.in_stride = strides_.in;
    a.out = static_cast<float*>(args.outputs[0]), a.out_stride = strides_.out;
    if (args.inputs.size() > kResidual)
      a.residual = static_cast<const float*>(args.inputs[kResidual]);
    a.residual_stride = strides_.residual;
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  Impl impl_;
  ConvStrides strides_;
  std::string detail_;
};

template <class Impl>
Result<std::unique_ptr<Kernel>> MakeConv(const KernelRequest& request, const ConvSpec& spec,
                                         const Machine& machine) {
  ASSIGN_OR_RETURN(Impl impl, Impl::Make(spec, ConstantData(request, kW),
                                         ConstantData(request, kBias), machine));
  return std::unique_ptr<Kernel>(std::make_unique<ConvKernel<Impl>>(
      std::move(impl), StridesOf(request), std::string(Name(machine.target))));
}

}  // namespace sula::cpu
