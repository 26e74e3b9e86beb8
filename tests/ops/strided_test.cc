#include "ops/strided.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

struct Row {
  int64_t a, b, n;
  friend bool operator==(const Row&, const Row&) = default;
};

std::vector<Row> Rows(const Dims& dims, const Dims& a, const Dims& b) {
  std::vector<Row> rows;
  ForEachRow(dims, {a, b},
             [&](std::span<const int64_t> offsets, std::span<const int64_t>, int64_t n) {
               rows.push_back({offsets[0], offsets[1], n});
             });
  return rows;
}

TEST(ForEachRow, MergesDenseAxes) {
  EXPECT_THAT(Rows({2, 3, 4}, {12, 4, 1}, {12, 4, 1}), ElementsAre(Row{0, 0, 24}));
  EXPECT_THAT(Rows({2, 1, 4}, {4, 7, 1}, {4, 9, 1}), ElementsAre(Row{0, 0, 8}));
}

TEST(ForEachRow, KeepsAxesThatOneArrayWalksOtherwise) {
  EXPECT_THAT(Rows({2, 3}, {3, 1}, {0, 1}), ElementsAre(Row{0, 0, 3}, Row{3, 0, 3}));
  EXPECT_THAT(Rows({2, 2, 2}, {4, 2, 1}, {2, 0, 1}),
              ElementsAre(Row{0, 0, 2}, Row{2, 0, 2}, Row{4, 2, 2}, Row{6, 2, 2}));
}

TEST(ForEachRow, ScalarsAndEmpty) {
  EXPECT_THAT(Rows({}, {}, {}), ElementsAre(Row{0, 0, 1}));
  EXPECT_THAT(Rows({1, 1}, {1, 1}, {1, 1}), ElementsAre(Row{0, 0, 1}));
  EXPECT_TRUE(Rows({3, 0}, {0, 1}, {0, 1}).empty());
}

TEST(BroadcastStrides, AlignsAtTheEnd) {
  EXPECT_THAT(BroadcastStrides(Dims{3, 1, 5}, Dims{2, 3, 4, 5}), ElementsAre(0, 5, 0, 1));
  EXPECT_THAT(BroadcastStrides(Dims{}, Dims{2, 3}), ElementsAre(0, 0));
}

template <class T>
void TransposeOf() {
  std::vector<T> src(6), dst(6);
  std::iota(src.begin(), src.end(), T{1});
  CopyStrided(sizeof(T), Dims{3, 2}, src.data(), 0, {1, 3}, dst.data(), 0, {2, 1});
  EXPECT_THAT(dst, ElementsAreArray({T{1}, T{4}, T{2}, T{5}, T{3}, T{6}}));
}

TEST(CopyStrided, AllElementSizes) {
  TransposeOf<uint8_t>();
  TransposeOf<int16_t>();
  TransposeOf<float>();
  TransposeOf<double>();
}

TEST(CopyStrided, BeginsAndNegativeStrides) {
  const std::vector<int32_t> src = {0, 1, 2, 3, 4};
  std::vector<int32_t> dst(4, -1);
  CopyStrided(4, Dims{3}, src.data(), 4, {-2}, dst.data(), 1, {1});
  EXPECT_THAT(dst, ElementsAre(-1, 4, 2, 0));
}

}  // namespace
}  // namespace sula
