#include "ops/elements.h"

#include <bit>
#include <cmath>
#include <limits>

namespace sula {
namespace {

template <class T>
constexpr bool kIsFloat = std::is_same_v<T, float> || std::is_same_v<T, double> ||
                          std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class T>
double ToDouble(T x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<float>(x);
  } else {
    return static_cast<double>(x);
  }
}

template <class T>
T FromDouble(double x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(RoundToOdd(x));
  } else if constexpr (kIsFloat<T>) {
    return static_cast<T>(x);
  } else if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else {
    return static_cast<T>(
        SaturateToInt(x, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
}

template <class T>
int64_t ToInt(T x) {
  if constexpr (kIsFloat<T>) {
    return SaturateToInt(ToDouble(x), std::numeric_limits<int64_t>::min(),
                         std::numeric_limits<int64_t>::max());
  } else {
    return static_cast<int64_t>(x);
  }
}

// A 64-bit integer as a double rounded to odd, so that rounding on to a narrower float is exact.
double IntToOddDouble(int64_t x) {
  const double d = static_cast<double>(x);
  // |d| can be 2^63, which is exact only for the lowest integer and then needs no correction.
  if (std::fabs(d) >= 0x1p63) return x < 0 ? d : std::nextafter(d, 0.0);
  const int64_t back = static_cast<int64_t>(d);
  if (back == x || (std::bit_cast<uint64_t>(d) & 1)) return d;
  return std::nextafter(d, back < x ? HUGE_VAL : -HUGE_VAL);
}

template <class T>
T FromInt(int64_t x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(RoundToOdd(IntToOddDouble(x)));
  } else if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else {
    return static_cast<T>(x);
  }
}

}  // namespace

int64_t SaturateToInt(double x, int64_t lowest, int64_t highest) {
  if (std::isnan(x)) return 0;
  if (x <= static_cast<double>(lowest)) return lowest;
  if (x >= static_cast<double>(highest)) return highest;
  return static_cast<int64_t>(x);
}

int64_t LowestInt(DType t) {
  switch (t) {
    case DType::kInt8: return std::numeric_limits<int8_t>::min();
    case DType::kInt16: return std::numeric_limits<int16_t>::min();
    case DType::kInt32: return std::numeric_limits<int32_t>::min();
    case DType::kInt64: return std::numeric_limits<int64_t>::min();
    default: return 0;
  }
}

int64_t HighestInt(DType t) {
  switch (t) {
    case DType::kInt8: return std::numeric_limits<int8_t>::max();
    case DType::kInt16: return std::numeric_limits<int16_t>::max();
    case DType::kInt32: return std::numeric_limits<int32_t>::max();
    case DType::kInt64: return std::numeric_limits<int64_t>::max();
    case DType::kUInt8: return std::numeric_limits<uint8_t>::max();
    default: return 1;
  }
}

float RoundToOdd(double x) {
  const float f = static_cast<float>(x);
  const double back = f;
  uint32_t bits = std::bit_cast<uint32_t>(f);
  if (back == x || std::isnan(x) || std::isinf(x) || (bits & 1)) return f;
  // f is even and inexact: the odd neighbour lies on the other side of x. Magnitudes order as bits,
  // so stepping is +-1, also from infinity down and from zero up.
  if (bits << 1 == 0) return std::bit_cast<float>((x < 0 ? 0x80000000u : 0u) | 1u);
  bits += std::fabs(back) < std::fabs(x) ? 1 : -1;
  return std::bit_cast<float>(bits);
}

void LoadDoubles(DType t, const void* src, int64_t first, int64_t stride, int64_t n, double* dst) {
  DispatchDType(t, [&](auto zero) {
    using T = decltype(zero);
    const T* p = static_cast<const T*>(src) + first;
    if (stride == 1) {
      for (int64_t i = 0; i < n; ++i) dst[i] = ToDouble(p[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) dst[i] = ToDouble(p[i * stride]);
    }
  });
}

void LoadInts(DType t, const void* src, int64_t first, int64_t stride, int64_t n, int64_t* dst) {
  DispatchDType(t, [&](auto zero) {
    using T = decltype(zero);
    const T* p = static_cast<const T*>(src) + first;
    for (int64_t i = 0; i < n; ++i) dst[i] = ToInt(p[i * stride]);
  });
}

void StoreDoubles(DType t, const double* src, int64_t n, void* dst, int64_t first) {
  DispatchDType(t, [&](auto zero) {
    using T = decltype(zero);
    T* p = static_cast<T*>(dst) + first;
    for (int64_t i = 0; i < n; ++i) p[i] = FromDouble<T>(src[i]);
  });
}

void StoreInts(DType t, const int64_t* src, int64_t n, void* dst, int64_t first) {
  DispatchDType(t, [&](auto zero) {
    using T = decltype(zero);
    T* p = static_cast<T*>(dst) + first;
    for (int64_t i = 0; i < n; ++i) p[i] = FromInt<T>(src[i]);
  });
}

}  // namespace sula
