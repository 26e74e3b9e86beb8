// Sizes of tensors that operators make: known values of shape-like inputs, and limits that keep a
// hostile model from asking for more memory than there is.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ir/op_def.h"

namespace sula {

// More axes than any model has: a file that asks for more is wrong or hostile.
inline constexpr int64_t kMaxRank = 64;

// OK if a tensor of these sizes may be made. kInvalidModel for a negative size or more than
// kMaxRank axes, kResourceExhausted where the byte count overflows or is more than this machine's
// memory.
Status CheckTensorSize(DType dtype, std::span<const int64_t> dims);
// The same for a shape of which some sizes may be symbolic; those are taken as unknown.
Status CheckTensorSize(DType dtype, const Shape& shape);

// A zero-filled tensor, or why it may not or cannot be made.
Result<Tensor> MakeTensor(DType dtype, const Dims& dims);

// The elements of integer input i (scalar or 1-D) where they are known before the run, as numbers
// or symbolic sizes: its constant value, else its contents. Nothing if absent, unknown or too long
// to be sizes.
std::optional<std::vector<Dim>> KnownInts(const InferContext& ctx, int i);
// The same if all are numbers.
std::optional<std::vector<int64_t>> KnownNumbers(const InferContext& ctx, int i);

// All elements of an integer tensor as sizes, for helpers shared by Infer and Evaluate.
std::vector<Dim> AsDims(const Tensor& t);

// The sizes of a shape whose inputs were all known; an error if arithmetic on them overflowed.
Result<Dims> ConcreteDims(const Shape& shape);

// How many elements a 1-D (or scalar) input has, where its shape tells.
std::optional<int64_t> KnownLength(const InferContext& ctx, int i);

// A shape of `rank` sizes that only the run will tell; none if that is more than kMaxRank.
std::optional<Shape> FreshShape(InferContext& ctx, int64_t rank);

// Sets output 0 to the type and shape of input 0.
Status InferLikeInput(InferContext& ctx);

// Contents longer than this are not tracked: they are data, not shapes.
inline constexpr int64_t kMaxContents = 1024;

// Copies what is known of the elements of input 0 to output 0, for operators that keep them.
void ForwardContents(InferContext& ctx);

}  // namespace sula
