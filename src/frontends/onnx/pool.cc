// Pooling.
#include "ops/pool.h"

#include "frontends/onnx/window.h"

namespace sula::onnx {
namespace {

PoolParams ReadPool(NodeImport& n) {
  PoolParams p;
  ReadWindow(n, p);
  p.kernel = n.Ints("kernel_shape");
  if (p.kernel.empty()) n.Fail(InvalidModel("attribute 'kernel_shape' is missing"));
  p.ceil_mode = n.Flag("ceil_mode", false);
  return p;
}

void MaxPool(NodeImport& n) {
  PoolParams p = ReadPool(n);
  p.column_major_indices = n.Flag("storage_order", false);
  n.Emit(op::kMaxPool, p, n.inputs());
}

void AveragePool(NodeImport& n) {
  PoolParams p = ReadPool(n);
  p.count_include_pad = n.Flag("count_include_pad", false);
  n.Emit(op::kAveragePool, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"AveragePool", AveragePool},
    {"GlobalAveragePool", Direct<op::kGlobalAveragePool>},
    {"GlobalMaxPool", Direct<op::kGlobalMaxPool>},
    {"MaxPool", MaxPool, 1, 1, 2},
};

}  // namespace

std::span<const OpHandler> PoolHandlers() { return kHandlers; }

}  // namespace sula::onnx
