// The memory-bound kernels through their adapters: every operator, shapes with tails, every layout.
#include <gtest/gtest.h>

#include <limits>

#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

std::string Graph(std::string_view inputs, std::string_view node) {
  std::string declared;
  for (size_t at = 0; at < inputs.size();) {
    const size_t end = std::min(inputs.find(';', at), inputs.size());
    declared += StrCat("  ", inputs.substr(at, end - at), "\n");
    at = end + 1;
  }
  const std::string_view result = node.substr(0, node.find(" ="));
  return StrCat("graph \"g\" {\n", declared, "  ", node, "\n  output ", result, "\n}\n");
}

void ExpectRuns(std::string_view inputs, std::string_view node, const HarnessOptions& o = {}) {
  const std::string text = Graph(inputs, node);
  EXPECT_FALSE(CheckKernels(text, o).empty()) << "no kernel took " << text;
}
void ExpectRefused(std::string_view inputs, std::string_view node) {
  EXPECT_TRUE(CheckKernels(Graph(inputs, node)).empty());
}

const char* const kShapes[] = {"[]",        "[5]",         "[3,7]",       "[2,3,19]", "[2,19,5,7]",
                               "[1,1,9,9]", "[2,5,3,4,3]", "[1,300,8,9]", "[0,3,4]"};

TEST(StreamKernels, UnaryOperatorsInEveryLayout) {
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign", "Mish",
                         "Erf", "Neg", "Abs", "Exp", "Floor", "Ceil", "Round", "Sign", "Gelu"}) {
    for (const char* shape : kShapes) {
      ExpectRuns(StrCat("input %x: float32", shape), StrCat("%y = ", op, "(%x)"),
                 {.absolute = 16 * kEps, .relative = 16 * kEps, .low = -4, .high = 4});
    }
  }
  for (const char* op : {"Log", "Sqrt", "Reciprocal"}) {
    ExpectRuns("input %x: float32[2,19,5,7]", StrCat("%y = ", op, "(%x)"),
               {.absolute = 8 * kEps, .relative = 8 * kEps, .low = .1f, .high = 4});
  }
  for (const char* call :
       {"LeakyRelu(%x) {alpha=0.1}", "Elu(%x) {alpha=1.5}", "Selu(%x) {alpha=1.6, beta=1.05}",
        "Celu(%x) {alpha=2}", "HardSigmoid(%x) {alpha=0.2, beta=0.5}", "Swish(%x) {alpha=1}",
        "ThresholdedRelu(%x) {alpha=0.5}", "Gelu(%x) {tanh=true}"}) {
    ExpectRuns("input %x: float32[2,19,5,7]", StrCat("%y = ", call),
               {.absolute = 16 * kEps, .relative = 16 * kEps, .low = -4, .high = 4});
  }
}

TEST(StreamKernels, ClipWithAndWithoutBounds) {
  ExpectRuns(
      "input %x: float32[2,19,5,7]; const %a: float32[] = [-0.5]; const %b: float32[] = [0.25]",
      "%y = Clip(%x, %a, %b)");
  ExpectRuns("input %x: float32[2,19,5,7]; const %b: float32[] = [0.25]", "%y = Clip(%x, _, %b)");
  ExpectRuns("input %x: float32[2,19,5,7]", "%y = Clip(%x)");
  ExpectRefused("input %x: float32[3]; input %a: float32[]", "%y = Clip(%x, %a)");
}

TEST(StreamKernels, BinaryOperatorsBroadcast) {
  const char* const kPairs[][2] = {{"[2,19,5,7]", "[2,19,5,7]"},
                                   {"[2,19,5,7]", "[]"},
                                   {"[2,19,5,7]", "[19,1,1]"},
                                   {"[2,19,5,7]", "[1,19,1,1]"},
                                   {"[2,19,1,1]", "[2,19,5,7]"},
                                   {"[2,19,5,7]", "[7]"},
                                   {"[2,19,5,7]", "[2,1,5,7]"},
                                   {"[2,1,5,1]", "[1,19,1,7]"},
                                   {"[3,1]", "[1,4]"},
                                   {"[]", "[]"},
                                   {"[2,5,3,4,3]", "[5,1,1,1]"},
                                   {"[1,40,33,31]", "[1,40,33,31]"},
                                   {"[0,3]", "[1,3]"}};
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    for (const auto& [a, b] : kPairs) {
      ExpectRuns(StrCat("input %a: float32", a, "; input %b: float32", b),
                 StrCat("%y = ", op, "(%a, %b)"), {.relative = kEps, .low = .5, .high = 2});
    }
  }
  ExpectRuns("input %x: float32[2,19,5,7]; const %s: float32[19,1,1] = random(1)",
             "%y = PRelu(%x, %s)", {.relative = kEps});
  ExpectRefused("input %a: float64[3]; input %b: float64[3]", "%y = Add(%a, %b)");
}

TEST(StreamKernels, BinaryWithActivation) {
  for (const char* act : {"relu", "sigmoid", "tanh", "hard_swish", "gelu"}) {
    ExpectRuns("input %a: float32[2,19,5,7]; input %b: float32[2,19,5,7]",
               StrCat("%y = Add(%a, %b) {activation=\"", act, "\"}"),
               {.absolute = 8 * kEps, .relative = 8 * kEps});
  }
  for (const char* act : {"clip", "leaky_relu", "hard_sigmoid", "swish"}) {
    ExpectRuns(
        "input %a: float32[2,19,5,7]; input %b: float32[7]",
        StrCat("%y = Mul(%a, %b) {activation=\"", act, "\", activation_a=0.25, activation_b=0.5}"),
        {.absolute = 8 * kEps, .relative = 8 * kEps});
  }
}

TEST(StreamKernels, SoftmaxAlongEveryAxis) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (int axis : {0, 1, 2, 3, -1}) {
      for (const char* shape : {"[2,19,5,7]", "[1,3,20,300]", "[1,2,900,3]"}) {
        ExpectRuns(StrCat("input %x: float32", shape),
                   StrCat("%y = ", op, "(%x) {axis=", axis, "}"),
                   {.absolute = 40 * kEps, .relative = 40 * kEps, .low = -9, .high = 9});
      }
    }
  }
}

// Sums of n terms in 4 lanes or more: n / 4 + 8 roundings, in units of the results, which here are
// at most 2 times as large as the inputs' deviation of about 0.58 makes them.
HarnessOptions NormTolerance(int64_t n) {
  const double roundings = static_cast<double>(n) / 4 + 8;
  return {.absolute = 4 * roundings * kEps, .relative = 2 * roundings * kEps};
}

TEST(StreamKernels, LayerNormalisationsOfRows) {
  for (const char* shape : {"[2,19,5,7]", "[1,3,20,300]", "[3,2,1,900]", "[5,1,2,3]"}) {
    const std::string x = StrCat("input %x: float32", shape);
    for (const char* op : {"LayerNormalization(%x, %s, %b)", "LayerNormalization(%x, %s)",
                           "RMSNormalization(%x, %s)"})
      for (const char* numbers : {"[]", "[1,1]"})
        for (int axis : {-1, 1, 2})
          ExpectRuns(StrCat(x, "; input %s: float32", numbers, "; input %b: float32", numbers),
                     StrCat("%y = ", op, " {axis=", axis, ", epsilon=0.001}"), NormTolerance(6000));
  }
  const char* const kArrays =
      "input %x: float32[4,5,37]; input %s: float32[37]; input %b: float32[1,37]";
  ExpectRuns(kArrays, "%y = LayerNormalization(%x, %s, %b) {axis=2}", NormTolerance(37));
  ExpectRuns(kArrays, "%y = RMSNormalization(%x, %s) {axis=-1}", NormTolerance(37));
  ExpectRuns("input %x: float32[4,5,37]; input %s: float32[5,37]",
             "%y = LayerNormalization(%x, %s) {axis=1}", NormTolerance(185));
  // As many numbers as a row has elements, but one for each row.
  ExpectRefused("input %x: float32[5,5]; input %s: float32[5,1]",
                "%y = LayerNormalization(%x, %s)");
  ExpectRefused("input %x: float32[5,7]; input %s: float32[7]; input %b: float32[]",
                "%y = LayerNormalization(%x, %s, %b)");
}

TEST(StreamKernels, NormalisationsOfGroups) {
  for (const char* shape : {"[2,12,5,7]", "[1,12,33]", "[3,12]", "[1,12,2,3,4]", "[1,12,30,30]"}) {
    const std::string inputs =
        StrCat("input %x: float32", shape, "; input %s: float32[12]; input %b: float32[12]");
    // A row of one element has no deviation; epsilon keeps it from growing roundings.
    if (shape != std::string_view("[3,12]"))
      ExpectRuns(inputs, "%y = InstanceNormalization(%x, %s, %b)", NormTolerance(900));
    for (int groups : {1, 2, 3, 6})
      ExpectRuns(inputs, StrCat("%y = GroupNormalization(%x, %s, %b) {groups=", groups, "}"),
                 NormTolerance(900 * 12 / groups));
  }
  // Several blocks of pixels, the last one shorter.
  const char* const kMap =
      "input %x: float32[2,75,20,21]; input %s: float32[75]; input %b: float32[75]";
  ExpectRuns(kMap, "%y = InstanceNormalization(%x, %s, %b)", NormTolerance(420));
  for (int groups : {1, 5, 75})
    ExpectRuns(kMap, StrCat("%y = GroupNormalization(%x, %s, %b) {groups=", groups, "}"),
               NormTolerance(420 * 75 / groups));
}

TEST(StreamKernels, ReductionsOverEveryAxes) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
                         "ReduceL1", "ReduceL2", "ReduceSumSquare"}) {
    for (const char* axes : {"[2, 3]", "[1]", "[0]", "[3]", "[1, 3]", "[0, 2]", "[0, 1, 2, 3]"}) {
      for (const char* keep : {"true", "false"}) {
        // at most 2 * 19 * 5 * 7 terms, each rounding once; products stay in [0.9^n, 1.1^n]
        ExpectRuns("input %x: float32[2,19,5,7]",
                   StrCat("%y = ", op, "(%x) {axes=", axes, ", keepdims=", keep, "}"),
                   {.relative = 1330 * kEps, .low = .9f, .high = 1.1f});
      }
    }
  }
  ExpectRuns("input %x: float32[1,64,40,40]", "%y = ReduceMean(%x) {axes=[2, 3]}",
             {.absolute = 1600 * kEps});
  ExpectRuns("input %x: float32[3,500]; const %a: int64[1] = [-1]", "%y = ReduceMax(%x, %a)");
  for (const char* shape : {"[300,2]", "[3,47,1]", "[5,16,40]", "[129,16]", "[40,17]"}) {
    ExpectRuns(StrCat("input %x: float32", shape), "%y = ReduceSum(%x) {axes=[-1]}",
               {.absolute = 40 * kEps});
    ExpectRuns(StrCat("input %x: float32", shape), "%y = ReduceMax(%x) {axes=[-1]}");
  }
  ExpectRuns("input %x: float32[]", "%y = ReduceSum(%x)");
  ExpectRefused("input %x: int32[3,4]", "%y = ReduceSum(%x)");
}

TEST(StreamKernels, LocalResponseNormalisation) {
  for (const char* shape : {"[2,19,5,7]", "[1,1,9]", "[3,70]", "[2,33,200]", "[0,4,3]"}) {
    for (const char* fields :
         {"size=1", "size=4", "size=5, alpha=0.5, beta=0.75, bias=2", "size=64, beta=1.5"}) {
      // The logarithm of at most 2 + 0.5 is right to 2 ulp of 1, times beta; exp adds 2.
      ExpectRuns(StrCat("input %x: float32", shape), StrCat("%y = LRN(%x) {", fields, "}"),
                 {.absolute = 1e-38, .relative = 8 * kEps});
    }
  }
  ExpectRefused("input %x: float32[1,100,3]", "%y = LRN(%x) {size=65}");
}

TEST(StreamKernels, Gather) {
  ExpectRuns("input %x: float32[5,7]; const %i: int64[4] = [4, 0, -1, 2]", "%y = Gather(%x, %i)");
  ExpectRuns("input %x: uint8[2,6,3]; input %i: int32[2,2]", "%y = Gather(%x, %i) {axis=1}");
  ExpectRuns("input %x: float32[2,6,3]; const %i: int64[] = [1]", "%y = Gather(%x, %i) {axis=-1}");
}

TEST(StreamKernels, Resize) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coordinate : {"half_pixel", "asymmetric", "align_corners"}) {
      ExpectRuns("input %x: float32[2,19,5,7]; const %s: float32[4] = [1, 1, 2, 1.5]",
                 StrCat("%y = Resize(%x, _, %s) {mode=\"", mode, "\", coordinate=\"", coordinate,
                        "\", nearest=\"floor\"}"),
                 {.absolute = 32 * kEps});
    }
  }
  ExpectRuns("input %x: float32[1,3,6]; const %s: int64[3] = [1, 3, 4]",
             "%y = Resize(%x, _, _, %s) {mode=\"linear\"}", {.absolute = 8 * kEps});
  ExpectRefused("input %x: float32[1,3,6,6]; const %s: float32[4] = [1, 2, 1, 1]",
                "%y = Resize(%x, _, %s) {mode=\"linear\"}");
}

}  // namespace
}  // namespace sula::cpu
