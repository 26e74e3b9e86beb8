// Cutting, and the way from pictures to an input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/test_pictures.h"
#include "sula/image.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ValueInfo Input(DType dtype, Dims dims) {
  return {
      .name = "x", .dtype = dtype, .dims = dims, .type = std::string(Name(dtype)) + ToString(dims)};
}

ImageInput Spec(std::string_view text) { return ParseImageInput(text).value(); }

// One pixel after another, red, green, blue.
Image Pixels(int width, int height, std::vector<uint8_t> pixels) {
  const int channels = static_cast<int>(pixels.size()) / (width * height);
  return {.width = width, .height = height, .channels = channels, .pixels = std::move(pixels)};
}

TEST(Crop, InsideAndBeyondTheBorders) {
  const Image image = Pixels(3, 2, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(Crop(image, 1, 0, 2, 2)->pixels, ElementsAre(2, 3, 5, 6));
  EXPECT_THAT(Crop(image, -1, -1, 3, 2, {10, 20, 31})->pixels, ElementsAre(20, 20, 20, 20, 1, 2));
  EXPECT_THAT(Crop(image, 2, 1, 2, 2)->pixels, ElementsAre(6, 0, 0, 0));
  EXPECT_THAT(Crop(image, 7, 0, 2, 1, {9, 9, 9})->pixels, ElementsAre(9, 9));
  EXPECT_THAT(Crop(image, -2'000'000'000, 2'000'000'000, 1, 1)->pixels, ElementsAre(0));
  const Image colour = Pixels(1, 1, {1, 2, 3});
  EXPECT_THAT(Crop(colour, 0, 0, 2, 1, {7, 8, 9})->pixels, ElementsAre(1, 2, 3, 7, 8, 9));
  for (int size : {0, -1, kMaxImageSide + 1}) {
    EXPECT_EQ(Crop(image, 0, 0, size, 1).error().code(), Code::kInvalidArgument);
    EXPECT_EQ(Resize(image, 1, size, ResizeKind::kBoxPil).error().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(Resize(image, kMaxImageSide, kMaxImageSide, ResizeKind::kBoxPil).error().code(),
            Code::kResourceExhausted);
}

TEST(Resize, PicturesThatDontFitTheirPixelsAreRefused) {
  for (const Image& bad : {Image{.width = 2, .height = 2, .channels = 1, .pixels = {1, 2, 3}},
                           Image{.width = 0, .height = 2, .channels = 1, .pixels = {}},
                           Image{.width = -2, .height = -2, .channels = 1, .pixels = {1, 2, 3, 4}},
                           Image{.width = 1, .height = 1, .channels = 2, .pixels = {1, 2}}}) {
    EXPECT_FALSE(Resize(bad, 4, 4, ResizeKind::kBilinearPil));
    EXPECT_FALSE(Crop(bad, 0, 0, 1, 1));
    float data[48];
    EXPECT_FALSE(FillInput({&bad, 1}, {}, DType::kFloat32, {1, 3, 4, 4}, data));
  }
}

TEST(Colour, GrayAndBack) {
  const Image image = Pixels(2, 1, {255, 255, 255, 200, 100, 50});
  const Image gray = ToGray(image);
  EXPECT_THAT(gray.pixels,
              ElementsAre(255, 124));  // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
  EXPECT_THAT(ToRgb(gray).pixels, ElementsAre(255, 255, 255, 124, 124, 124));
  EXPECT_EQ(ToRgb(image).pixels, image.pixels);
}

TEST(FillInput, LayoutsAndOrders) {
  const Image image = Pixels(2, 1, {1, 2, 3, 4, 5, 6});
  float data[6];
  ASSERT_TRUE(FillInput({&image, 1}, Spec("raw"), DType::kFloat32, {1, 3, 1, 2}, data));
  EXPECT_THAT(data, ElementsAre(1, 4, 2, 5, 3, 6));
  ASSERT_TRUE(FillInput({&image, 1}, Spec("raw order=bgr mean=10,20,30"), DType::kFloat32,
                        {1, 1, 2, 3}, data));
  EXPECT_THAT(data, ElementsAre(-7, -18, -29, -4, -15, -26));
  ASSERT_TRUE(FillInput({&image, 1}, Spec("raw std=0.5"), DType::kFloat32, {3, 1, 2}, data));
  EXPECT_THAT(data, ElementsAre(2, 8, 4, 10, 6, 12));
  uint8_t bytes[6];
  ASSERT_TRUE(
      FillInput({&image, 1}, Spec("raw scale=100 mean=150"), DType::kUInt8, {1, 2, 3}, bytes));
  EXPECT_THAT(bytes, ElementsAre(0, 50, 150, 250, 255, 255));
}

TEST(FillInput, SeveralPicturesAtATime) {
  const std::vector<Image> images = {Pixels(1, 1, {1, 2, 3}),
                                     Pixels(2, 2, std::vector<uint8_t>(12, 9))};
  float data[6];
  auto maps = FillInput(images, Spec("raw"), DType::kFloat32, {2, 3, 1, 1}, data);
  ASSERT_TRUE(maps) << maps.error().ToString();
  EXPECT_THAT(data, ElementsAre(1, 2, 3, 9, 9, 9));
  EXPECT_EQ(maps->size(), 2u);
  EXPECT_EQ((*maps)[1].scale_x, 0.5);
  EXPECT_EQ(*ImageInputDims(Spec("raw"), Input(DType::kFloat32, {-1, 3, 1, 1}), images),
            (Dims{2, 3, 1, 1}));
  EXPECT_THAT(
      ImageInputDims(Spec("raw"), Input(DType::kFloat32, {4, 3, 1, 1}), images).error().message(),
      HasSubstr("4 pictures at a time, not 2"));
  EXPECT_FALSE(FillInput(images, Spec("raw"), DType::kFloat32, {1, 3, 1, 1}, data));
}

// Corners of the picture land where the map says, and come back.
TEST(FillInput, MapsLeadBackToThePicture) {
  const Image image = TestPicture(200, 100, 3);
  std::vector<float> data(3 * 64 * 64);
  auto map = [&](std::string_view text) {
    return FillInput({&image, 1}, Spec(text), DType::kFloat32, {1, 3, 64, 64}, data.data())
        .value()[0];
  };
  ImageMap m = map("yolo");  // 64 x 32 in the middle
  EXPECT_DOUBLE_EQ(m.scale_x, 0.32);
  EXPECT_DOUBLE_EQ(m.offset_y, 16);
  EXPECT_THAT(m.ToPicture(64, 48), ::testing::Pair(200, 100));
  EXPECT_THAT(m.ToPicture(0, 16), ::testing::Pair(0, 0));
  m = map("yolo anchor=top-left");
  EXPECT_EQ(m.offset_y, 0);
  m = map("raw fit=crop");  // 128 x 64, of which the middle half
  EXPECT_THAT(m.ToPicture(0, 0), ::testing::Pair(50, 0));
  EXPECT_THAT(m.ToPicture(64, 64), ::testing::Pair(150, 100));
  m = map("raw fit=crop anchor=top-left");
  EXPECT_THAT(m.ToPicture(64, 64), ::testing::Pair(100, 100));
  m = map("raw");
  EXPECT_THAT(m.ToPicture(32, 32), ::testing::Pair(100, 50));
}

TEST(FillInput, LongNarrowPictures) {
  std::vector<float> data(3 * 8 * 8);
  for (const Image& image : {TestPicture(3000, 1, 3), TestPicture(1, 3000, 3)}) {
    auto fill = [&](std::string_view text) {
      return FillInput({&image, 1}, Spec(text), DType::kFloat32, {1, 3, 8, 8}, data.data());
    };
    EXPECT_TRUE(fill("yolo"));  // one row or column remains
    EXPECT_TRUE(fill("raw fit=crop(8)"));
    EXPECT_THAT(fill("raw fit=crop(200)").error().message(), HasSubstr("600000"));
  }
}

TEST(ImageInputDims, SizesFromSettingsModelOrPicture) {
  const Image image = TestPicture(20, 10, 3);
  auto dims = [&](std::string_view text, Dims declared) {
    auto d = ImageInputDims(Spec(text), Input(DType::kFloat32, std::move(declared)), {&image, 1});
    return d ? ToString(*d) : d.error().message();
  };
  EXPECT_EQ(dims("raw", {1, 3, 7, 9}), "[1,3,7,9]");
  EXPECT_EQ(dims("raw size=5x4", {-1, 3, -1, -1}), "[1,3,4,5]");
  EXPECT_EQ(dims("raw fit=none", {-1, -1, -1, 3}), "[1,10,20,3]");
  EXPECT_EQ(dims("raw order=gray", {1, 28, 28, 1}), "[1,28,28,1]");
  EXPECT_EQ(dims("raw layout=nhwc size=2x2", {-1, -1, -1, -1}), "[1,2,2,3]");
  EXPECT_THAT(dims("raw", {1, 3, -1, 9}), HasSubstr("size=WIDTHxHEIGHT"));
  EXPECT_THAT(dims("raw size=2x2", {-1, -1, -1, -1}), HasSubstr("layout=nchw"));
  EXPECT_THAT(dims("raw", {1, 4, 7, 9}), HasSubstr("no axis of 3 channels"));
  EXPECT_THAT(dims("raw order=gray", {1, 3, 7, 9}),
              AllOf(HasSubstr("no axis of 1 channel "), HasSubstr("order=gray")));
  EXPECT_THAT(dims("raw layout=nhwc", {1, 3, 7, 9}), HasSubstr("layout=nhwc"));
  EXPECT_THAT(dims("raw", {3, 7}), HasSubstr("three or four axes"));
  EXPECT_THAT(dims("raw type=uint8", {1, 3, 7, 9}), HasSubstr("type=uint8"));
}

TEST(CheckImageInput, FindsWhatNoPictureCanMakeRight) {
  auto problem = [](std::string_view text, DType dtype, Dims dims) {
    return CheckImageInput(Spec(text), Input(dtype, std::move(dims))).message();
  };
  EXPECT_EQ(problem("imagenet", DType::kFloat32, {1, 3, 224, 224}), "");
  EXPECT_EQ(problem("raw fit=none", DType::kUInt8, {1, -1, -1, 3}), "");
  EXPECT_THAT(problem("imagenet size=192x192", DType::kFloat32, {1, 3, 224, 224}),
              HasSubstr("size=192x192"));
  EXPECT_THAT(problem("imagenet", DType::kFloat32, {1, 3, 299, 299}), HasSubstr("crop(256)"));
  EXPECT_THAT(problem("raw", DType::kInt64, {1, 3, 9, 9}), HasSubstr("int64"));
  EXPECT_THAT(problem("raw", DType::kFloat32, {1, 3, -1, 9}), HasSubstr("fit=none"));
}

TEST(DefaultImageInput, GuessesOnlyWhatThereIsNoDoubtAbout) {
  auto guess = [](DType dtype, Dims dims) {
    auto spec = DefaultImageInput(Input(dtype, std::move(dims)));
    return spec ? ToString(*spec) : "";
  };
  EXPECT_EQ(guess(DType::kFloat32, {1, 3, 9, 9}),
            "resize=bilinear-pil fit=stretch order=rgb scale=1/255");
  EXPECT_EQ(guess(DType::kUInt8, {-1, 9, 9, 1}),
            "resize=bilinear-pil fit=stretch order=gray scale=1");
  EXPECT_EQ(guess(DType::kInt8, {3, -1, -1}),
            "resize=bilinear-pil fit=none order=rgb scale=1 mean=128");
  EXPECT_EQ(guess(DType::kFloat32, {1, 4, 9, 9}), "");
  EXPECT_EQ(guess(DType::kFloat32, {1, -1, -1, -1}), "");
  EXPECT_EQ(guess(DType::kInt64, {1, 3, 9, 9}), "");
  EXPECT_EQ(guess(DType::kFloat32, {}), "");
}

TEST(ChooseImageInput, WhatIsLeftOutIsStoredOrGuessed) {
  auto choose = [](std::string_view text, const std::optional<ImageInput>& base, Dims dims) {
    auto spec = ChooseImageInput(text, Input(DType::kFloat32, std::move(dims)), base);
    return spec ? ToString(*spec) : spec.error().message();
  };
  EXPECT_EQ(choose("mean=0.5", {}, {1, 3, 9, 9}),
            "resize=bilinear-pil fit=stretch order=rgb scale=1/255 mean=0.5");
  EXPECT_EQ(choose("mean=0.5", Spec("raw"), {1, 3, 9, 9}),
            "resize=bilinear-pil fit=stretch order=rgb scale=1 mean=0.5");
  EXPECT_EQ(choose("size=5x4", {}, {1, 3, -1, -1}),
            "resize=bilinear-pil size=5x4 fit=stretch order=rgb scale=1/255");
  EXPECT_EQ(choose("size=5x4 layout=nhwc", {}, {1, -1, -1, -1}),
            "resize=bilinear-pil size=5x4 fit=stretch order=rgb scale=1 layout=nhwc");
  EXPECT_THAT(choose("sise=5x4", {}, {1, 3, 9, 9}), HasSubstr("sise"));
}

// A description put together by hand is checked, too.
TEST(FillInput, ImpossibleDescriptionsAreRefused) {
  const Image image = TestPicture(4, 4, 3);
  float data[48];
  for (auto change : {+[](ImageInput& s) { s.mean = {}; },
                      +[](ImageInput& s) {
                        s.std = {1, 0, 1};
                      },
                      +[](ImageInput& s) { s.scale = 0; }, +[](ImageInput& s) { s.width = 5; },
                      +[](ImageInput& s) { s.width = s.height = -3; },
                      +[](ImageInput& s) { s.type = DType::kInt64; },
                      +[](ImageInput& s) { s.width = s.height = 5; },
                      +[](ImageInput& s) { s.mean = {std::numeric_limits<double>::infinity()}; }}) {
    ImageInput spec;
    change(spec);
    EXPECT_FALSE(FillInput({&image, 1}, spec, DType::kFloat32, {1, 3, 4, 4}, data));
  }
  EXPECT_FALSE(FillInput({&image, 1}, {}, DType::kFloat32, {1, 3, -4, 4}, data));
  EXPECT_FALSE(FillInput({&image, 1}, {}, DType::kFloat32, {1, 3, int64_t{1} << 40, 4}, data));
}

}  // namespace
}  // namespace sula
