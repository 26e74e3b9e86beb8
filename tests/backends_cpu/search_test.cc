// ArgMax, ArgMin, CumSum and TopK through their adapters. Integers are random in [0, 5], so that
// there are many equal ones.
#include "backends/cpu/kernels/search/search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

constexpr const char* kTypes[] = {"float32", "int32", "int64"};
constexpr const char* kShapes[] = {"[1]", "[41]", "[3,7,5]", "[2,9,130]", "[0,4]"};

void ExpectRuns(std::string_view inputs, std::string_view node, double relative = 0) {
  HarnessOptions options;
  options.relative = relative, options.low = 0;
  const std::string_view results = node.substr(0, node.find(" ="));
  EXPECT_FALSE(
      CheckKernels(StrCat("graph \"g\" {\n", inputs, "  ", node, "\n  output ", results, "\n}\n"),
                   options)
          .empty())
      << inputs << node;
}

TEST(Search, ArgMaxAndArgMin) {
  for (const char* type : kTypes)
    for (const char* shape : kShapes)
      for (const char* op : {"ArgMax", "ArgMin"})
        for (const char* last : {"true", "false"})
          for (int axis : {-1, 0})
            if (axis < 0 || shape[1] != '0')  // an axis without elements has no extremum
              ExpectRuns(
                  StrCat("  input %x: ", type, shape, "\n"),
                  StrCat("%y = ", op, "(%x) {axis=", axis, ", select_last_index=", last, "}"));
}

TEST(Search, CumSum) {
  for (const char* type : kTypes)
    for (const char* shape : kShapes)
      for (const char* fields :
           {"", " {exclusive=true}", " {reverse=true}", " {exclusive=true, reverse=true}"})
        for (int axis : {-1, 0})
          // sums in double, rounded once
          ExpectRuns(StrCat("  input %x: ", type, shape, "\n  const %a: int64[] = [", axis, "]\n"),
                     StrCat("%y = CumSum(%x, %a)", fields), std::numeric_limits<float>::epsilon());
}

TEST(Search, TopK) {
  for (const char* type : kTypes)
    for (const char* shape : {"[41]", "[3,7,5]", "[2,9,130]"})
      for (const char* largest : {"true", "false"})
        for (int k : {0, 1, 3, 5})
          for (const char* results : {"%y, %i", "%y"})
            ExpectRuns(StrCat("  input %x: ", type, shape, "\n  const %k: int64[1] = [", k, "]\n"),
                       StrCat(results, " = TopK(%x, %k) {axis=", shape[3] == ']' ? 0 : -2,
                              ", largest=", largest, "}"));
}

TEST(Search, NanIsExtremeAndLarge) {
  const float nan = std::nanf("");
  const float x[] = {1, nan, 3, nan, -2};
  for (bool largest : {true, false}) {
    for (bool last : {true, false}) {
      int64_t y = -1;
      FindExtremum({{1, 5, 1}, largest, last}, x, &y, 0, 1);
      EXPECT_EQ(y, last ? 3 : 1);
    }
  }
  int64_t indices[5], scratch[10];
  float values[5];
  FindTop({{1, 5, 1}, 5, true}, x, values, indices, 0, 1, scratch);
  EXPECT_EQ((std::vector<int64_t>(indices, indices + 5)), (std::vector<int64_t>{1, 3, 2, 0, 4}));
  FindTop({{1, 5, 1}, 5, false}, x, values, indices, 0, 1, scratch);
  EXPECT_EQ((std::vector<int64_t>(indices, indices + 5)), (std::vector<int64_t>{4, 0, 2, 1, 3}));
}

TEST(Search, IntegerSumsWrap) {
  const int32_t x[] = {std::numeric_limits<int32_t>::max(), 1, 5};
  int32_t y[3];
  SumLines({{1, 3, 1}, false, false}, x, y, 0, 1);
  EXPECT_EQ(y[1], std::numeric_limits<int32_t>::min());
  EXPECT_EQ(y[2], std::numeric_limits<int32_t>::min() + 5);
}

}  // namespace
}  // namespace sula::cpu
