#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

// Inputs and weights lie in [-1, 1]: a sum of n products is off by at most about n * n * eps / 2,
// and by far less on average; n * eps covers it with room for the bias.
void Check(std::string_view x, std::string_view w, int terms, std::string_view fields,
           std::string_view bias = "") {
  const std::string text = StrCat(
      "graph \"g\" {\n  input %x: float32", x, "\n  const %w: float32", w, " = random(3)\n",
      bias.empty() ? std::string() : StrCat("  const %b: float32", bias, " = random(5)\n"),
      "  %y = ConvTranspose(%x, %w", bias.empty() ? "" : ", %b", ")", fields, "\n  output %y\n}\n");
  // Winograd's forms, of those that take the node, lose up to three times as much.
  const auto ran = CheckKernels(text, {.absolute = 3 * (terms + 1) * 1.2e-7});
  EXPECT_THAT(ran, testing::Contains("phases")) << text;
  if (fields.find("group=") == std::string_view::npos && !w.ends_with(",1,1]")) {
    EXPECT_THAT(ran, testing::Contains("gemm_col2im")) << text;
  }
}

TEST(ConvTranspose, DoublesAMap) {
  Check("[1,24,7,5]", "[24,17,2,2]", 24, " {strides=[2, 2]}", "[17]");
  Check("[2,33,6,6]", "[33,8,4,4]", 33 * 4, " {strides=[2, 2], pads=[1, 1, 1, 1]}", "[8]");
}

TEST(ConvTranspose, KernelsSmallerAndLargerThanTheStride) {
  for (int kernel : {1, 2, 3, 5}) {
    for (int stride : {1, 2, 3}) {
      Check("[2,7,5,6]", StrCat("[7,3,", kernel, ",", kernel, "]"), 7 * kernel * kernel,
            StrCat(" {strides=[", stride, ", ", stride, "]}"), "[3]");
    }
  }
}

TEST(ConvTranspose, OnePixelAndFewChannels) {
  // The first and the last layer of a generator of pictures.
  Check("[1,20,1,1]", "[20,37,4,4]", 20, "", "[37]");
  Check("[2,16,6,9]", "[16,3,4,4]", 64,
        " {strides=[2, 2], pads=[1, 1, 1, 1], activation=\"tanh\"}");
  // Rows that meet in one set of the L1 cache are copied.
  Check("[1,1024,3,4]", "[1024,2,2,2]", 1024, " {strides=[2, 2]}");
}

TEST(ConvTranspose, PadsDilationsOutputPadding) {
  Check("[1,5,6,4]", "[5,16,3,3]", 45,
        " {strides=[2, 3], pads=[1, 0, 2, 1], output_padding=[1, 2]}");
  Check("[1,5,6,4]", "[5,16,3,2]", 30, " {strides=[2, 1], dilations=[2, 3]}");
  Check("[1,5,6,4]", "[5,16,3,3]", 45, " {strides=[3, 3], dilations=[3, 2], pads=[2, 3, 1, 0]}");
  Check("[1,4,5,5]", "[4,6,3,3]", 36, " {strides=[2, 2], output_shape=[10, 9]}");
  Check("[1,4,5,5]", "[4,6,3,3]", 36, " {strides=[2, 2], auto_pad=\"same_upper\"}");
}

TEST(ConvTranspose, GroupsAxesActivations) {
  Check("[2,12,5,4]", "[12,5,3,3]", 36, " {strides=[2, 2], group=3}", "[15]");
  Check("[1,6,5,4]", "[6,1,3,3]", 9, " {strides=[2, 2], group=6}", "[6]");
  Check("[2,9,11]", "[9,4,3]", 27, " {strides=[2]}", "[4]");
  Check("[1,3,3,4,2]", "[3,5,2,3,2]", 36, " {strides=[2, 1, 2], pads=[0, 1, 0, 0, 1, 0]}");
  Check("[1,24,7,5]", "[24,17,2,2]", 24, " {strides=[2, 2], activation=\"relu\"}", "[17]");
  Check("[1,24,7,5]", "[24,17,2,2]", 24, " {strides=[2, 2], activation=\"sigmoid\"}", "[17]");
}

}  // namespace
}  // namespace sula::cpu
