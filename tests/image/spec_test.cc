// The text form of picture settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sula/image.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  Result<ImageInput> spec = ParseImageInput(text);
  return spec ? "" : spec.error().ToString();
}

TEST(ImageText, EveryFieldIsRead) {
  auto spec = ParseImageInput(
      "resize=area-opencv size=320x240 fit=letterbox(1,2,255) anchor=top-left order=bgr "
      "scale=1/127.5 mean=1,2,3 std=0.5 layout=nhwc type=int8");
  ASSERT_TRUE(spec) << spec.error().ToString();
  EXPECT_EQ(spec->resize, ResizeKind::kAreaOpenCv);
  EXPECT_EQ(spec->width, 320);
  EXPECT_EQ(spec->height, 240);
  EXPECT_EQ(spec->fit, ImageFit::kLetterbox);
  EXPECT_THAT(spec->fill, ElementsAre(1, 2, 255));
  EXPECT_EQ(spec->anchor, ImageAnchor::kTopLeft);
  EXPECT_EQ(spec->order, ImageOrder::kBgr);
  EXPECT_EQ(spec->scale, 1 / 127.5);
  EXPECT_THAT(spec->mean, ElementsAre(1, 2, 3));
  EXPECT_THAT(spec->std, ElementsAre(0.5));
  EXPECT_EQ(spec->layout, ImageLayout::kNhwc);
  EXPECT_EQ(spec->type, DType::kInt8);
}

TEST(ImageText, PrintedFormReadsBackTheSame) {
  for (const char* text :
       {"", "size=1x32768", "fit=crop", "fit=crop(256) size=224x200", "fit=none order=gray",
        "fit=letterbox", "fit=letterbox(0,10,255) anchor=top-left", "scale=0.1 mean=-1e-7,0.1,1e20",
        "scale=1/255 std=0.229,0.224,0.225", "scale=-3", "type=uint8 layout=nchw", "scale=1/3",
        "resize=nearest-pil", "resize=lanczos-pil", "resize=bilinear-opencv", "scale=0.003"}) {
    auto spec = ParseImageInput(text);
    ASSERT_TRUE(spec) << text << ": " << spec.error().ToString();
    auto again = ParseImageInput(ToString(*spec));
    ASSERT_TRUE(again) << ToString(*spec) << ": " << again.error().ToString();
    EXPECT_EQ(*again, *spec) << text << " -> " << ToString(*spec);
  }
  EXPECT_EQ(ToString(*ParseImageInput("scale=1/255 fit=crop(256) size=224x224")),
            "resize=bilinear-pil size=224x224 fit=crop(256) order=rgb scale=1/255");
}

TEST(ImageText, PresetsAreReadAndMayBeChanged) {
  for (const ImagePreset& preset : ImagePresets()) {
    auto by_name = ParseImageInput(preset.name), by_text = ParseImageInput(preset.text);
    ASSERT_TRUE(by_name && by_text) << preset.name;
    EXPECT_EQ(*by_name, *by_text);
    EXPECT_EQ(ToString(*by_name), preset.text);
  }
  auto spec = ParseImageInput("imagenet size=299x299 fit=crop(342) order=bgr");
  ASSERT_TRUE(spec) << spec.error().ToString();
  EXPECT_EQ(spec->shorter, 342);
  EXPECT_EQ(spec->order, ImageOrder::kBgr);
  EXPECT_THAT(spec->std, ElementsAre(0.229, 0.224, 0.225));
}

TEST(ImageText, FieldsChangeTheBaseAndPresetsReplaceIt) {
  auto base = ParseImageInput("yolo size=640x640");
  ASSERT_TRUE(base);
  auto smaller = ParseImageInput("size=320x320", *base);
  ASSERT_TRUE(smaller);
  EXPECT_EQ(smaller->fit, ImageFit::kLetterbox);
  EXPECT_EQ(smaller->width, 320);
  EXPECT_EQ(*ParseImageInput("unit", *base), *ParseImageInput("unit"));
}

TEST(ImageText, KnowsItsFields) {
  EXPECT_TRUE(IsImageField("size"));
  EXPECT_FALSE(IsImageField("sizes"));
  EXPECT_FALSE(IsImageField(""));
}

TEST(ImageText, ErrorsNameTheFieldAndTheRightForm) {
  EXPECT_THAT(ErrorOf("rezise=box-pil"), AllOf(HasSubstr("rezise"), HasSubstr("resize, size")));
  EXPECT_THAT(ErrorOf("imagenett"), AllOf(HasSubstr("imagenett"), HasSubstr("imagenet, caffe")));
  EXPECT_THAT(ErrorOf("scale=1 imagenet"), HasSubstr("first word"));
  EXPECT_THAT(ErrorOf("resize=bilinear"), AllOf(HasSubstr("resize"), HasSubstr("bilinear-pil")));
  EXPECT_THAT(ErrorOf("scale=1 scale=2"), HasSubstr("scale is given twice"));
  for (const char* bad :
       {"size=224", "size=0x3", "size=3x-1", "size=40000x2", "size=2x2x2", "size="})
    EXPECT_THAT(ErrorOf(bad), AllOf(HasSubstr("size="), HasSubstr("224x224"))) << bad;
  for (const char* bad : {"fit=crop(", "fit=crop(0)", "fit=crop(1,2)", "fit=stretch(1)", "fit=pad",
                          "fit=letterbox(1,2)", "fit=letterbox(1,2,256)", "fit=letterbox(1,2,3"})
    EXPECT_THAT(ErrorOf(bad), AllOf(HasSubstr("fit="), HasSubstr("letterbox(R,G,B)"))) << bad;
  for (const char* bad : {"scale=0", "scale=x", "scale=1/0", "scale=nan", "scale=inf", "scale="})
    EXPECT_THAT(ErrorOf(bad), AllOf(HasSubstr("scale="), HasSubstr("1/255"))) << bad;
  for (const char* bad : {"mean=1,2,3,4", "mean=1,,2", "mean=nan", "mean="})
    EXPECT_THAT(ErrorOf(bad), AllOf(HasSubstr("mean="), HasSubstr("0.485"))) << bad;
  EXPECT_THAT(ErrorOf("std=1,0,1"), AllOf(HasSubstr("std="), HasSubstr("0.229")));
  EXPECT_THAT(ErrorOf("mean=1,2"), AllOf(HasSubstr("mean"), HasSubstr("3 channels")));
  EXPECT_THAT(ErrorOf("order=gray std=1,2,3"), AllOf(HasSubstr("std"), HasSubstr("1 channel")));
  EXPECT_THAT(ErrorOf("type=float64"), AllOf(HasSubstr("type="), HasSubstr("uint8")));
  EXPECT_THAT(ErrorOf("fit=crop(200) size=224x100"),
              AllOf(HasSubstr("crop(200)"), HasSubstr("224")));
}

TEST(Labels, LinesWithoutTheirEnds) {
  auto labels = ParseLabels("cat\r\ndog, big\n\nowl\n\n\r\n");
  ASSERT_TRUE(labels);
  EXPECT_THAT(*labels, ElementsAre("cat", "dog, big", "", "owl"));
  EXPECT_THAT(*ParseLabels("one"), ElementsAre("one"));
  EXPECT_FALSE(ParseLabels(""));
  EXPECT_FALSE(ParseLabels("\n\n"));
  EXPECT_FALSE(ParseLabels(std::string_view("a\0b", 3)));
  EXPECT_FALSE(ParseLabels(std::string(2'000'002, '\n') + "x"));
}

TEST(Stored, SettingsAndLabelsOfAModel) {
  ModelInfo info;
  EXPECT_FALSE(StoredImageInput(info, "data")->has_value());
  EXPECT_TRUE(StoredLabels(info).empty());
  info.metadata["image:data"] = "imagenet size=224x224";
  info.metadata["labels"] = "a\nb";
  auto spec = StoredImageInput(info, "data");
  ASSERT_TRUE(spec && *spec);
  EXPECT_EQ((*spec)->width, 224);
  EXPECT_THAT(StoredLabels(info), ElementsAre("a", "b"));
  info.metadata["image:data"] = "nonsense";
  EXPECT_THAT(StoredImageInput(info, "data").error().ToString(), HasSubstr("image:data"));
}

TEST(BestScores, LargestFirstThenByIndexAndNanLast) {
  auto indices = [](std::vector<float> scores, int count) {
    std::vector<int64_t> all;
    for (const Ranked& r : BestScores(scores, count)) all.push_back(r.index);
    return all;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(indices({1, 3, 2, 3}, 3), ElementsAre(1, 3, 2));
  EXPECT_THAT(indices({nan, -1, nan, 5}, 9), ElementsAre(3, 1, 0, 2));
  EXPECT_THAT(indices({1, 2}, 0), ElementsAre());
  EXPECT_THAT(indices({1, 2}, -4), ElementsAre());
  EXPECT_THAT(indices({}, 5), ElementsAre());
}

}  // namespace
}  // namespace sula
