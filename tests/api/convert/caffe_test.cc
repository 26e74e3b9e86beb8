// Caffe models by way of the public functions: which of two files is which, and what lies beside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "sula/convert.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A field with a length, as protobuf writes it; everything here is shorter than 128 bytes.
std::string Field(int number, const std::string& payload) {
  std::string bytes;
  const int tag = number << 3 | 2;
  if (tag >= 128) bytes += static_cast<char>((tag & 0x7f) | 0x80);
  bytes += static_cast<char>(tag < 128 ? tag : tag >> 7);
  return bytes + static_cast<char>(payload.size()) + payload;
}

// The weights [1, 2] of the layer "fc".
std::string Weights() {
  const float values[] = {3, 4};
  const std::string data(reinterpret_cast<const char*>(values), sizeof(values));
  const std::string shape = Field(1, {1, 2});
  const std::string blob = Field(5, data) + Field(7, shape);
  return Field(1, "net") + Field(100, Field(1, "fc") + Field(2, "InnerProduct") + Field(7, blob));
}

constexpr std::string_view kNet = R"(name: "net"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: 1 bias_term: false } })";

class CaffeFiles : public ::testing::Test {
 protected:
  CaffeFiles()
      : dir_(std::filesystem::temp_directory_path() /
             ("sula_caffe_files_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(dir_);
  }
  ~CaffeFiles() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, std::string_view contents) {
    const std::string path = (dir_ / name).string();
    std::ofstream(path, std::ios::binary) << contents;
    return path;
  }
  Result<ConvertSummary> Convert(const std::vector<std::string>& files) {
    return sula::Convert(files, (dir_ / "out.sula").string());
  }
  std::string Error(const std::vector<std::string>& files) {
    auto summary = Convert(files);
    return summary ? "no error" : summary.error().ToString();
  }

  std::filesystem::path dir_;
};

TEST_F(CaffeFiles, EitherOrderAndAnyName) {
  const std::string net = Write("deploy.txt", kNet), weights = Write("snapshot.bin", Weights());
  EXPECT_EQ(DetectFormat(net), "Caffe");
  EXPECT_EQ(DetectFormat(weights), "Caffe");
  for (const auto& files : {std::vector{net, weights}, std::vector{weights, net}}) {
    auto summary = Convert(files);
    ASSERT_TRUE(summary) << summary.error().ToString();
    EXPECT_EQ(summary->source_format, "Caffe");
    EXPECT_EQ(summary->parameters, 2);
    EXPECT_EQ(static_cast<size_t>(summary->source_bytes), kNet.size() + Weights().size());
    EXPECT_THAT(summary->source_files, ElementsAre(net, weights));
  }
}

TEST_F(CaffeFiles, TheOtherOneBeside) {
  const std::string net = Write("a.prototxt", kNet), weights = Write("a.caffemodel", Weights());
  for (const std::string& given : {net, weights}) {
    auto summary = Convert({given});
    ASSERT_TRUE(summary) << summary.error().ToString();
    EXPECT_THAT(summary->source_files, ElementsAre(net, weights));
  }
}

TEST_F(CaffeFiles, OneIsMissing) {
  EXPECT_THAT(Error({Write("a.prototxt", kNet)}),
              AllOf(HasSubstr("give the .caffemodel as well"), HasSubstr("'fc' (InnerProduct)")));
  EXPECT_THAT(Error({Write("b.caffemodel", Weights())}), HasSubstr("give the net as well"));
}

TEST_F(CaffeFiles, TwoOfAKind) {
  EXPECT_THAT(Error({Write("a.prototxt", kNet), Write("b.prototxt", kNet)}),
              HasSubstr("both hold a net"));
  EXPECT_THAT(Error({Write("a.caffemodel", Weights()), Write("b.caffemodel", Weights())}),
              HasSubstr("both hold weights"));
  const std::string net = Write("a.prototxt", kNet);
  EXPECT_THAT(Error({net, net, net}), HasSubstr("is two files; 3 were given"));
}

TEST_F(CaffeFiles, ErrorsNameTheFiles) {
  const std::string net = Write("a.prototxt", "layer { name: }");
  EXPECT_THAT(Error({net, Write("a.caffemodel", Weights())}),
              AllOf(HasSubstr(net + ":1:15: "), HasSubstr("a.caffemodel")));
  EXPECT_THAT(Error({Write("b.prototxt", kNet), Write("c.caffemodel", "\xff\xff")}),
              HasSubstr("no caffemodel"));
  EXPECT_THAT(Error({Write("b.prototxt", kNet), Write("c.caffemodel", "")}), HasSubstr("empty"));
}

}  // namespace
}  // namespace sula
