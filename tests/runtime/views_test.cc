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

Node NodeOf(const OpDef& op, Params params) {
  Node node;
  node.op = &op;
  node.params = std::move(params);
  return node;
}

TEST(ViewsOf, TransposeTurnsChannelLastIntoRowMajor) {
  const Dims dims = {2, 3, 4, 5};
  const Strided input{0, StridesOf(dims, Layout::kChannelLast)};
  const std::vector<Dims> out = {{2, 4, 5, 3}};
  const auto views = ViewsOf(NodeOf(op::kTranspose, Params::Of(TransposeParams{{0, 2, 3, 1}})),
                             dims, input, out, {});
  ASSERT_TRUE(views);
  EXPECT_EQ((*views)[0].strides, RowMajorStrides(out[0]));
}

TEST(ViewsOf, SliceNeedsConstantBounds) {
  const Dims dims = {1, 6, 2, 2};
  const Strided input{0, StridesOf(dims, Layout::kChannelLast)};
  const Tensor starts = Tensor::FromInts({2}), ends = Tensor::FromInts({5}),
               axes = Tensor::FromInts({-3}), steps = Tensor::FromInts({1});
  const Node node = NodeOf(op::kSlice, Params::Of(NoParams{}));
  const std::vector<Dims> out = {{1, 3, 2, 2}};
  const std::vector<const Tensor*> known = {nullptr, &starts, &ends, &axes, &steps};
  const auto views = ViewsOf(node, dims, input, out, known);
  ASSERT_TRUE(views);
  EXPECT_EQ((*views)[0].offset, 2);
  const auto desc = FitLayout(DType::kFloat32, out[0], (*views)[0].strides, Layout::kChannelLast);
  ASSERT_TRUE(desc);
  EXPECT_EQ(desc->pixel_stride, 6);
  const std::vector<const Tensor*> unknown = {nullptr, nullptr, &ends, &axes, &steps};
  EXPECT_FALSE(ViewsOf(node, dims, input, out, unknown));
}

TEST(ViewsOf, SplitPartsFollowEachOther) {
  const Dims dims = {1, 7, 2};
  const Strided input{100, StridesOf(dims, Layout::kChannelLast)};
  const std::vector<Dims> out = {{1, 3, 2}, {1, 4, 2}};
  const auto views =
      ViewsOf(NodeOf(op::kSplit, Params::Of(SplitParams{1, 0})), dims, input, out, {});
  ASSERT_TRUE(views);
  EXPECT_EQ((*views)[0].offset, 100);
  EXPECT_EQ((*views)[1].offset, 103);
}

TEST(PartOf, PartsOfAConcatenation) {
  const std::vector<Dims> parts = {{1, 3, 2}, {1, 4, 2}};
  const Strided whole{5, StridesOf({1, 7, 2}, Layout::kChannelLast)};
  EXPECT_EQ(PartOf(whole, parts, 1, 0).offset, 5);
  EXPECT_EQ(PartOf(whole, parts, 1, 1).offset, 8);
}

TEST(Extent, CountsGaps) {
  EXPECT_EQ(Extent({2, 3}, {10, 1}), 13);
  EXPECT_EQ(Extent({2, 0}, {10, 1}), 0);
  EXPECT_EQ(Extent({}, {}), 1);
}

}  // namespace
}  // namespace sula
