#include "frontends/caffe/broadcast.h"

#include <numeric>

#include "ops/shape_ops.h"

namespace sula::caffe {

ValueId AlongAxes(LayerImport& n, const Tensor& operand, int rank, int axis,
                  std::string_view suffix) {
  Dims dims = operand.dims();
  if (!dims.empty() && n.ok()) dims.resize(rank - axis, 1);
  return n.Constant(operand.Reshaped(std::move(dims)), suffix);
}

ValueId AlongAxes(LayerImport& n, ValueId operand, int rank, int axis, std::string_view suffix) {
  const int own = n.Rank(operand);
  const int behind = rank - axis - own;
  if (own == 0 || behind <= 0 || !n.ok()) return operand;
  std::vector<int64_t> axes(behind);
  std::iota(axes.begin(), axes.end(), own);
  const ValueId list = n.Constant(axes, StrCat(suffix, "_axes"));
  return n.Add(op::kUnsqueeze, NoParams{}, {operand, list}, suffix);
}

}  // namespace sula::caffe
