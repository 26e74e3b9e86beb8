// Quantisation.
#include "ops/quant.h"

#include "frontends/onnx/node_import.h"
#include "ops/elementwise.h"

namespace sula::onnx {
namespace {

QuantParams ReadQuant(NodeImport& n) {
  QuantParams p;
  p.axis = n.Int("axis", 1);
  p.block = n.Int("block_size", 0);
  return p;
}

void QuantizeLinear(NodeImport& n) {
  QuantParams p = ReadQuant(n);
  p.saturate = n.Flag("saturate", true);
  auto output = n.Type("output_dtype");
  if (output && n.HasInput(2) && *output != n.TypeOf(n.Input(2)))
    return n.Fail(InvalidModel("attribute 'output_dtype' is not the type of the zero point"));
  p.to = output ? *output : n.HasInput(2) ? n.TypeOf(n.Input(2)) : DType::kUInt8;
  auto precision = n.Type("precision");
  if (precision && *precision != n.TypeOf(n.Input(1)))
    return n.Fail(Unsupported("operator QuantizeLinear with a precision other than the scale's"));
  n.Emit(op::kQuantizeLinear, p, n.inputs());
}

void DequantizeLinear(NodeImport& n) {
  QuantParams p = ReadQuant(n);
  ValueId scale = n.Input(1);
  // The type of the output is that of the product, too.
  auto output = n.Type("output_dtype");
  if (output && *output != n.TypeOf(scale))
    scale = n.Add(op::kCast, CastParams{.to = *output}, {scale}, "scale");
  n.Emit(op::kDequantizeLinear, p, {n.Input(0), scale, n.Input(2)});
}

constexpr OpHandler kHandlers[] = {
    {"DequantizeLinear", DequantizeLinear, 2, 3},
    {"DynamicQuantizeLinear", Direct<op::kDynamicQuantizeLinear>, 1, 1, 3},
    {"QuantizeLinear", QuantizeLinear, 2, 3},
};

}  // namespace

std::span<const OpHandler> QuantHandlers() { return kHandlers; }

}  // namespace sula::onnx
