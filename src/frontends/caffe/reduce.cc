// Reductions and searches.
#include "ops/reduce.h"

#include <limits>
#include <numeric>

#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

struct Top {
  ValueId values, indices;  // indices as float32
};

// The k largest elements along an axis, largest first; of equal ones that with the greater index
// first. Both results have size k along the axis.
Top Largest(LayerImport& n, ValueId x, int axis, int64_t k) {
  const CastParams to_float{.to = DType::kFloat32};
  if (k == 1) {
    const ArgParams p{.axis = axis, .select_last_index = true};
    const ValueId index = n.Add(op::kArgMax, p, {x}, "index");
    return {n.Add(op::kReduceMax, ReduceParams{.axes = {axis}}, {x}, "largest"),
            n.Add(op::kCast, to_float, {index}, "index_as_float")};
  }
  // TopK prefers lower indices, so the axis is reversed before and its indices after.
  const int64_t size = n.KnownSize(x, axis, "top_k");
  const ValueId reversed =
      n.Add(op::kSlice, NoParams{},
            {x, n.Constant({-1}, "begin"), n.Constant({std::numeric_limits<int64_t>::min()}, "end"),
             n.Constant({axis}, "axes"), n.Constant({-1}, "step")},
            "reversed");
  const auto top = n.AddAll(op::kTopK, TopKParams{.axis = axis}, {reversed, n.Constant({k}, "k")},
                            {"largest", "reversed_index"});
  const ValueId last = n.Constant(Tensor::Scalar<int64_t>(size - 1), "last");
  const ValueId index = n.Add(op::kSub, BinaryParams{}, {last, top[1]}, "index");
  return {top[0], n.Add(op::kCast, to_float, {index}, "index_as_float")};
}

void ArgMax(LayerImport& n) {
  const ArgMaxParameter& c = n.layer().argmax_param();
  const ValueId x = n.Bottom();
  const int64_t k = c.top_k();
  n.CheckRank(x, 1);
  if (!n.ok()) return;
  const int rank = n.Rank(x);
  const int axis = c.has_axis() ? n.Axis(c.axis(), rank) : 1;
  if (!n.ok()) return;
  const int64_t size = c.has_axis() ? n.KnownSize(x, axis, "top_k")
                                    : n.KnownCount(x, std::min(1, rank), rank, "top_k");
  if (n.ok() && (k < 1 || k > size))
    n.Fail(InvalidModel("top_k is ", k, ", but there are ", size, " elements"));
  if (!n.ok()) return;
  if (c.has_axis()) {
    const Top top = Largest(n, x, axis, k);
    return n.EmitValue(c.out_max_val() ? top.values : top.indices);
  }
  // Over all axes but the first: [N, 1, k, 1...], or with the values [N, 2, k, 1...].
  const Dim batch = n.Sizes(x)[0];
  const Top top = Largest(n, n.Reshape(x, {batch, size}, "rows"), 1, k);
  std::vector<Dim> shape(std::max(rank, 3), 1);
  shape[0] = batch;
  shape[2] = k;
  if (!c.out_max_val()) return n.EmitReshape(top.indices, Shape(std::move(shape)));
  const ValueId both =
      n.Add(op::kConcat, ConcatParams{.axis = 1}, {top.indices, top.values}, "both");
  shape[1] = 2;
  n.EmitReshape(both, Shape(std::move(shape)));
}

// coeff * reduction over the axes from `axis` on.
void Reduction(LayerImport& n) {
  const ReductionParameter& c = n.layer().reduction_param();
  const ValueId x = n.Bottom();
  const int rank = n.Rank(x), begin = n.Axis(c.axis(), rank);
  if (!n.ok()) return;
  ReduceParams p{.axes = std::vector<int64_t>(rank - begin), .keepdims = false};
  std::iota(p.axes.begin(), p.axes.end(), begin);
  auto op = [&]() -> const OpDef& {
    switch (c.operation()) {
      case ReductionParameter::ASUM: return op::kReduceL1;
      case ReductionParameter::SUMSQ: return op::kReduceSumSquare;
      case ReductionParameter::MEAN: return op::kReduceMean;
      case ReductionParameter::SUM: break;
    }
    return op::kReduceSum;
  };
  if (c.coeff() == 1) return n.Emit(op(), p, {x});
  const ValueId reduced = n.Add(op(), p, {x}, "reduced");
  n.Emit(op::kMul, BinaryParams{}, {reduced, n.Scalar(c.coeff(), "coeff")});
}

constexpr LayerHandler kHandlers[] = {
    {"ArgMax", ArgMax},
    {"Reduction", Reduction},
};

}  // namespace

std::span<const LayerHandler> ReduceHandlers() { return kHandlers; }

}  // namespace sula::caffe
