#include "backends/cpu/kernels/typed/typed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

namespace sula::cpu {
namespace {

// One loop for each way in which the arguments go on, so that each has steps known to the compiler.
template <class T, class R, auto kF>
void Binary(const TypedRow& row) {
  const T *a = static_cast<const T*>(row.in[0]), *b = static_cast<const T*>(row.in[1]);
  R* out = static_cast<R*>(row.out);
  const int64_t n = row.n;
  if (n == 0) return;
  if (row.step[0] == 1 && row.step[1] == 1) {
    for (int64_t i = 0; i < n; ++i) out[i] = kF(a[i], b[i]);
  } else if (row.step[0] == 1) {
    const T y = *b;
    for (int64_t i = 0; i < n; ++i) out[i] = kF(a[i], y);
  } else if (row.step[1] == 1) {
    const T x = *a;
    for (int64_t i = 0; i < n; ++i) out[i] = kF(x, b[i]);
  } else {
    std::fill_n(out, n, kF(*a, *b));
  }
}

template <class T>
using Wrapping = std::make_unsigned_t<T>;

template <class T>
T Divide(T a, T b) {
  if (b == 0) return 0;
  if (b == -1) return static_cast<T>(Wrapping<T>{0} - static_cast<Wrapping<T>>(a));
  return static_cast<T>(a / b);
}

template <class T>
TypedFn Arithmetic(Typed fn) {
  using U = Wrapping<T>;
  switch (fn) {
    case Typed::kAdd: return Binary<U, U, [](U a, U b) -> U { return a + b; }>;
    case Typed::kSub: return Binary<U, U, [](U a, U b) -> U { return a - b; }>;
    case Typed::kMul: return Binary<U, U, [](U a, U b) -> U { return a * b; }>;
    case Typed::kDiv: return Binary<T, T, Divide<T>>;
    case Typed::kMax: return Binary<T, T, [](T a, T b) { return b < a ? a : b; }>;
    case Typed::kMin: return Binary<T, T, [](T a, T b) { return a < b ? a : b; }>;
    default: return nullptr;
  }
}

template <class T>
TypedFn Comparison(Typed fn) {
  switch (fn) {
    case Typed::kEqual: return Binary<T, uint8_t, [](T a, T b) -> uint8_t { return a == b; }>;
    case Typed::kLess: return Binary<T, uint8_t, [](T a, T b) -> uint8_t { return a < b; }>;
    case Typed::kLessOrEqual: return Binary<T, uint8_t, [](T a, T b) -> uint8_t { return a <= b; }>;
    default: return nullptr;
  }
}

TypedFn Logic(Typed fn) {
  using U = uint8_t;
  switch (fn) {
    case Typed::kAnd: return Binary<U, U, [](U a, U b) -> U { return a & b; }>;
    case Typed::kOr: return Binary<U, U, [](U a, U b) -> U { return a | b; }>;
    case Typed::kXor: return Binary<U, U, [](U a, U b) -> U { return a ^ b; }>;
    default: return Comparison<U>(fn);
  }
}

void Pow(const TypedRow& row) {
  const auto* x = static_cast<const float*>(row.in[0]);
  const auto* exponent = static_cast<const float*>(row.in[1]);
  auto* out = static_cast<float*>(row.out);
  if (row.n > 0 && row.step[0] == 1 && row.step[1] == 0 && *exponent == 2) {
    for (int64_t i = 0; i < row.n; ++i) out[i] = x[i] * x[i];
    return;
  }
  for (int64_t i = 0; i < row.n; ++i)
    out[i] = std::pow(x[i * row.step[0]], exponent[i * row.step[1]]);
}

// ---- conversions

struct Bool {};  // stored as a byte, 0 or 1
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, Bool>, uint8_t, T>;

template <class To, class From>
Stored<To> Convert(From x) {
  if constexpr (std::is_same_v<To, Bool>) {
    return x != 0;
  } else if constexpr (std::is_integral_v<To> && std::is_same_v<From, float>) {
    // The float nearest to the largest integer is beyond it, or it itself.
    constexpr To kLow = std::numeric_limits<To>::min(), kHigh = std::numeric_limits<To>::max();
    if (std::isnan(x)) return 0;
    if (x <= static_cast<float>(kLow)) return kLow;
    return x >= static_cast<float>(kHigh) ? kHigh : static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class From, class To>
void Cast(const TypedRow& row) {
  const auto* x = static_cast<const Stored<From>*>(row.in[0]);
  auto* out = static_cast<Stored<To>*>(row.out);
  if (row.step[0] == 0) {
    if (row.n > 0) std::fill_n(out, row.n, Convert<To>(*x));
    return;
  }
  for (int64_t i = 0; i < row.n; ++i) out[i] = Convert<To>(x[i]);
}

template <class From>
TypedFn CastFrom(Element to) {
  constexpr std::array<TypedFn, 5> kTo = {Cast<From, float>, Cast<From, int32_t>,
                                          Cast<From, int64_t>, Cast<From, uint8_t>,
                                          Cast<From, Bool>};
  return kTo[static_cast<size_t>(to)];
}

void Not(const TypedRow& row) {
  const auto* x = static_cast<const uint8_t*>(row.in[0]);
  auto* out = static_cast<uint8_t*>(row.out);
  for (int64_t i = 0; i < row.n; ++i) out[i] = x[i * row.step[0]] ^ 1;
}

template <class T>
void Where(const TypedRow& row) {
  const auto* condition = static_cast<const uint8_t*>(row.in[0]);
  const T *x = static_cast<const T*>(row.in[1]), *y = static_cast<const T*>(row.in[2]);
  T* out = static_cast<T*>(row.out);
  const int64_t n = row.n;
  const int c = row.step[0], u = row.step[1], v = row.step[2];
  if (n == 0) return;
  if (c == 0) {
    const T* from = *condition ? x : y;
    const int step = *condition ? u : v;
    for (int64_t i = 0; i < n; ++i) out[i] = from[i * step];
  } else if (u == 0) {
    const T value = *x;
    for (int64_t i = 0; i < n; ++i) out[i] = condition[i] ? value : y[i * v];
  } else if (v == 0) {
    const T value = *y;
    for (int64_t i = 0; i < n; ++i) out[i] = condition[i] ? x[i] : value;
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = condition[i] ? x[i] : y[i];
  }
}

}  // namespace

TypedFn TypedBinary(Typed fn, Element type) {
  if (type == Element::kUInt8) return nullptr;
  if (type == Element::kBool) return Logic(fn);
  if (fn >= Typed::kEqual) {
    if (type == Element::kFloat32) return Comparison<float>(fn);
    return type == Element::kInt32 ? Comparison<int32_t>(fn) : Comparison<int64_t>(fn);
  }
  if (type == Element::kFloat32) return fn == Typed::kPow ? Pow : nullptr;
  if (type == Element::kInt32) return Arithmetic<int32_t>(fn);
  return Arithmetic<int64_t>(fn);
}

TypedFn TypedCast(Element from, Element to) {
  switch (from) {
    case Element::kFloat32: return CastFrom<float>(to);
    case Element::kInt32: return CastFrom<int32_t>(to);
    case Element::kInt64: return CastFrom<int64_t>(to);
    case Element::kUInt8:
    case Element::kBool: break;
  }
  return CastFrom<uint8_t>(to);
}

TypedFn TypedNot() { return Not; }

TypedFn TypedWhere(size_t bytes) {
  switch (bytes) {
    case 1: return Where<uint8_t>;
    case 2: return Where<uint16_t>;
    case 4: return Where<uint32_t>;
    case 8: return Where<uint64_t>;
    default: return nullptr;
  }
}

}  // namespace sula::cpu
