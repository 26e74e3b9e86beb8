#include "ops/elementwise_loops.h"

#include <algorithm>

#include "ops/cost.h"
#include "ops/elements.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

template <class Wide>
Status Map(EvalContext& ctx, FunctionRef<void(Wide*, int64_t)> f) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  Wide block[kBlock];
  for (int64_t first = 0; first < x.num_elements(); first += kBlock) {
    const int64_t n = std::min(kBlock, x.num_elements() - first);
    Load(x, first, 1, n, block);
    f(block, n);
    Store(block, n, *y, first);
  }
  return {};
}

template <class Wide>
Status Combine(EvalContext& ctx, FunctionRef<void(Wide*, const Wide*, int64_t)> f) {
  const Tensor& a = ctx.input(0);
  const Tensor& b = ctx.input(1);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  Wide block_a[kBlock], block_b[kBlock];
  int64_t done = 0;  // rows come in the order of y
  ForEachRow(y->dims(),
             {BroadcastStrides(a.dims(), y->dims()), BroadcastStrides(b.dims(), y->dims())},
             [&](std::span<const int64_t> offsets, std::span<const int64_t> steps, int64_t row) {
               for (int64_t i = 0; i < row; i += kBlock) {
                 const int64_t n = std::min(kBlock, row - i);
                 Load(a, offsets[0] + i * steps[0], steps[0], n, block_a);
                 Load(b, offsets[1] + i * steps[1], steps[1], n, block_b);
                 f(block_a, block_b, n);
                 Store(block_a, n, *y, done);
                 done += n;
               }
             });
  return {};
}

}  // namespace

Status MapDoubles(EvalContext& ctx, FunctionRef<void(double*, int64_t)> f) { return Map(ctx, f); }

Status MapInts(EvalContext& ctx, FunctionRef<void(int64_t*, int64_t)> f) { return Map(ctx, f); }

Status CombineDoubles(EvalContext& ctx, FunctionRef<void(double*, const double*, int64_t)> f) {
  return Combine(ctx, f);
}

Status CombineInts(EvalContext& ctx, FunctionRef<void(int64_t*, const int64_t*, int64_t)> f) {
  return Combine(ctx, f);
}

Cost ElementwiseCost(const Node&, std::span<const TensorType> inputs,
                     std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, Elements(outputs[0]));
}

}  // namespace sula
