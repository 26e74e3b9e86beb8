#include "ops/activation.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace sula {
namespace {

using K = ActivationKind;

TEST(Activation, ByHand) {
  EXPECT_EQ(Apply({K::kNone}, -3), -3);
  EXPECT_EQ(Apply({K::kRelu}, -3), 0);
  EXPECT_EQ(Apply({K::kRelu}, 3), 3);
  EXPECT_EQ(Apply({K::kClip, 0, 6}, 7), 6);
  EXPECT_EQ(Apply({K::kClip, 0, 6}, -7), 0);
  EXPECT_EQ(Apply({K::kClip, 0, 6}, 2.5), 2.5);
  EXPECT_EQ(Apply({K::kClip, 5, 1}, 3), 1);  // crossed bounds: the upper one wins
  EXPECT_EQ(Apply({K::kLeakyRelu, 0.25f}, -4), -1);
  EXPECT_EQ(Apply({K::kLeakyRelu, 0.25f}, 4), 4);
  EXPECT_EQ(Apply({K::kHardSigmoid, 0.5f, 0.25f}, 1), 0.75);
  EXPECT_EQ(Apply({K::kHardSigmoid, 0.5f, 0.25f}, 9), 1);
  EXPECT_EQ(Apply({K::kHardSigmoid, 0.5f, 0.25f}, -9), 0);
  EXPECT_EQ(Apply({K::kHardSwish}, 3), 3);
  EXPECT_EQ(Apply({K::kHardSwish}, -3), 0);
  EXPECT_DOUBLE_EQ(Apply({K::kHardSwish}, 1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(Apply({K::kSigmoid}, std::log(3)), 0.75);
  EXPECT_DOUBLE_EQ(Apply({K::kTanh}, std::log(2)), 0.6);
  EXPECT_DOUBLE_EQ(Apply({K::kSwish, 2}, std::log(3) / 2), 0.75 * std::log(3) / 2);
  EXPECT_EQ(Apply({K::kGelu}, 0), 0);
  EXPECT_DOUBLE_EQ(Apply({K::kGelu}, 1), std::erfc(-std::sqrt(0.5)) / 2);
  EXPECT_DOUBLE_EQ(Apply({K::kGelu}, -1) + 1, Apply({K::kGelu}, 1));  // x Phi(x) + x Phi(-x) = x
}

TEST(Activation, NanStaysAndInfinityIsHarmless) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (size_t k = 0; k < std::size(EnumNames<K>::kNames); ++k)
    EXPECT_TRUE(std::isnan(Apply({static_cast<K>(k), 1, 2}, nan))) << EnumNames<K>::kNames[k];
  EXPECT_EQ(Apply({K::kSigmoid}, -inf), 0);
  EXPECT_EQ(Apply({K::kSigmoid}, inf), 1);
  EXPECT_EQ(Apply({K::kSigmoid}, -1000), 0);
  EXPECT_EQ(Apply({K::kClip, -1, 1}, inf), 1);
}

}  // namespace
}  // namespace sula
