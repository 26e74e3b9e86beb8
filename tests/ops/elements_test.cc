#include "ops/elements.h"

#include <bit>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sula {
namespace {

using ::testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(SaturateToInt, CutsAndLimits) {
  EXPECT_EQ(SaturateToInt(2.9, -128, 127), 2);
  EXPECT_EQ(SaturateToInt(-2.9, -128, 127), -2);
  EXPECT_EQ(SaturateToInt(200, -128, 127), 127);
  EXPECT_EQ(SaturateToInt(-200, -128, 127), -128);
  EXPECT_EQ(SaturateToInt(kNaN, -128, 127), 0);
  EXPECT_EQ(SaturateToInt(kInfinity, INT64_MIN, INT64_MAX), INT64_MAX);
  EXPECT_EQ(SaturateToInt(-kInfinity, INT64_MIN, INT64_MAX), INT64_MIN);
  EXPECT_EQ(SaturateToInt(0x1p63, INT64_MIN, INT64_MAX), INT64_MAX);
}

TEST(LoadStore, AllTypesKeepSmallIntegers) {
  const int64_t values[] = {0, 1, 2, 3, 100, 127};
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType type = static_cast<DType>(i);
    SCOPED_TRACE(Name(type));
    Tensor t(type, {6});
    StoreInts(type, values, 6, t.mutable_raw(), 0);
    int64_t ints[3];
    LoadInts(type, t.raw(), 5, -2, 3, ints);
    double doubles[3];
    LoadDoubles(type, t.raw(), 5, -2, 3, doubles);
    const bool is_bool = type == DType::kBool;
    EXPECT_THAT(ints, ElementsAre(is_bool ? 1 : 127, is_bool ? 1 : 3, 1));
    EXPECT_THAT(doubles, ElementsAre(is_bool ? 1 : 127, is_bool ? 1 : 3, 1));
  }
}

TEST(StoreInts, NarrowerIntegersWrap) {
  Tensor t(DType::kInt8, {3});
  const int64_t values[] = {128, -129, 256};
  StoreInts(t.dtype(), values, 3, t.mutable_raw(), 0);
  EXPECT_THAT(t.data<int8_t>(), ElementsAre(-128, 127, 0));
}

TEST(StoreInts, RoundsOnceToFloats) {
  // Halfway between two floats plus one: rounding through double first would lose the one.
  const int64_t value = (int64_t{1} << 60) + (int64_t{1} << 36) + 1;
  Tensor f(DType::kFloat32, {1});
  StoreInts(f.dtype(), &value, 1, f.mutable_raw(), 0);
  EXPECT_EQ(f.data<float>()[0], 0x1.000002p60f);
  const int64_t for_bf16 = (int64_t{1} << 60) + (int64_t{1} << 52) + 1;
  Tensor b(DType::kBFloat16, {1});
  StoreInts(b.dtype(), &for_bf16, 1, b.mutable_raw(), 0);
  EXPECT_EQ(static_cast<float>(b.data<BFloat16>()[0]), 0x1.02p60f);
  const int64_t extremes[] = {INT64_MAX, INT64_MIN};
  Tensor e(DType::kBFloat16, {2});
  StoreInts(e.dtype(), extremes, 2, e.mutable_raw(), 0);
  EXPECT_EQ(e.AsDouble(0), 0x1p63);
  EXPECT_EQ(e.AsDouble(1), -0x1p63);
}

TEST(StoreDoubles, RoundsOnceToHalf) {
  // 1 + 2^-11 is halfway between the halves 1 and 1 + 2^-10; a little more must round up, though
  // as a float it is exactly halfway.
  const double values[] = {1 + 0x1p-11, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11 - 0x1p-40};
  Tensor t(DType::kFloat16, {3});
  StoreDoubles(t.dtype(), values, 3, t.mutable_raw(), 0);
  EXPECT_EQ(t.AsDouble(0), 1);
  EXPECT_EQ(t.AsDouble(1), 1 + 0x1p-10);
  EXPECT_EQ(t.AsDouble(2), 1);
}

TEST(RoundToOdd, KeepsWhatIsExactAndMarksWhatIsNot) {
  EXPECT_EQ(RoundToOdd(1.5), 1.5f);
  EXPECT_TRUE(std::isnan(RoundToOdd(kNaN)));
  EXPECT_EQ(RoundToOdd(kInfinity), std::numeric_limits<float>::infinity());
  for (double x : {1 + 0x1p-30, -1 - 0x1p-30, 1 - 0x1p-30, 0x1p-200, -0x1p-200, 1e300, -1e300}) {
    const float f = RoundToOdd(x);
    EXPECT_EQ(std::bit_cast<uint32_t>(f) & 1, 1u) << x;
    EXPECT_EQ(std::signbit(f), std::signbit(x)) << x;
    EXPECT_TRUE(std::isfinite(f)) << x;
  }
}

}  // namespace
}  // namespace sula
