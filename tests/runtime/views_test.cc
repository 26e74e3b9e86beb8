#include "runtime/prepare/views.h"

#include <gtest/gtest.h>

#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula {
namespace {

TEST(FitLayout, OneSetOfStridesMayBeBothLayouts) {
  // [N,C,1,1] and [N,1,H,W] without gaps.
  for (const Dims& dims : {Dims{2, 5, 1, 1}, Dims{2, 1, 3, 4}})
    for (Layout made : {Layout::kRowMajor, Layout::kChannelLast})
      for (Layout asked : {Layout::kRowMajor, Layout::kChannelLast})
        EXPECT_TRUE(FitLayout(DType::kFloat32, dims, StridesOf(dims, made), asked))
            << ToString(dims);
  const Dims dims = {2, 5, 3, 4};
  EXPECT_FALSE(
      FitLayout(DType::kFloat32, dims, StridesOf(dims, Layout::kRowMajor), Layout::kChannelLast));
  EXPECT_FALSE(
      FitLayout(DType::kFloat32, dims, StridesOf(dims, Layout::kChannelLast), Layout::kRowMajor));
}

TEST(FitLayout, FindsThePixelStride) {
  const Dims dims = {2, 5, 3, 4};
  const auto desc = FitLayout(DType::kFloat32, dims, StridesOf(dims, Layout::kChannelLast, 9),
                              Layout::kChannelLast);
  ASSERT_TRUE(desc);
  EXPECT_EQ(desc->pixel_stride, 9);
  // One pixel an image: the stride is that of the batch.
  const Dims pooled = {2, 5, 1, 1};
  const auto rows = FitLayout(DType::kFloat32, pooled, StridesOf(pooled, Layout::kChannelLast, 9),
                              Layout::kChannelLast);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->pixel_stride, 9);
  EXPECT_FALSE(FitLayout(DType::kFloat32, pooled, StridesOf(pooled, Layout::kChannelLast, 9),
                         Layout::kRowMajor));
}

TEST(FitLayout, ChannelsMustBeNextToEachOther) {
  EXPECT_FALSE(FitLayout(DType::kFloat32, {1, 2, 2}, {8, 2, 4}, Layout::kChannelLast));
  EXPECT_FALSE(FitLayout(DType::kFloat32, {1, 3, 2}, {8, 1, 2}, Layout::kChannelLast));
  EXPECT_FALSE(FitLayout(DType::kFloat32, {3}, {1}, Layout::kChannelLast));
}

TEST(ReshapeStrides, MergesAndSplits) {
  EXPECT_EQ(ReshapeStrides({2, 3, 4}, {12, 4, 1}, {6, 4}), (Dims{4, 1}));
  EXPECT_EQ(ReshapeStrides({6, 4}, {8, 1}, {2, 3, 2, 2}), (Dims{24, 8, 2, 1}));
  EXPECT_EQ(ReshapeStrides({6, 4}, {8, 1}, {24}), std::nullopt);
  EXPECT_EQ(ReshapeStrides({1, 6, 1}, {99, 2, 77}, {6}), (Dims{2}));
  EXPECT_EQ(ReshapeStrides({2, 3}, {1, 2}, {6}), std::nullopt);
  EXPECT_TRUE(ReshapeStrides({0, 3}, {3, 1}, {5, 0}).has_value());
  EXPECT_EQ(ReshapeStrides({}, {}, {1, 1})->size(), 2u);
}

// The one region of a node's output.
Region RegionOf(const OpDef& op, Params params, const Dims& x, const std::vector<Dims>& out,
                const std::vector<const Tensor*>& constants = {nullptr}, size_t output = 0) {
  Node node;
  node.op = &op;
  node.params = std::move(params);
  node.inputs.resize(constants.size(), 0);
  std::vector<Dims> inputs = {x};
  for (size_t i = 1; i < constants.size(); ++i) inputs.push_back(constants[i]->dims());
  const auto lists = RegionsOf(node, inputs, out, constants);
  EXPECT_TRUE(lists) << lists.error().ToString();
  return lists && (*lists)[output].size() == 1 ? (*lists)[output][0] : Region();
}

TEST(ViewThrough, TransposeTurnsChannelLastIntoRowMajor) {
  const Dims dims = {2, 3, 4, 5}, out = {2, 4, 5, 3};
  const Region region =
      RegionOf(op::kTranspose, Params::Of(TransposeParams{{0, 2, 3, 1}}), dims, {out});
  const auto view = ViewThrough(region, out, {0, StridesOf(dims, Layout::kChannelLast)});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->strides, RowMajorStrides(out));
}

TEST(ViewThrough, SliceOfChannelsKeepsThePixelStride) {
  const Dims dims = {1, 6, 2, 2}, out = {1, 3, 2, 2};
  const Tensor starts = Tensor::FromInts({2}), ends = Tensor::FromInts({5}),
               axes = Tensor::FromInts({-3}), steps = Tensor::FromInts({1});
  const Region region = RegionOf(op::kSlice, Params::Of(NoParams{}), dims, {out},
                                 {nullptr, &starts, &ends, &axes, &steps});
  const auto view = ViewThrough(region, out, {0, StridesOf(dims, Layout::kChannelLast)});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->offset, 2);
  const auto desc = FitLayout(DType::kFloat32, out, view->strides, Layout::kChannelLast);
  ASSERT_TRUE(desc);
  EXPECT_EQ(desc->pixel_stride, 6);
}

TEST(ViewThrough, BackwardsAndRepeated) {
  const Tensor starts = Tensor::FromInts({-1}), ends = Tensor::FromInts({-9}),
               axes = Tensor::FromInts({1}), steps = Tensor::FromInts({-2});
  const Region back = RegionOf(op::kSlice, Params::Of(NoParams{}), {2, 7}, {{2, 4}},
                               {nullptr, &starts, &ends, &axes, &steps});
  EXPECT_EQ(ViewThrough(back, {2, 4}, {10, {7, 1}}), (Strided{16, {7, -2}}));
  const Tensor shape = Tensor::FromInts({3, 2, 5});
  const Region expand =
      RegionOf(op::kExpand, Params::Of(NoParams{}), {2, 1}, {{3, 2, 5}}, {nullptr, &shape});
  EXPECT_EQ(ViewThrough(expand, {3, 2, 5}, {0, {1, 1}}), (Strided{0, {0, 1, 0}}));
  // Repeats of one element are a walk with stride 0, of more they are none.
  const Tensor repeats = Tensor::FromInts({2, 3});
  const Region rows =
      RegionOf(op::kTile, Params::Of(NoParams{}), {1, 1}, {{2, 3}}, {nullptr, &repeats});
  EXPECT_EQ(ViewThrough(rows, {2, 3}, {0, {1, 1}}), (Strided{0, {0, 0}}));
  const Region tile =
      RegionOf(op::kTile, Params::Of(NoParams{}), {2, 2}, {{4, 6}}, {nullptr, &repeats});
  EXPECT_EQ(ViewThrough(tile, {4, 6}, {0, {2, 1}}), std::nullopt);
}

TEST(ViewThrough, DepthToSpaceOfOneRow) {
  // One pixel of 4 channels becomes a 2 x 2 map of one: the bytes stay.
  const Region region =
      RegionOf(op::kDepthToSpace, Params::Of(BlockParams{2, false}), {3, 4, 1, 1}, {{3, 1, 2, 2}});
  const auto view = ViewThrough(region, {3, 1, 2, 2}, {0, {4, 1, 1, 1}});
  ASSERT_TRUE(view);
  EXPECT_TRUE(SameStrides({3, 1, 2, 2}, view->strides, {4, 4, 2, 1}));
}

TEST(ViewThrough, SplitPartsFollowEachOther) {
  const Dims dims = {1, 7, 2};
  const std::vector<Dims> out = {{1, 3, 2}, {1, 4, 2}};
  const Strided input{100, StridesOf(dims, Layout::kChannelLast)};
  for (size_t i = 0; i < 2; ++i) {
    const Region part =
        RegionOf(op::kSplit, Params::Of(SplitParams{1, 0}), dims, out, {nullptr}, i);
    const auto view = ViewThrough(part, out[i], input);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->offset, i == 0 ? 100 : 103);
  }
}

TEST(PartThrough, SourceWithinTheOutput) {
  // Channels 3 to 6 of 7 come from a source of 4.
  Region region{1, {0, 3, 0}, {0, 0, 0}, {{1, 0, 1, 0, 1}, {4, 1, 1, 1, 1}, {2, 2, 1, 2, 1}}};
  Normalize(region);
  const Strided whole{5, StridesOf({1, 7, 2}, Layout::kChannelLast)};
  const auto part = PartThrough(region, {1, 4, 2}, whole);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->offset, 8);
  EXPECT_TRUE(SameStrides({1, 4, 2}, part->strides, {0, 1, 7}));
  // Of a larger source it takes a part only.
  EXPECT_EQ(PartThrough(region, {1, 5, 2}, whole), std::nullopt);
}

TEST(Extent, CountsGaps) {
  EXPECT_EQ(Extent({2, 3}, {10, 1}), 13);
  EXPECT_EQ(Extent({2, 0}, {10, 1}), 0);
  EXPECT_EQ(Extent({}, {}), 1);
}

}  // namespace
}  // namespace sula
