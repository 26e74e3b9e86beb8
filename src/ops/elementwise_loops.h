// The loops of element-wise operators, written once on double and int64 blocks; shared by the
// files of the family.
#pragma once

#include "base/function_ref.h"
#include "ir/op_def.h"

namespace sula {

// Elements converted and computed at a time: small enough for the first-level cache.
inline constexpr int64_t kBlock = 1024;

// Output 0 = f(input 0): f changes a block of n values in place.
Status MapDoubles(EvalContext& ctx, FunctionRef<void(double* x, int64_t n)> f);
Status MapInts(EvalContext& ctx, FunctionRef<void(int64_t* x, int64_t n)> f);

// Output 0 = f(input 0, input 1), broadcast: f overwrites a with the result. An output of type bool
// is true where that is not 0.
Status CombineDoubles(EvalContext& ctx, FunctionRef<void(double* a, const double* b, int64_t n)> f);
Status CombineInts(EvalContext& ctx, FunctionRef<void(int64_t* a, const int64_t* b, int64_t n)> f);

// One operation per element of the output.
Cost ElementwiseCost(const Node& node, std::span<const TensorType> inputs,
                     std::span<const TensorType> outputs);

}  // namespace sula
