// Pre-processing within the model against the same settings on the host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "base/status.h"
#include "format/model_file.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "sula/convert.h"
#include "sula/image.h"
#include "sula/session.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

class Preprocess : public ::testing::Test {
 protected:
  Preprocess()
      : file_((std::filesystem::temp_directory_path() /
               ("sula_preprocess_" + std::to_string(getpid()) + ".sula"))
                  .string()) {}
  ~Preprocess() override { std::filesystem::remove(file_); }

  // A model that gives its input back.
  void WriteModel(std::string_view type) {
    Result<Graph> graph = ParseGraph(
        StrCat("graph \"net\" {\n input %x: ", type, "\n %y = Identity(%x)\n output %y\n}\n"),
        AllOps());
    ASSERT_TRUE(graph) << graph.error().ToString();
    ASSERT_TRUE(WriteModelFile(*graph, file_).ok());
  }
  Result<std::shared_ptr<const Model>> Load(const std::string& settings,
                                            const std::string& image = "") {
    ConvertOptions options{.preprocess = {{"x", settings}}};
    if (!image.empty()) options.image_inputs = {{"", image}};
    return ConvertInMemory({&file_, 1}, options);
  }
  std::string Error(const std::string& settings) {
    const auto model = Load(settings);
    return model ? "none" : model.error().message();
  }
  // What the model makes of a picture of these channels.
  std::vector<float> Run(const std::string& settings, const Dims& dims,
                         const std::vector<uint8_t>& pixels) {
    const auto model = Load(settings);
    EXPECT_TRUE(model) << model.error().ToString();
    const auto session = Session::Create(*model, {}, {{"x", dims}});
    EXPECT_TRUE(session) << session.error().ToString();
    Session& s = **session;
    EXPECT_EQ(s.input_type(0), DType::kUInt8);
    EXPECT_TRUE(s.BindInput(0, pixels.data()).ok());
    EXPECT_TRUE(s.Run().ok());
    const auto* y = static_cast<const float*>(s.output_data(0));
    return {y, y + NumElements(s.output_dims(0))};
  }

  std::string file_;
};

Image Noise(int width, int height, int channels) {
  Image image{width, height, channels, std::vector<uint8_t>(size_t{1} * width * height * channels)};
  std::mt19937 rng(static_cast<uint32_t>(width * 31 + height));
  for (uint8_t& p : image.pixels) p = static_cast<uint8_t>(rng());
  return image;
}

std::vector<float> OnHost(const Image& image, const std::string& settings, const Dims& dims) {
  std::vector<float> y(static_cast<size_t>(NumElements(dims)));
  const auto spec = ParseImageInput(settings);
  EXPECT_TRUE(spec) << spec.error().ToString();
  const auto filled = FillInput({&image, 1}, *spec, DType::kFloat32, dims, y.data());
  EXPECT_TRUE(filled) << filled.error().ToString();
  return y;
}

// The host rounds to a level after each direction of a resize: `levels`. Odd sizes, for which no
// position lies half way between two pixels.
TEST_F(Preprocess, IsWhatTheHostDoes) {
  const struct {
    const char* settings;
    float levels;
  } kCases[] = {
      {"resize=nearest-pil", 0},
      {"resize=nearest-opencv", 0},
      {"resize=bilinear-opencv", 1.01f},
      {"resize=bilinear-pil", 1.01f},
      {"resize=bilinear-pil fit=crop(20)", 1.01f},
      {"resize=bilinear-opencv fit=crop anchor=top-left", 1.01f},
      {"resize=bilinear-opencv fit=letterbox(1,2,3)", 1.01f},
      {"resize=nearest-pil order=bgr mean=1,2,3 std=2,4,8 scale=2", 0},
      {"resize=nearest-opencv order=bgr fit=letterbox(1,2,3) anchor=top-left", 0},
  };
  WriteModel("float32[1,3,11,17]");
  for (const auto& c : kCases) {
    for (const auto& [width, height] : {std::pair(41, 31), {17, 11}, {9, 23}, {65, 17}}) {
      SCOPED_TRACE(StrCat(c.settings, ", ", width, "x", height));
      const std::string settings = StrCat("raw ", c.settings);
      const Image image = Noise(width, height, 3);
      const auto want = OnHost(image, settings, {1, 3, 11, 17});
      const auto got = Run(settings, {1, height, width, 3}, image.pixels);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], c.levels + 1e-4) << i;
    }
  }
}

// What the host rounds and limits overshoots here: compared within the range.
TEST_F(Preprocess, BicubicOvershoots) {
  WriteModel("float32[1,3,11,17]");
  const Image image = Noise(30, 30, 3);
  const auto want = OnHost(image, "raw resize=bicubic-pil", {1, 3, 11, 17});
  const auto got = Run("raw resize=bicubic-pil", {1, 30, 30, 3}, image.pixels);
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(std::clamp(got[i], 0.f, 255.f), want[i], 1.5f) << i;
}

TEST_F(Preprocess, ReadsEveryOrderOfChannels) {
  const std::vector<uint8_t> rgb = {10, 20, 30, 40, 50, 60}, bgr = {30, 20, 10, 60, 50, 40};
  const std::vector<uint8_t> rgba = {10, 20, 30, 1, 40, 50, 60, 2};
  const std::vector<uint8_t> bgra = {30, 20, 10, 1, 60, 50, 40, 2};
  WriteModel("float32[1,3,1,2]");
  const std::vector<float> planes = {10, 40, 20, 50, 30, 60}, turned = {30, 60, 20, 50, 10, 40};
  EXPECT_EQ(Run("raw", {1, 1, 2, 3}, rgb), planes);
  EXPECT_EQ(Run("raw from=bgr", {1, 1, 2, 3}, bgr), planes);
  EXPECT_EQ(Run("raw from=rgba", {1, 1, 2, 4}, rgba), planes);
  EXPECT_EQ(Run("raw from=bgra", {1, 1, 2, 4}, bgra), planes);
  EXPECT_EQ(Run("raw order=bgr", {1, 1, 2, 3}, rgb), turned);
  EXPECT_EQ(Run("raw order=bgr from=bgra", {1, 1, 2, 4}, bgra), turned);
  EXPECT_EQ(Run("raw from=gray", {1, 1, 2, 1}, {7, 9}), (std::vector<float>{7, 9, 7, 9, 7, 9}));
  WriteModel("float32[1,1,1,2]");
  const std::vector<float> grey = Run("raw order=gray from=bgr", {1, 1, 2, 3}, bgr);
  EXPECT_NEAR(grey[0], 0.299 * 10 + 0.587 * 20 + 0.114 * 30, 1e-5);
  EXPECT_EQ(Run("raw order=gray from=gray", {1, 1, 2, 1}, {7, 9}), (std::vector<float>{7, 9}));
}

TEST_F(Preprocess, FillsInputsOfOtherLayoutsTypesAndBatches) {
  WriteModel("float32[N,1,2,3]");
  const std::vector<uint8_t> pixels = {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16};
  const std::vector<float> channel_last(pixels.begin(), pixels.end());
  EXPECT_EQ(Run("raw layout=nhwc", {2, 1, 2, 3}, pixels), channel_last);
  WriteModel("float16[1,3,H,W]");
  const auto model = Load("raw fit=none");
  ASSERT_TRUE(model) << model.error().ToString();
  EXPECT_EQ(Inspect(**model)->inputs[0].type, "uint8[1,H,W,3]");
  EXPECT_EQ(Inspect(**model)->outputs[0].type, "float16[1,3,H,W]");
}

TEST_F(Preprocess, LeavesTheSettingsOfWhatRemains) {
  WriteModel("float32[1,3,8,8]");
  const auto stored = [&](const std::string& settings, const std::string& image) {
    const auto info = Inspect(**Load(settings, image));
    const auto spec = StoredImageInput(*info, "x");
    return *spec ? ToString(**spec) : "none";
  };
  EXPECT_EQ(stored("from=bgr", "unit"),
            "resize=bilinear-pil fit=none order=bgr scale=1 layout=nhwc type=uint8");
  EXPECT_EQ(stored("picture=640x480", ""),
            "resize=bilinear-pil fit=stretch order=rgb scale=1 layout=nhwc type=uint8");
  EXPECT_EQ(stored("from=rgba", "unit"), "none");
  // The settings that were stored are where it starts from.
  const auto model = Load("picture=640x480", "unit mean=0.5 resize=nearest-pil");
  EXPECT_EQ(Inspect(**model)->inputs[0].type, "uint8[1,480,640,3]");
  const auto nodes = Nodes(**model);
  EXPECT_EQ(nodes[0].op, "FromPixels");
  EXPECT_THAT(nodes[0].fields, ::testing::Contains(std::pair<std::string, std::string>(
                                   "shift", "[-0.5, -0.5, -0.5]")));
}

TEST_F(Preprocess, SaysWhatIsWrongAndWhatWouldBeRight) {
  WriteModel("float32[1,3,8,8]");
  EXPECT_THAT(Error("from=bgrx"), HasSubstr("from=bgrx is not right: want rgb, bgr, rgba"));
  EXPECT_THAT(Error("from=bgr from=rgb"), HasSubstr("from is given twice"));
  EXPECT_THAT(Error("picture=640"), HasSubstr("want WIDTHxHEIGHT"));
  EXPECT_THAT(Error("picture=0x480"), HasSubstr("sides of 1 to 32768"));
  EXPECT_THAT(Error("mean=1,2"), HasSubstr("mean needs one number or one for each of 3 channels"));
  EXPECT_THAT(Error("resize=area-opencv"), HasSubstr("choose resize=nearest-pil"));
  EXPECT_THAT(Error("order=gray"), HasSubstr("no axis of 1 channel"));
  EXPECT_THAT(Error("size=9x9"), HasSubstr("another size"));
  EXPECT_THAT(Error("fit=none picture=9x9"), HasSubstr("picture= has no meaning with fit=none"));
  EXPECT_THAT(Error("to=rgb"), HasSubstr("no field 'to'"));
  ConvertOptions options{.preprocess = {{"z", "unit"}}};
  EXPECT_THAT(ConvertInMemory({&file_, 1}, options).error().message(), HasSubstr("no input 'z'"));
  WriteModel("uint8[1,3,8,8]");
  EXPECT_THAT(Error("raw"), HasSubstr("must be of floats and have four axes"));
  WriteModel("float32[3,8,8]");
  EXPECT_THAT(Error("raw"), HasSubstr("must be of floats and have four axes"));
}

TEST_F(Preprocess, APictureOfWrongChannelsIsRefusedWithBothNumbers) {
  WriteModel("float32[1,3,8,8]");
  const auto model = Load("raw from=rgba");
  const auto session = Session::Create(*model, {}, {{"x", {1, 9, 9, 3}}});
  ASSERT_FALSE(session);
  EXPECT_THAT(session.error().ToString(), HasSubstr("uint8[1,x_height,x_width,4]"));
}

}  // namespace
}  // namespace sula
