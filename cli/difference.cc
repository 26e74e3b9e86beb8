#include "difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

namespace sula::cli {
namespace {

// IEEE binary formats as bits: `mantissa` bits of fraction. Exact in double.
double FromBits(uint16_t bits, int mantissa) {
  const int exponent_bits = 15 - mantissa, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa) & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << mantissa) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return fraction ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp(fraction + (1 << mantissa), exponent - bias - mantissa);
}

// How many neighbours lie between two numbers given by sign and magnitude bits.
template <class Bits>
double Steps(Bits a, Bits b) {
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  const Bits x = static_cast<Bits>(a & ~kSign), y = static_cast<Bits>(b & ~kSign);
  if ((a & kSign) != (b & kSign)) return static_cast<double>(x) + static_cast<double>(y);
  return static_cast<double>(x > y ? x - y : y - x);
}

// [0,3,1] for a flat index.
Dims IndexOf(const Dims& dims, int64_t flat) {
  Dims index(dims.size(), 0);
  for (size_t i = dims.size(); i-- > 0 && dims[i] > 0;) {
    index[i] = flat % dims[i];
    flat /= dims[i];
  }
  return index;
}

// How the elements of one type are read: as a number, and how far two are apart in last places.
template <class T>
struct Plain {
  using Element = T;
  static double Value(T x) { return static_cast<double>(x); }
  static bool Same(T a, T b) { return a == b || (a != a && b != b); }
  static double Ulps(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
      return Steps(std::bit_cast<Bits>(a), std::bit_cast<Bits>(b));
    } else {
      const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
      return static_cast<double>(a > b ? x - y : y - x);
    }
  }
  static double Distance(T a, T b) {
    return std::is_floating_point_v<T> ? std::abs(Value(a) - Value(b)) : Ulps(a, b);
  }
};
template <int kMantissa>
struct Short {
  using Element = uint16_t;
  static double Value(uint16_t x) { return FromBits(x, kMantissa); }
  static bool Same(uint16_t a, uint16_t b) { return Plain<double>::Same(Value(a), Value(b)); }
  static double Ulps(uint16_t a, uint16_t b) { return Steps(a, b); }
  static double Distance(uint16_t a, uint16_t b) { return std::abs(Value(a) - Value(b)); }
};

template <class Type>
void CompareAs(const TensorView& va, const TensorView& vb, Difference& d) {
  using Element = typename Type::Element;
  const auto* a = static_cast<const Element*>(va.data);
  const auto* b = static_cast<const Element*>(vb.data);
  int64_t worst = 0;
  double product = 0, square_a = 0, square_b = 0;
  for (int64_t i = 0; i < d.elements; ++i) {
    const double x = Type::Value(a[i]), y = Type::Value(b[i]);
    const bool same = Type::Same(a[i], b[i]);
    const bool finite = std::isfinite(x) && std::isfinite(y);
    const double distance = same     ? 0
                            : finite ? Type::Distance(a[i], b[i])
                                     : std::numeric_limits<double>::infinity();
    const double ulps = same     ? 0
                        : finite ? Type::Ulps(a[i], b[i])
                                 : std::numeric_limits<double>::infinity();
    const auto limit = std::lower_bound(kUlpLimits.begin(), kUlpLimits.end(), ulps);
    ++d.ulps[static_cast<size_t>(limit - kUlpLimits.begin())];
    if (finite) {
      d.largest = std::max(d.largest, std::abs(x));
      product += x * y, square_a += x * x, square_b += y * y;
    }
    if (distance > d.absolute) {
      d.absolute = distance;
      worst = i;
      d.worst_a = x, d.worst_b = y;
    }
  }
  d.worst = IndexOf(va.dims, worst);
  d.relative = d.absolute == 0 ? 0
               : d.largest > 0 ? d.absolute / d.largest
                               : std::numeric_limits<double>::infinity();
  if (square_a > 0 && square_b > 0)
    d.cosine = std::clamp(product / std::sqrt(square_a) / std::sqrt(square_b), -1.0, 1.0);
  else
    d.cosine = square_a == square_b ? 1 : 0;
}

}  // namespace

Difference Compare(const TensorView& a, const TensorView& b) {
  Difference d;
  if (a.dtype != b.dtype || a.dims != b.dims) {
    d.mismatch = fmt::format("{}{} against {}{}", Name(a.dtype), ToString(a.dims), Name(b.dtype),
                             ToString(b.dims));
    return d;
  }
  d.elements = NumElements(a.dims);
  switch (a.dtype) {
    case DType::kFloat32: CompareAs<Plain<float>>(a, b, d); break;
    case DType::kFloat64: CompareAs<Plain<double>>(a, b, d); break;
    case DType::kFloat16: CompareAs<Short<10>>(a, b, d); break;
    case DType::kBFloat16: CompareAs<Short<7>>(a, b, d); break;
    case DType::kInt8: CompareAs<Plain<int8_t>>(a, b, d); break;
    case DType::kInt16: CompareAs<Plain<int16_t>>(a, b, d); break;
    case DType::kInt32: CompareAs<Plain<int32_t>>(a, b, d); break;
    case DType::kInt64: CompareAs<Plain<int64_t>>(a, b, d); break;
    case DType::kUInt8:
    case DType::kBool: CompareAs<Plain<uint8_t>>(a, b, d); break;
  }
  return d;
}

std::string Histogram(const Difference& d) {
  constexpr std::string_view kBlocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string text;
  for (const int64_t n : d.ulps) {
    const double share =
        static_cast<double>(n) / static_cast<double>(std::max<int64_t>(d.elements, 1));
    // A block for every factor of 10 below all of them.
    const double height = n == 0 ? 0 : std::clamp(8 + std::log10(share), 1.0, 8.0);
    text += kBlocks[static_cast<size_t>(height)];
  }
  return text;
}

}  // namespace sula::cli
