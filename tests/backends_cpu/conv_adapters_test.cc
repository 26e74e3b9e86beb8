// Convolutions, matrix products and pooling through their operators, against the operators'
// reference meaning: parameters, layouts, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;

constexpr double kEps = std::numeric_limits<float>::epsilon();

// Runs all kernels of `%y = <node>` with the given declarations. Inputs are within [-1, 1], so a
// sum of `products` products is off by at most eps * products, times `gain` for Winograd.
std::vector<std::string> RunAll(std::string_view declarations, std::string_view node,
                                double products, double gain = 5.5) {
  const double allowed = gain * kEps * (products + 4);
  return CheckKernels(
      StrCat("graph \"g\" {\n", declarations, "\n  %y = ", node, "\n  output %y\n}\n"),
      {.absolute = allowed, .relative = 8 * kEps});
}

TEST(ConvAdapter, KernelsByShape) {
  EXPECT_THAT(RunAll("input %x: float32[1,20,9,11]\n const %w: float32[33,20,3,3] = random(1)\n"
                     "const %b: float32[33] = random(2)",
                     "Conv(%x, %w, %b) {pads=[1,1,1,1], activation=\"relu\"}", 180),
              testing::AllOf(Contains("implicit_gemm"), Contains("winograd_2x2_3x3"),
                             Contains("winograd_4x4_3x3"), Contains("winograd_6x6_3x3"),
                             Not(Contains("depthwise"))));
  EXPECT_THAT(RunAll("input %x: float32[2,24,8,9]\n const %w: float32[24,1,5,5] = random(1)",
                     "Conv(%x, %w) {strides=[2,2], auto_pad=\"same_upper\", group=24}", 25),
              Contains("depthwise"));
  EXPECT_THAT(RunAll("input %x: float32[2,3,19,23]\n const %w: float32[17,3,3,3] = random(1)",
                     "Conv(%x, %w) {strides=[2,2], auto_pad=\"same_lower\"}", 27),
              Contains("planar_input"));
  EXPECT_THAT(RunAll("input %x: float32[2,3,33,32]\n const %w: float32[17,3,8,8] = random(1)",
                     "Conv(%x, %w) {strides=[8,8]}", 192),
              Contains("planar_patches"));
  EXPECT_THAT(RunAll("input %x: float32[2,3,33,32]\n const %w: float32[17,3,8,8] = random(1)",
                     "Conv(%x, %w) {strides=[8,8], pads=[0,0,7,0]}", 192),
              Not(Contains("planar_patches")));
  EXPECT_THAT(RunAll("input %x: float32[1,16,9,11]\n const %w: float32[8,16,1,7] = random(1)",
                     "Conv(%x, %w) {pads=[0,3,0,3]}", 112),
              testing::AllOf(Contains("winograd_1x2_1x7"), Contains("winograd_1x4_1x7")));
  EXPECT_THAT(RunAll("input %x: float32[1,16,9,11]\n const %w: float32[8,16,5,5] = random(1)",
                     "Conv(%x, %w) {pads=[2,2,2,2]}", 400),
              Contains("winograd_2x2_5x5"));
}

TEST(ConvAdapter, Stride2) {
  for (const char* pads : {"[1,1,1,1]", "[0,0,1,1]", "[0,1,2,0]"}) {
    EXPECT_THAT(RunAll("input %x: float32[2,20,13,18]\n const %w: float32[9,20,3,3] = random(1)\n"
                       "const %b: float32[9] = random(2)",
                       StrCat("Conv(%x, %w, %b) {strides=[2,2], pads=", pads, "}"), 180),
                testing::AllOf(Contains("winograd_2x2_3x3_s2"), Contains("winograd_4x4_3x3_s2"),
                               Not(Contains("winograd_2x2_3x3"))));
  }
}

TEST(ConvAdapter, OtherSpatialAxes) {
  EXPECT_THAT(RunAll("input %x: float32[2,6,31]\n const %w: float32[10,3,4] = random(1)",
                     "Conv(%x, %w) {strides=[3], dilations=[2], pads=[1,2], group=2}", 12),
              Contains("implicit_gemm"));
  EXPECT_THAT(RunAll("input %x: float32[1,3,40]\n const %w: float32[10,3,7] = random(1)",
                     "Conv(%x, %w) {strides=[2], pads=[3,3]}", 21),
              Contains("planar_input"));
  EXPECT_THAT(RunAll("input %x: float32[1,4,5,6,7]\n const %w: float32[9,4,3,2,3] = random(1)",
                     "Conv(%x, %w) {strides=[2,1,1], pads=[1,0,2,1,1,0]}", 72),
              Contains("implicit_gemm"));
  EXPECT_THAT(RunAll("input %x: float32[1,40,5,6,7]\n const %w: float32[40,1,3,3,3] = random(1)",
                     "Conv(%x, %w) {pads=[1,1,1,1,1,1], group=40}", 27),
              Contains("depthwise"));
}

TEST(ConvAdapter, ResidualAndActivations) {
  for (const char* activation : {"relu", "clip", "leaky_relu", "sigmoid", "tanh", "hard_sigmoid",
                                 "hard_swish", "swish", "gelu"}) {
    SCOPED_TRACE(activation);
    const std::string fused =
        StrCat("activation=\"", activation, "\", activation_a=0.25, activation_b=0.5");
    RunAll(
        "input %x: float32[1,5,7,6]\n input %r: float32[1,19,7,6]\n"
        "const %w: float32[19,5,3,3] = random(1)",
        StrCat("Conv(%x, %w, _, %r) {pads=[1,1,1,1], ", fused, "}"), 60);
    RunAll(
        "input %x: float32[1,19,7,6]\n input %r: float32[1,19,7,6]\n"
        "const %w: float32[19,1,3,3] = random(1)",
        StrCat("Conv(%x, %w, _, %r) {pads=[1,1,1,1], group=19, ", fused, "}"), 20);
    RunAll("input %x: float32[1,5,4,3]\n const %w: float32[5,7,3,3] = random(1)",
           StrCat("ConvTranspose(%x, %w) {strides=[2,2], ", fused, "}"), 60);
    RunAll("input %x: float32[9,5]\n input %r: float32[9,21]\n const %w: float32[5,21] = random(1)",
           StrCat("MatMul(%x, %w, _, %r) {", fused, "}"), 20);
  }
}

TEST(ConvAdapter, Refusals) {
  EXPECT_THAT(RunAll("input %x: float32[1,3,5,5]\n input %w: float32[4,3,3,3]", "Conv(%x, %w)", 27),
              IsEmpty());
  EXPECT_THAT(RunAll("input %x: float64[1,3,5,5]\n const %w: float64[4,3,3,3] = random(1)",
                     "Conv(%x, %w)", 27),
              IsEmpty());
  EXPECT_THAT(RunAll("input %x: float32[0,3,5,5]\n const %w: float32[4,3,3,3] = random(1)",
                     "Conv(%x, %w)", 27),
              IsEmpty());
}

TEST(ConvTransposeAdapter, Windows) {
  const std::string x = "input %x: float32[2,6,4,5]\n";
  auto run = [&](const char* w, const char* fields, double products) {
    EXPECT_THAT(
        RunAll(x + "const %w: float32" + w + " = random(1)\n const %b: float32[8] = random(2)",
               StrCat("ConvTranspose(%x, %w, %b) {", fields, "}"), products),
        Contains("phases"))
        << fields;
  };
  run("[6,8,3,3]", "group=1", 54);
  run("[6,8,2,2]", "strides=[2,2]", 24);
  run("[6,8,4,4]", "strides=[2,2], pads=[1,1,1,1]", 96);
  run("[6,8,3,3]", "strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]", 54);
  run("[6,8,2,3]", "strides=[3,1], pads=[0,1,1,0]", 36);  // phases without taps
  run("[6,4,3,3]", "strides=[2,1], dilations=[2,3], group=2", 27);
  run("[6,4,5,4]", "strides=[3,2], pads=[2,1,0,2], group=2, output_padding=[2,1]", 60);
  run("[6,8,3,3]", "strides=[2,2], output_shape=[9,10]", 54);
  EXPECT_THAT(RunAll("input %x: float32[1,4,7]\n const %w: float32[4,3,5] = random(1)",
                     "ConvTranspose(%x, %w) {strides=[2]}", 20),
              Contains("phases"));
  EXPECT_THAT(RunAll("input %x: float32[1,4,2,3,4]\n const %w: float32[4,3,3,2,3] = random(1)",
                     "ConvTranspose(%x, %w) {strides=[2,2,1], pads=[1,0,1,0,0,1]}", 72),
              Contains("phases"));
}

TEST(MatMulAdapter, Shapes) {
  auto run = [&](const std::string& declarations, const std::string& node, double k) {
    EXPECT_THAT(RunAll(declarations, node, k), Contains("packed_gemm")) << declarations << node;
  };
  run("input %a: float32[1,300]\n const %b: float32[300,70] = random(1)", "MatMul(%a, %b)", 300);
  run("input %a: float32[13,30]\n const %b: float32[41,30] = random(1)\n"
      "const %c: float32[41] = random(2)",
      "MatMul(%a, %b, %c) {trans_b=true, alpha=0.5}", 30);
  run("input %a: float32[30,13]\n input %b: float32[30,41]\n input %c: float32[41]",
      "MatMul(%a, %b, %c) {trans_a=true}", 30);
  run("input %a: float32[2,3,5,7]\n input %b: float32[2,3,7,9]", "MatMul(%a, %b)", 7);
  run("input %a: float32[2,1,5,7]\n input %b: float32[3,9,7]", "MatMul(%a, %b) {trans_b=true}", 7);
  run("input %a: float32[3,7,5]\n input %b: float32[2,1,7,9]", "MatMul(%a, %b) {trans_a=true}", 7);
  run("input %a: float32[4,5,7]\n const %b: float32[7,9] = random(1)", "MatMul(%a, %b)", 7);
  run("input %a: float32[4,5,7]\n const %b: float32[4,7,9] = random(1)", "MatMul(%a, %b)", 7);
  run("input %a: float32[7]\n const %b: float32[7,9] = random(1)", "MatMul(%a, %b)", 7);
  run("input %a: float32[2,5,7]\n input %b: float32[7]", "MatMul(%a, %b)", 7);
  run("input %a: float32[7]\n input %b: float32[7]", "MatMul(%a, %b)", 7);
  run("input %a: float32[31,1024]\n const %b: float32[1024,40] = random(1)", "MatMul(%a, %b)",
      1024);
  run("input %a: float32[130,64]\n input %b: float32[64,130]", "MatMul(%a, %b)", 64);
  EXPECT_THAT(RunAll("input %a: int32[3,4]\n input %b: int32[4,5]", "MatMul(%a, %b)", 4),
              IsEmpty());
}

TEST(PoolAdapter, Windows) {
  auto run = [&](const char* shape, const char* node) {
    EXPECT_THAT(RunAll(StrCat("input %x: float32", shape), node, 60), Contains("channel_last"))
        << node;
  };
  run("[2,19,9,8]", "MaxPool(%x) {kernel=[3,3], strides=[2,2], pads=[1,1,1,1]}");
  run("[2,19,9,8]", "MaxPool(%x) {kernel=[3,2], dilations=[2,1], ceil_mode=true, strides=[2,3]}");
  run("[1,70,14,14]", "MaxPool(%x) {kernel=[2,2], strides=[2,2]}");
  run("[1,5,40]", "MaxPool(%x) {kernel=[4], strides=[3], auto_pad=\"same_lower\"}");
  run("[1,5,4,6,8]", "MaxPool(%x) {kernel=[2,3,2], strides=[2,1,2]}");
  run("[2,19,9,8]", "AveragePool(%x) {kernel=[3,3], strides=[2,2], pads=[1,1,1,1]}");
  run("[2,19,9,8]",
      "AveragePool(%x) {kernel=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=true}");
  run("[2,19,9,8]",
      "AveragePool(%x) {kernel=[3,3], strides=[2,2], pads=[1,0,1,0], ceil_mode=true, "
      "count_include_pad=true}");
  run("[2,19,9,8]", "AveragePool(%x) {kernel=[4,3], strides=[3,2], ceil_mode=true}");
  run("[2,19,9,8]",
      "AveragePool(%x) {kernel=[2,2], auto_pad=\"same_upper\", count_include_pad=true}");
  run("[2,300,7,7]", "GlobalAveragePool(%x)");
  run("[2,19,3,5,7]", "GlobalAveragePool(%x)");
  run("[1,33,11]", "GlobalMaxPool(%x)");
}

}  // namespace
}  // namespace sula::cpu
