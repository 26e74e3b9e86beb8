// Conversion between the element types of tensors and the two types that Evaluate computes in:
// double for floats, int64 for integers and bool. Operators are written once on those.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/tensor.h"

namespace sula {

// Reads n elements of type t, `stride` elements apart (0 repeats one, negative walks back),
// beginning with element `first` of src. Float values to int64 convert as SaturateToInt.
void LoadDoubles(DType t, const void* src, int64_t first, int64_t stride, int64_t n, double* dst);
void LoadInts(DType t, const void* src, int64_t first, int64_t stride, int64_t n, int64_t* dst);

// Writes n elements from element `first` of dst on, densely.
// Doubles round once, to nearest even, to any float type; to integers they are cut towards zero and
// saturate (NaN gives 0); to bool they give x != 0.
void StoreDoubles(DType t, const double* src, int64_t n, void* dst, int64_t first);
// Integers wrap modulo 2^bits in narrower ones, round once to floats, give x != 0 as bool.
void StoreInts(DType t, const int64_t* src, int64_t n, void* dst, int64_t first);

// The same for tensors, by the type of the buffer.
inline void Load(const Tensor& t, int64_t first, int64_t stride, int64_t n, double* dst) {
  LoadDoubles(t.dtype(), t.raw(), first, stride, n, dst);
}
inline void Load(const Tensor& t, int64_t first, int64_t stride, int64_t n, int64_t* dst) {
  LoadInts(t.dtype(), t.raw(), first, stride, n, dst);
}
inline void Store(const double* src, int64_t n, Tensor& t, int64_t first) {
  StoreDoubles(t.dtype(), src, n, t.mutable_raw(), first);
}
inline void Store(const int64_t* src, int64_t n, Tensor& t, int64_t first) {
  StoreInts(t.dtype(), src, n, t.mutable_raw(), first);
}

// x cut towards zero, limited to [lowest, highest]; 0 for NaN.
int64_t SaturateToInt(double x, int64_t lowest, int64_t highest);

// The range of an integer type; [0, 1] for bool. Precondition: not a float type.
int64_t LowestInt(DType t);
int64_t HighestInt(DType t);

// Rounded to float so that a second rounding, to a type of at most 22 bits of precision, gives what
// one rounding of x would give ("round to odd": Boldo and Melquiond, 2008).
float RoundToOdd(double x);

}  // namespace sula
