#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace sula {
namespace {

// The value of a finite half by the definition of IEEE 754 binary16.
double Value(uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 0x3ff;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

// Nearest finite half, ties to even, by search; infinity from the midpoint above the largest on.
uint16_t Nearest(float f) {
  const double magnitude = std::fabs(static_cast<double>(f));
  const uint16_t sign = std::signbit(f) ? 0x8000 : 0;
  if (magnitude >= 65520) return sign | 0x7c00;
  uint16_t low = 0, high = 0x7bff;  // positive halves are ordered like their bits
  while (low < high) {
    const uint16_t middle = (low + high + 1) / 2;
    if (Value(middle) <= magnitude) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low == 0x7bff) return sign | low;
  const double below = magnitude - Value(low), above = Value(low + 1) - magnitude;
  if (above < below || (above == below && low % 2 == 1)) ++low;
  return sign | low;
}

TEST(Half, EveryValueIsExactAndComesBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto bits = static_cast<uint16_t>(h);
    const float f = HalfBitsToFloat(bits);
    if ((h & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isnan(f), (h & 0x3ff) != 0);
      EXPECT_EQ(std::isinf(f), (h & 0x3ff) == 0);
      EXPECT_EQ(std::signbit(f), h >= 0x8000);
    } else {
      ASSERT_EQ(f, Value(bits));
    }
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(HalfBitsToFloat(FloatToHalfBits(f))));
    } else {
      ASSERT_EQ(FloatToHalfBits(f), bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  std::mt19937 random(1);
  for (int i = 0; i < 300000; ++i) {
    // Exponents around the whole half range; low bits often exactly on a midpoint.
    uint32_t u = random();
    const uint32_t exponent = 127 - 27 + random() % 45;
    u = (u & 0x807fffff) | exponent << 23;
    if (i % 3 == 0) u = (u & ~0x1fffu) | 0x1000;
    const float f = std::bit_cast<float>(u);
    ASSERT_EQ(FloatToHalfBits(f), Nearest(f)) << f;
  }
  for (float f :
       {0.0f, -0.0f, 65504.0f, 65519.99f, 65520.0f, -65520.0f, 0x1p-24f, 0x1p-25f, 0x1.000002p-25f,
        0x1.8p-24f, 0x1.ffcp-15f, std::numeric_limits<float>::max(),
        std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(FloatToHalfBits(f), Nearest(f)) << f;
  }
}

TEST(BFloat16, RoundsToNearestEvenAndKeepsNaN) {
  EXPECT_EQ(BFloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(BFloat16(1.0f + 0x1p-8f).bits, 0x3f80);  // tie, to even
  EXPECT_EQ(BFloat16(1.0f + 0x3p-8f).bits, 0x3f82);
  EXPECT_EQ(BFloat16(1.0f + 0x1p-8f + 0x1p-20f).bits, 0x3f81);
  EXPECT_EQ(BFloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(float{BFloat16(std::bit_cast<float>(0x7f800001))}));
  EXPECT_EQ(float{BFloat16(-2.5f)}, -2.5f);
}

}  // namespace
}  // namespace sula
