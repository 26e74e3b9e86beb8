#include "tensor/shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace sula {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

TEST(Shape, ConcreteAndSymbolic) {
  const Dim n = Dim::Symbol("N");
  const Shape scalar, shape{n, 3, FloorDiv(Dim::Symbol("H"), 2)};
  EXPECT_EQ(scalar.NumElements(), Dim(1));
  EXPECT_EQ(scalar.ToString(), "[]");
  EXPECT_EQ(shape.ToString(), "[N,3,floor(H/2)]");
  EXPECT_FALSE(shape.TryConcrete());
  EXPECT_EQ(shape.NumElements(), n * 3 * FloorDiv(Dim::Symbol("H"), 2));
  const Shape bound = shape.Substitute({{"N", 2}, {"H", 9}});
  EXPECT_THAT(bound.Concrete(), ElementsAre(2, 3, 4));
  EXPECT_EQ(bound, Shape::Of(Dims{2, 3, 4}));
  EXPECT_EQ(TensorType({DType::kFloat16, shape}).ToString(), "float16[N,3,floor(H/2)]");
  EXPECT_EQ(TensorType({DType::kInt64, {}}).ToString(), "int64[?]");
}

TEST(Shape, NormalizesAxes) {
  EXPECT_EQ(*NormalizeAxis(-1, 4), 3);
  EXPECT_EQ(*NormalizeAxis(0, 1), 0);
  for (auto [axis, rank] : {std::pair<int64_t, int>{4, 4}, {-5, 4}, {0, 0}, {-1, 0}, {kMost, 3}}) {
    const auto result = NormalizeAxis(axis, rank);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message(), HasSubstr(std::to_string(axis)));
    EXPECT_THAT(result.error().message(), HasSubstr(std::to_string(rank)));
  }
}

TEST(Shape, BroadcastsNumbers) {
  EXPECT_THAT(*BroadcastDims(Dims{5, 1, 3}, Dims{4, 1}), ElementsAre(5, 4, 3));
  EXPECT_THAT(*BroadcastDims(Dims{}, Dims{2}), ElementsAre(2));
  EXPECT_THAT(*BroadcastDims(Dims{0, 1}, Dims{1, 7}), ElementsAre(0, 7));
  EXPECT_THAT(BroadcastDims(Dims{2, 3}, Dims{4, 3}).error().message(),
              AllOf(HasSubstr("[2,3]"), HasSubstr("[4,3]"), HasSubstr("axis 0")));
  EXPECT_FALSE(BroadcastDims(Dims{0}, Dims{2}));
}

TEST(Shape, BroadcastsSymbols) {
  const Dim n = Dim::Symbol("N"), m = Dim::Symbol("M");
  EXPECT_EQ(*BroadcastShapes({n, 1}, {n, 3}), (Shape{n, 3}));
  EXPECT_EQ(*BroadcastShapes({n}, {7}), (Shape{7}));  // else N would have to be 1
  EXPECT_EQ(*BroadcastShapes({n}, {m, 1}), (Shape{m, n}));
  EXPECT_EQ(*BroadcastShapes({n}, {m}), (Shape{Max(n, m)}));
}

TEST(Dims, CountsWithoutOverflow) {
  EXPECT_EQ(NumElements(Dims{}), 1);
  EXPECT_EQ(NumElements(Dims{2, 3, 4}), 24);
  EXPECT_EQ(NumElements(Dims{1 << 30, 1 << 30}), int64_t{1} << 60);
  EXPECT_EQ(NumElements(Dims{1 << 30, 1 << 30, 2}), kMost);
  EXPECT_EQ(NumElements(Dims{kMost, kMost}), kMost);
  EXPECT_EQ(NumElements(Dims{kMost, kMost, kMost, 0}), 0);
  EXPECT_EQ(NumElements(Dims{3, -1}), kMost);
  EXPECT_EQ(NumElements(Dims{0, -1}), kMost);
  const TensorView view{DType::kFloat64, {1 << 30, 1 << 30, 1 << 30}, nullptr};
  EXPECT_GT(view.bytes(), size_t{1} << 62);
  EXPECT_EQ(ToString(Dims{1, 3, 224}), "[1,3,224]");
  EXPECT_EQ(ToString(Dims{}), "[]");
}

TEST(Dims, RowMajorStrides) {
  EXPECT_THAT(RowMajorStrides(Dims{2, 3, 4}), ElementsAre(12, 4, 1));
  EXPECT_THAT(RowMajorStrides(Dims{}), ElementsAre());
  EXPECT_THAT(RowMajorStrides(Dims{5, kMost, 3}), ElementsAre(kMost, 3, 1));
}

}  // namespace
}  // namespace sula
