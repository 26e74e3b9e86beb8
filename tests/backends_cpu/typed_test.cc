// Element-wise operators on several types through their adapter, and the functions' own rules.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "backends/cpu/kernels/typed/typed.h"
#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

struct Shapes {
  const char *a, *b;
};
constexpr Shapes kBroadcasts[] = {{"[]", "[]"},
                                  {"[7]", "[7]"},
                                  {"[2,3,19]", "[2,3,19]"},
                                  {"[1,21,1]", "[1,1,35]"},
                                  {"[5,1]", "[3,1,4]"},
                                  {"[2,19,5,7]", "[1,19,1,1]"},
                                  {"[2,19,5,7]", "[]"},
                                  {"[3,0]", "[1]"}};

void ExpectTyped(std::string_view inputs, std::string_view node) {
  HarnessOptions options;
  options.only = "typed";
  const std::string text = StrCat("graph \"g\" {\n", inputs, "  %y = ", node, "\n  output %y\n}\n");
  EXPECT_FALSE(CheckKernels(text, options).empty()) << "no kernel took " << text;
}

void ExpectBinary(std::string_view op, std::string_view type) {
  for (const auto& [a, b] : kBroadcasts) {
    ExpectTyped(StrCat("  input %a: ", type, a, "\n  input %b: ", type, b, "\n"),
                StrCat(op, "(%a, %b)"));
    ExpectTyped(StrCat("  input %a: ", type, b, "\n  input %b: ", type, a, "\n"),
                StrCat(op, "(%a, %b)"));
  }
}

TEST(Typed, Arithmetic) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"})
    for (const char* type : {"int32", "int64"}) ExpectBinary(op, type);
}

TEST(Typed, Pow) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  for (const auto& [a, b] : kBroadcasts) {
    HarnessOptions options;
    options.relative = 2 * kEps, options.low = .1f, options.high = 4;
    EXPECT_FALSE(
        CheckKernels(StrCat("graph \"g\" {\n  input %a: float32", a, "\n  input %b: float32", b,
                            "\n  %y = Pow(%a, %b)\n  output %y\n}\n"),
                     options)
            .empty());
    EXPECT_FALSE(CheckKernels(StrCat("graph \"g\" {\n  input %a: float32", a,
                                     "\n  const %b: float32[] = [2]\n  %y = Pow(%a, %b)\n  output "
                                     "%y\n}\n"),
                              options)
                     .empty());
  }
}

TEST(Typed, ComparisonsAndLogic) {
  for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
    for (const char* type : {"int32", "int64", "float32"}) ExpectBinary(op, type);
  for (const char* op : {"Equal", "And", "Or", "Xor"}) ExpectBinary(op, "bool");
  for (const char* shape : {"[]", "[37]", "[2,19,5,7]"})
    ExpectTyped(StrCat("  input %a: bool", shape, "\n"), "Not(%a)");
}

TEST(Typed, Casts) {
  for (const char* from : {"float32", "int32", "int64", "uint8", "bool"})
    for (const char* to : {"float32", "int32", "int64", "uint8", "bool"})
      for (const char* shape : {"[]", "[37]", "[2,19,5,7]"})
        ExpectTyped(StrCat("  input %a: ", from, shape, "\n"),
                    StrCat("Cast(%a) {to=\"", to, "\"}"));
}

TEST(Typed, Where) {
  for (const char* type : {"float32", "int64", "float16", "bool"}) {
    for (const auto& [a, b] : kBroadcasts) {
      for (const auto& [c, x, y] :
           {std::tuple(a, a, b), std::tuple(a, b, a), std::tuple(b, a, a), std::tuple(a, b, b)}) {
        ExpectTyped(StrCat("  input %c: bool", c, "\n  input %a: ", type, x, "\n  input %b: ", type,
                           y, "\n"),
                    "Where(%c, %a, %b)");
      }
    }
  }
}

template <class T, class R>
R One(TypedFn fn, T a, T b = T()) {
  R result = R();
  TypedRow row;
  row.in[0] = &a, row.in[1] = &b, row.out = &result, row.n = 1;
  row.step[0] = row.step[1] = 1;
  fn(row);
  return result;
}

TEST(Typed, IntegersWrapAndDivideByZero) {
  constexpr int32_t kLow = std::numeric_limits<int32_t>::min(), kHigh = -(kLow + 1);
  const auto run = [](Typed fn, int32_t a, int32_t b) {
    return One<int32_t, int32_t>(TypedBinary(fn, Element::kInt32), a, b);
  };
  EXPECT_EQ(run(Typed::kAdd, kHigh, 1), kLow);
  EXPECT_EQ(run(Typed::kSub, kLow, 1), kHigh);
  EXPECT_EQ(run(Typed::kMul, kLow, -1), kLow);
  EXPECT_EQ(run(Typed::kDiv, kLow, -1), kLow);
  EXPECT_EQ(run(Typed::kDiv, -7, 2), -3);
  EXPECT_EQ(run(Typed::kDiv, 7, 0), 0);
  EXPECT_EQ(run(Typed::kMax, kLow, -1), -1);
  const int64_t low = std::numeric_limits<int64_t>::min();
  EXPECT_EQ((One<int64_t, int64_t>(TypedBinary(Typed::kDiv, Element::kInt64), low, -1)), low);
  EXPECT_EQ((One<int64_t, int64_t>(TypedBinary(Typed::kMul, Element::kInt64), low, 3)), low);
}

TEST(Typed, NanIsUnequalAndUnordered) {
  const float nan = std::nanf("");
  for (Typed fn : {Typed::kEqual, Typed::kLess, Typed::kLessOrEqual}) {
    EXPECT_EQ((One<float, uint8_t>(TypedBinary(fn, Element::kFloat32), nan, nan)), 0);
    EXPECT_EQ((One<float, uint8_t>(TypedBinary(fn, Element::kFloat32), 1, nan)), 0);
  }
}

TEST(Typed, FloatsSaturateAndIntegersWrapInCasts) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const TypedFn to32 = TypedCast(Element::kFloat32, Element::kInt32),
                to64 = TypedCast(Element::kFloat32, Element::kInt64),
                to8 = TypedCast(Element::kFloat32, Element::kUInt8),
                to_bool = TypedCast(Element::kFloat32, Element::kBool);
  constexpr int32_t kLow = std::numeric_limits<int32_t>::min();
  for (const auto& [x, y] : {std::pair(nan, 0), std::pair(inf, -(kLow + 1)), std::pair(-inf, kLow),
                             std::pair(2147483648.f, -(kLow + 1)), std::pair(-1.9f, -1),
                             std::pair(2147483520.f, 2147483520)})
    EXPECT_EQ((One<float, int32_t>(to32, x)), y) << x;
  EXPECT_EQ((One<float, int64_t>(to64, 1e30f)), std::numeric_limits<int64_t>::max());
  EXPECT_EQ((One<float, int64_t>(to64, -1e30f)), std::numeric_limits<int64_t>::min());
  EXPECT_EQ((One<float, uint8_t>(to8, 300.f)), 255);
  EXPECT_EQ((One<float, uint8_t>(to8, -3.f)), 0);
  EXPECT_EQ((One<float, uint8_t>(to_bool, 0.25f)), 1);
  EXPECT_EQ((One<float, uint8_t>(to_bool, nan)), 1);
  EXPECT_EQ((One<float, uint8_t>(to_bool, -0.f)), 0);
  EXPECT_EQ((One<int64_t, int32_t>(TypedCast(Element::kInt64, Element::kInt32),
                                   int64_t{5} + (int64_t{1} << 32))),
            5);
  EXPECT_EQ((One<int32_t, uint8_t>(TypedCast(Element::kInt32, Element::kUInt8), 257)), 1);
  EXPECT_EQ((One<int32_t, uint8_t>(TypedCast(Element::kInt32, Element::kBool), 256)), 1);
}

TEST(Typed, TypesWithoutAKernelAreRefused) {
  HarnessOptions options;
  options.only = "typed";
  EXPECT_TRUE(CheckKernels("graph \"g\" {\n  input %a: float64[3]\n  %y = Cast(%a) {to=\"int32\"}\n"
                           "  output %y\n}\n",
                           options)
                  .empty());
  EXPECT_TRUE(CheckKernels("graph \"g\" {\n  input %a: float32[3]\n  input %b: int32[3]\n  %y = "
                           "Pow(%a, %b)\n  output %y\n}\n",
                           options)
                  .empty());
  EXPECT_EQ(TypedBinary(Typed::kPow, Element::kInt32), nullptr);
  EXPECT_EQ(TypedBinary(Typed::kAdd, Element::kFloat32), nullptr);
  EXPECT_EQ(TypedBinary(Typed::kAnd, Element::kInt32), nullptr);
  EXPECT_EQ(TypedWhere(16), nullptr);
}

}  // namespace
}  // namespace sula::cpu
