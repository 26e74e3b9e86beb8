#include "ops/pixels.h"

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

Params Of(FromPixelsParams p) { return Params::Of(std::move(p)); }
Tensor Pixels(Dims dims, std::initializer_list<uint8_t> values) {
  return Tensor::From<uint8_t>(std::move(dims), values);
}
TensorType U8(Shape shape) { return {DType::kUInt8, std::move(shape)}; }

// One grey channel, as it is.
FromPixelsParams Grey(int64_t width, int64_t height, ImageFit fit, PixelFilter filter) {
  FromPixelsParams p;
  p.width = width, p.height = height, p.fit = fit, p.filter = filter;
  p.mix = {1}, p.shift = {0};
  return p;
}

TEST(FromPixels, MixesChannelsAndMakesPlanes) {
  FromPixelsParams p;
  p.mix = {0, 0, 0.5f, 0, 2, 0};  // from blue, green, red: half of red; twice green
  p.shift = {-1, 3};
  const Tensor x = Pixels({2, 1, 2, 3}, {1, 2, 4, 10, 20, 40, 0, 100, 200, 255, 255, 255});
  const Tensor y = RunOp(op::kFromPixels, Of(p), {x});
  EXPECT_EQ(y.dims(), (Dims{2, 2, 1, 2}));
  EXPECT_EQ(Values(y), (std::vector<double>{1, 19, 7, 43, 99, 126.5, 203, 513}));
}

TEST(FromPixels, LinearReadsFourPixelsAroundTheCentre) {
  const Tensor x = Pixels({1, 2, 4, 1}, {0, 10, 20, 30, 100, 110, 120, 130});
  // Centres of two columns of four lie between the first and the last two of them.
  EXPECT_EQ(
      Values(RunOp(op::kFromPixels, Of(Grey(2, 1, ImageFit::kStretch, PixelFilter::kLinear)), {x})),
      (std::vector<double>{55, 75}));
  // Enlarged: beyond the outer centres the outer pixels.
  EXPECT_EQ(Values(RunOp(op::kFromPixels, Of(Grey(8, 2, ImageFit::kStretch, PixelFilter::kLinear)),
                         {Pixels({1, 2, 4, 1}, {0, 8, 16, 24, 0, 8, 16, 24})})),
            (std::vector<double>{0, 2, 6, 10, 14, 18, 22, 24, 0, 2, 6, 10, 14, 18, 22, 24}));
}

TEST(FromPixels, AntialiasWeighsAllThatIsCovered) {
  // Reduced by 2, the triangle has the weights 1 3 3 1; what lies beyond the picture has none.
  const Tensor x = Pixels({1, 1, 4, 1}, {7, 14, 28, 70});
  ExpectNear(Values(RunOp(op::kFromPixels,
                          Of(Grey(2, 1, ImageFit::kStretch, PixelFilter::kLinearAntialias)), {x})),
             {(3 * 7 + 3 * 14 + 28) / 7.0, (14 + 3 * 28 + 3 * 70) / 7.0}, kFloatRounding, 1e-12);
}

TEST(FromPixels, CropCutsAndLetterboxFills) {
  const Tensor x = Pixels({1, 2, 4, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  FromPixelsParams p = Grey(2, 2, ImageFit::kCrop, PixelFilter::kLinear);
  EXPECT_EQ(Values(RunOp(op::kFromPixels, Of(p), {x})), (std::vector<double>{2, 3, 6, 7}));
  p.anchor = ImageAnchor::kTopLeft;
  EXPECT_EQ(Values(RunOp(op::kFromPixels, Of(p), {x})), (std::vector<double>{1, 2, 5, 6}));
  p = Grey(4, 4, ImageFit::kLetterbox, PixelFilter::kNearest);
  p.fill = {9}, p.shift = {100};
  EXPECT_EQ(Values(RunOp(op::kFromPixels, Of(p), {x})),
            (std::vector<double>{109, 109, 109, 109, 101, 102, 103, 104, 105, 106, 107, 108, 109,
                                 109, 109, 109}));
}

TEST(FromPixels, InfersSizesThatAreOpen) {
  FromPixelsParams p = Grey(5, 7, ImageFit::kStretch, PixelFilter::kLinear);
  EXPECT_EQ(InferText(op::kFromPixels, Of(p), {U8({Sym("N"), Sym("H"), Sym("W"), 1})}),
            "float32[N,1,7,5]");
  p = {.mix = {1, 0, 0, 0, 1, 0}, .shift = {0, 0}};
  EXPECT_EQ(InferText(op::kFromPixels, Of(p), {U8({2, Sym("H"), 9, 3})}), "float32[2,2,H,9]");
}

TEST(FromPixels, SaysWhatDoesNotFit) {
  const auto error = [](const FromPixelsParams& p, Shape shape) {
    return InferText(op::kFromPixels, Of(p), {U8(std::move(shape))});
  };
  const FromPixelsParams grey = Grey(5, 5, ImageFit::kStretch, PixelFilter::kLinear);
  EXPECT_THAT(error(grey, {1, 8, 8, 3}), HasSubstr("last axis, are 3, expected 1"));
  EXPECT_THAT(error(grey, {8, 8, 1}), HasSubstr("axes of x is 3, expected 4"));
  EXPECT_THAT(error(grey, {1, 0, 8, 1}), HasSubstr("expected 1 to 65536"));
  EXPECT_THAT(error(grey, {1, 1 << 17, 8, 1}), HasSubstr("expected 1 to 65536"));
  FromPixelsParams p = grey;
  p.mix = {1, 1};
  p.shift = {0, 0, 0};
  EXPECT_THAT(error(p, {1, 8, 8, 1}),
              HasSubstr("elements of mix is 2, expected the channels of x"));
  p = grey, p.fill = {1, 2};
  EXPECT_THAT(error(p, {1, 8, 8, 1}),
              HasSubstr("levels of fill is 2, expected one for each channel"));
  p = grey, p.fit = ImageFit::kNone;
  EXPECT_THAT(error(p, {1, 8, 8, 1}), HasSubstr("height is 5, expected with fit none 0"));
  p = grey, p.width = 0;
  EXPECT_THAT(error(p, {1, 8, 8, 1}), HasSubstr("width is 0, expected 1 to 32768"));
  p = grey, p.shorter = 9;
  EXPECT_THAT(error(p, {1, 8, 8, 1}), HasSubstr("shorter is 9, expected 0, or with fit crop"));
  p.fit = ImageFit::kCrop, p.shorter = 4;
  EXPECT_THAT(error(p, {1, 8, 8, 1}), HasSubstr("shorter is 4, expected enough to cut y from"));
}

TEST(FromPixels, EmptyBatchesAndPictures) {
  FromPixelsParams p = {.mix = {1}, .shift = {0}};
  EXPECT_EQ(RunOp(op::kFromPixels, Of(p), {Pixels({1, 0, 4, 1}, {})}).dims(), (Dims{1, 1, 0, 4}));
  p = Grey(5, 5, ImageFit::kStretch, PixelFilter::kLinear);
  EXPECT_EQ(RunOp(op::kFromPixels, Of(p), {Pixels({0, 3, 4, 1}, {})}).dims(), (Dims{0, 1, 5, 5}));
}

}  // namespace
}  // namespace sula
