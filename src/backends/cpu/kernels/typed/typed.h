// Element-wise functions on elements of several types: integer arithmetic, comparisons, logic,
// conversions, selection. They are bound by memory, so that one form, compiled for any processor,
// does for all.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sula::cpu {

enum class Element : uint8_t { kFloat32, kInt32, kInt64, kUInt8, kBool };

enum class Typed : uint8_t {
  kAdd,  // integers wrap
  kSub,
  kMul,
  kDiv,  // towards zero; 0 where b is 0
  kMax,
  kMin,
  kPow,    // float32 alone
  kEqual,  // from here on the result is bool
  kLess,
  kLessOrEqual,
  kAnd,
  kOr,
  kXor,
};

// n elements of out from those of the inputs; a step of 0 repeats one element, 1 goes on. out may
// be an input with the same element size and step 1. Nothing else is read or written.
struct TypedRow {
  const void* in[3] = {};
  int step[3] = {};
  void* out = nullptr;
  int64_t n = 0;
};
using TypedFn = void (*)(const TypedRow& row);

// out = fn(in[0], in[1]) for arguments of one type. Null where there is none: kAdd to kMin are
// there for int32 and int64, kAnd to kXor for bool, comparisons for all types but uint8.
TypedFn TypedBinary(Typed fn, Element type);
// out = in[0] in another type, with the rules of operator Cast. Never null.
TypedFn TypedCast(Element from, Element to);
// out = not in[0]; bool.
TypedFn TypedNot();
// out = in[0] ? in[1] : in[2]; in[0] is bool, the others and out have elements of so many bytes: 1,
// 2, 4 or 8. Null for other sizes.
TypedFn TypedWhere(size_t bytes);

}  // namespace sula::cpu
