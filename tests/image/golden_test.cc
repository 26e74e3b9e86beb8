// What Pillow and OpenCV make of the same pictures: golden/ is written by make_golden.py.
#include <gtest/gtest.h>

#include <iomanip>
#include <map>
#include <sstream>

#include "image/test_pictures.h"
#include "sula/image.h"

namespace sula {
namespace {

const std::map<std::string, ResizeKind> kKinds = {{"nearest-pil", ResizeKind::kNearestPil},
                                                  {"box-pil", ResizeKind::kBoxPil},
                                                  {"bilinear-pil", ResizeKind::kBilinearPil},
                                                  {"bicubic-pil", ResizeKind::kBicubicPil},
                                                  {"lanczos-pil", ResizeKind::kLanczosPil},
                                                  {"nearest-opencv", ResizeKind::kNearestOpenCv},
                                                  {"bilinear-opencv", ResizeKind::kBilinearOpenCv},
                                                  {"area-opencv", ResizeKind::kAreaOpenCv}};

std::vector<std::string> Lines(const std::string& name) {
  std::ifstream in(GoldenPath(name));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string Hex(const std::vector<uint8_t>& bytes) {
  std::ostringstream out;
  for (uint8_t b : bytes) out << std::hex << std::setw(2) << std::setfill('0') << int{b};
  return out.str();
}

TEST(Golden, EveryResizeIsEqualToTheLevel) {
  std::map<std::string, int> seen;
  for (const std::string& line : Lines("resize.txt")) {
    std::istringstream in(line);
    std::string kind, bytes;
    int w, h, channels, extreme, to_w, to_h;
    uint32_t crc;
    in >> kind >> w >> h >> channels >> extreme >> to_w >> to_h >> std::hex >> crc;
    ASSERT_TRUE(in) << line;
    auto out = Resize(TestPicture(w, h, channels, extreme != 0), to_w, to_h, kKinds.at(kind));
    ASSERT_TRUE(out) << line;
    if (in >> bytes) {
      EXPECT_EQ(Hex(out->pixels), bytes) << line;
    }
    EXPECT_EQ(Crc32(out->pixels), crc) << line;
    ++seen[kind];
  }
  EXPECT_EQ(seen.size(), kKinds.size());
  for (const auto& [kind, count] : seen) EXPECT_GE(count, 100) << kind;
}

DType TypeOf(const std::string& name) {
  for (DType t : {DType::kFloat32, DType::kFloat16, DType::kUInt8, DType::kInt8})
    if (Name(t) == name) return t;
  ADD_FAILURE() << name;
  return DType::kFloat32;
}

TEST(Golden, EveryInputIsEqualToTheBit) {
  const std::vector<std::string> lines = Lines("fill.txt");
  EXPECT_GE(lines.size(), 50u);
  for (const std::string& line : lines) {
    std::istringstream in(line);
    int w, h, channels;
    std::string type, sizes, settings;
    uint32_t crc;
    in >> w >> h >> channels >> type >> sizes >> std::hex >> crc >> std::dec;
    std::getline(in, settings);
    ASSERT_TRUE(in) << line;
    Dims dims;
    std::istringstream list(sizes);
    for (std::string size; std::getline(list, size, ',');) dims.push_back(std::stoll(size));

    auto spec = ParseImageInput(settings);
    ASSERT_TRUE(spec) << line << "\n" << spec.error().ToString();
    const Image image = TestPicture(w, h, channels);
    ValueInfo input{.name = "x", .dtype = TypeOf(type), .dims = dims, .type = sizes};
    auto made = ImageInputDims(*spec, input, {&image, 1});
    ASSERT_TRUE(made) << line << "\n" << made.error().ToString();
    EXPECT_EQ(*made, dims) << line;
    std::vector<std::byte> data(static_cast<size_t>(NumElements(dims)) * SizeOf(input.dtype));
    auto map = FillInput({&image, 1}, *spec, input.dtype, dims, data.data());
    ASSERT_TRUE(map) << line << "\n" << map.error().ToString();
    EXPECT_EQ(Crc32(data), crc) << line;
  }
}

TEST(Golden, PngAndBmpDecodeToTheLevel) {
  const std::vector<std::string> lines = Lines("decode.txt");
  EXPECT_GE(lines.size(), 19u);
  for (const std::string& line : lines) {
    std::istringstream in(line);
    std::string file;
    int w, h, channels;
    uint32_t crc;
    in >> file >> w >> h >> channels >> std::hex >> crc;
    ASSERT_TRUE(in) << line;
    auto image = ReadImage(GoldenPath(file));
    ASSERT_TRUE(image) << line << "\n" << image.error().ToString();
    EXPECT_EQ(image->width, w) << line;
    EXPECT_EQ(image->height, h) << line;
    // A BMP file does not say that all its colours are greys, nor does a palette.
    EXPECT_EQ(image->channels, channels) << line;
    EXPECT_EQ(Crc32(image->pixels), crc) << line;
  }
}

// Decoders may round the inverse transform differently, by one level in each of Y, Cb and Cr. The
// largest factor from there to a colour is 1.772, of Cb in blue: 1 + 1.772, and half a level of
// rounding, is less than 4.
TEST(Golden, JpegDecodesWithinThreeLevels) {
  for (const char* name :
       {"444", "422", "420", "progressive", "restart", "gray", "pixel", "turned1", "turned2",
        "turned3", "turned4", "turned5", "turned6", "turned7", "turned8"}) {
    auto image = ReadImage(GoldenPath(std::string(name) + ".jpg"));
    auto want = ReadImage(GoldenPath(std::string(name) + ".jpg.png"));
    ASSERT_TRUE(image) << name << "\n" << image.error().ToString();
    ASSERT_TRUE(want) << name;
    EXPECT_EQ(image->width, want->width) << name;
    EXPECT_EQ(image->height, want->height) << name;
    ASSERT_EQ(image->pixels.size(), want->pixels.size()) << name;
    int worst = 0;
    for (size_t i = 0; i < want->pixels.size(); ++i)
      worst = std::max(worst, std::abs(image->pixels[i] - want->pixels[i]));
    EXPECT_LE(worst, image->channels == 1 ? 1 : 3) << name;
  }
}

}  // namespace
}  // namespace sula
