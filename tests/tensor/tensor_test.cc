#include "tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sula {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(DType, NamesAreReadBackAndSizesAreThoseOfTheCppTypes) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType t = static_cast<DType>(i);
    EXPECT_EQ(*ParseDType(Name(t)), t);
    DispatchDType(t, [&](auto zero) {
      EXPECT_EQ(DTypeOf<decltype(zero)>(), t);
      EXPECT_EQ(sizeof(zero), SizeOf(t));
    });
  }
  EXPECT_THAT(ParseDType("float8").error().message(),
              AllOf(HasSubstr("float8"), HasSubstr("bfloat16")));
}

TEST(Tensor, IsZeroFilledAligned) {
  Tensor t(DType::kInt16, {3, 5});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.raw()) % 64, 0u);
  EXPECT_EQ(t.bytes(), 30u);
  EXPECT_THAT(t.data<int16_t>(), Each(0));
  t.mutable_data<int16_t>()[14] = 7;
  EXPECT_EQ(t.AsInt(14), 7);
}

TEST(Tensor, ScalarsZeroSizesAndNothing) {
  const Tensor scalar = Tensor::Scalar(2.5f);
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.num_elements(), 1);
  const Tensor none(DType::kFloat32, {2, 0, 3});
  EXPECT_FALSE(none.empty());
  EXPECT_EQ(none.bytes(), 0u);
  EXPECT_TRUE(none.data<float>().empty());
  EXPECT_EQ(none, none.Clone());
  EXPECT_TRUE(Tensor().empty());
  EXPECT_TRUE(Tensor().Clone().empty());
  EXPECT_NE(Tensor(), Tensor(DType::kFloat32, {0}));
}

TEST(Tensor, ImpossibleSizesAreErrors) {
  constexpr int64_t kBig = int64_t{1} << 40;
  EXPECT_EQ(Tensor::Create(DType::kFloat64, {kBig, kBig}).error().code(), Code::kResourceExhausted);
  EXPECT_THAT(Tensor::Create(DType::kFloat64, {kBig, 1 << 19}).error().message(),
              HasSubstr("float64[1099511627776,524288]"));
  EXPECT_EQ(Tensor::Create(DType::kInt8, {2, -1}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Tensor::Create(DType::kInt8, {0, -1}).error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(Tensor(DType::kInt8, {-1}).empty());
  EXPECT_TRUE(Tensor(DType::kInt8, {kBig, kBig}).empty());
  EXPECT_EQ(Tensor::Create(DType::kInt8, {2, 3})->num_elements(), 6);
}

TEST(Tensor, ReshapedSharesAndCloneDoesNot) {
  Tensor a = Tensor::From<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = a.Reshaped({3, 2}), c = a.Clone();
  EXPECT_EQ(b.raw(), a.raw());
  EXPECT_THAT(b.dims(), ElementsAre(3, 2));
  EXPECT_NE(a, b);
  EXPECT_EQ(a, c);
  a.mutable_data<int32_t>()[0] = 9;
  EXPECT_EQ(b.AsInt(0), 9);
  EXPECT_EQ(c.AsInt(0), 1);
  EXPECT_NE(a, c);
}

TEST(Tensor, BorrowKeepsTheOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const std::weak_ptr<void> watch = owner;
  Tensor t = Tensor::Borrow(DType::kFloat32, {3}, owner->data(), owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_THAT(t.ToInts(), ElementsAre(1, 2, 3));
  t = Tensor();
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, ElementsAsNumbers) {
  EXPECT_EQ(Tensor::Scalar(Half(1.5f)).AsDouble(0), 1.5);
  EXPECT_EQ(Tensor::Scalar(BFloat16(-2.0f)).AsInt(0), -2);
  EXPECT_EQ(Tensor::Scalar<uint8_t>(255).AsInt(0), 255);
  constexpr int64_t kOdd = (int64_t{1} << 62) + 1;  // no double holds it
  EXPECT_EQ(Tensor::FromInts({kOdd}).AsInt(0), kOdd);
  EXPECT_EQ(Tensor::Scalar(-1.9).AsInt(0), -1);
  EXPECT_EQ(Tensor::Scalar(std::nan("")).AsInt(0), 0);
  EXPECT_EQ(Tensor::Scalar(1e300).AsInt(0), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Tensor::Scalar(-1e300).AsInt(0), std::numeric_limits<int64_t>::min());
  static constexpr uint8_t kBytes[] = {0, 1, 2};  // as a careless writer might store bools
  EXPECT_THAT(Tensor::Borrow(DType::kBool, {3}, kBytes, nullptr).ToInts(), ElementsAre(0, 1, 1));
}

}  // namespace
}  // namespace sula
