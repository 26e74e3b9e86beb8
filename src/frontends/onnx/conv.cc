// Convolution in all its forms.
#include "ops/conv.h"

#include "frontends/onnx/window.h"
#include "ops/quant.h"

namespace sula::onnx {

void CheckKernelShape(NodeImport& n, ValueId weights) {
  std::vector<int64_t> kernel = n.Ints("kernel_shape");
  const auto& shape = n.ShapeOf(weights);
  if (kernel.empty() || !shape) return;
  bool same = shape->rank() == static_cast<int>(kernel.size()) + 2;
  for (size_t i = 0; same && i < kernel.size(); ++i)
    same = (*shape)[i + 2].TryValue().value_or(kernel[i]) == kernel[i];
  if (!same)
    n.Fail(InvalidModel("attribute 'kernel_shape' is ", ToString(kernel), ", but the weights are ",
                        shape->ToString()));
}

namespace {

ConvParams ReadConv(NodeImport& n, ValueId weights) {
  ConvParams p;
  ReadWindow(n, p);
  p.group = n.Int("group", 1);
  CheckKernelShape(n, weights);
  return p;
}

void Conv(NodeImport& n) { n.Emit(op::kConv, ReadConv(n, n.Input(1)), n.inputs()); }
void ConvInteger(NodeImport& n) { n.Emit(op::kConvInteger, ReadConv(n, n.Input(1)), n.inputs()); }
void QLinearConv(NodeImport& n) { n.Emit(op::kQLinearConv, ReadConv(n, n.Input(3)), n.inputs()); }

void ConvTranspose(NodeImport& n) {
  ConvTransposeParams p;
  ReadWindow(n, p);
  p.group = n.Int("group", 1);
  p.output_padding = n.Ints("output_padding");
  p.output_shape = n.Ints("output_shape");
  CheckKernelShape(n, n.Input(1));
  // Some exporters write batch and channels, too.
  const auto& shape = n.ShapeOf(n.Input(0));
  if (shape && shape->rank() >= 2 && static_cast<int>(p.output_shape.size()) == shape->rank())
    p.output_shape.erase(p.output_shape.begin(), p.output_shape.begin() + 2);
  n.Emit(op::kConvTranspose, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"Conv", Conv, 2, 3},
    {"ConvInteger", ConvInteger, 2, 4},
    {"ConvTranspose", ConvTranspose, 2, 3},
    {"QLinearConv", QLinearConv, 8, 9},
};

}  // namespace

std::span<const OpHandler> ConvHandlers() { return kHandlers; }

}  // namespace sula::onnx
