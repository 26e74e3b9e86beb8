// Strassen's algorithm: the tables are exact, and the kernels compute what the operators mean.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "backends/cpu/kernels/strassen/strassen.h"
#include "backends/cpu/kernels/strassen/table.h"
#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

using ::testing::ElementsAre;

constexpr double kEps = std::numeric_limits<float>::epsilon();

// The sum over products of (a's sign of block (i, k)) (b's of (k2, j)) (c's of (i2, j2)) is 1 where
// k = k2, i = i2 and j = j2, else 0.
template <size_t kProducts>
void ExpectExact(const StrassenTable<kProducts>& table) {
  const int blocks = table.grid * table.grid;
  const auto sign = [](const StrassenSum& sum, int block) {
    for (int t = 0; t < sum.count; ++t)
      if (sum.terms[static_cast<size_t>(t)].block == block)
        return sum.terms[static_cast<size_t>(t)].sign;
    return 0;
  };
  for (int a = 0; a < blocks; ++a)
    for (int b = 0; b < blocks; ++b)
      for (int c = 0; c < blocks; ++c) {
        int sum = 0;
        for (const StrassenProduct& p : table.products)
          sum += sign(p.a, a) * sign(p.b, b) * sign(p.c, c);
        const bool product = a % table.grid == b / table.grid && a / table.grid == c / table.grid &&
                             b % table.grid == c % table.grid;
        ASSERT_EQ(sum, product ? 1 : 0) << a << " " << b << " " << c;
      }
}

TEST(Strassen, TablesAreExact) {
  ExpectExact(kStrassenOne);
  ExpectExact(kStrassenTwo);
}

TEST(Strassen, EveryBlockIsBegunAndEndedOnce) {
  for (int block = 0; block < 16; ++block) {
    int first = 0, last = 0;
    for (const StrassenProduct& p : kStrassenTwo.products)
      for (size_t t = 0; t < static_cast<size_t>(p.c.count); ++t) {
        if (p.c.terms[t].block != block) continue;
        first += p.first[t];
        last += p.last[t];
      }
    EXPECT_EQ(first, 1) << block;
    EXPECT_EQ(last, 1) << block;
  }
}

// Sums of blocks are up to four times as large as the operands (by two levels), products are added
// up to 7 (49) times; everything within [-1, 1]: the rounding of k products of such sums, and of
// the sums.
double Tolerance(int levels, int64_t k) {
  const double growth = levels == 1 ? 2 * 2 * 4 : 4 * 4 * 16;
  return 2 * kEps * growth * static_cast<double>(k);
}

std::string_view NameOf(int levels) { return levels == 1 ? "strassen_1" : "strassen_2"; }

TEST(Strassen, MatrixProducts) {
  struct Shape {
    int64_t m, n, k;
  };
  // Sizes that the grid divides and sizes it does not, by one to three rows, columns and values.
  for (int levels : {1, 2}) {
    const int64_t size = 128 * levels, depth = 512 * levels;
    for (const Shape& s :
         {Shape{2 * size, size, depth}, Shape{2 * size + 1, size + 3, depth + 2},
          Shape{2 * size + 22, size + 5, depth + 3}, Shape{2 * size + 3, size + 2, depth + 1}}) {
      const std::string text =
          StrCat("graph \"g\" { input %a: float32[", s.m, ",", s.k, "] const %b: float32[", s.k,
                 ",", s.n, "] = random(1) const %c: float32[", s.n,
                 "] = random(2) %y = MatMul(%a, %b, %c) {activation=\"relu\"} "
                 "output %y }");
      EXPECT_THAT(CheckKernels(text, {.absolute = Tolerance(levels, s.k),
                                      .only = std::string(NameOf(levels))}),
                  ElementsAre(NameOf(levels)));
    }
  }
}

TEST(Strassen, BatchesTransposedWeightsScaleAndResidual) {
  for (int levels : {1, 2}) {
    EXPECT_THAT(
        CheckKernels(R"(graph "g" {
                  input %a: float32[3,175,1026]
                  const %b: float32[261,1026] = random(1)
                  input %r: float32[3,175,261]
                  %y = MatMul(%a, %b, _, %r) {trans_b=true, alpha=0.5}
                  output %y })",
                     {.absolute = Tolerance(levels, 1026), .only = std::string(NameOf(levels))}),
        ElementsAre(NameOf(levels)));
  }
}

TEST(Strassen, PointwiseConvolutions) {
  for (int levels : {1, 2}) {
    EXPECT_THAT(CheckKernels(R"(graph "g" {
                  input %x: float32[2,1025,17,16]
                  const %w: float32[257,1025,1,1] = random(1)
                  const %b: float32[257] = random(2)
                  input %r: float32[2,257,17,16]
                  %y = Conv(%x, %w, %b, %r) {activation="clip", activation_a=-1, activation_b=3}
                  output %y })",
                             {.absolute = Tolerance(levels, 1025),
                              .only = std::string(NameOf(levels)),
                              .threads = {1, 2, 3}}),
                ElementsAre(NameOf(levels)));
  }
}

TEST(Strassen, RefusesWhatItCannotGainFrom) {
  constexpr std::string_view kSmall = R"(graph "g" {
    input %a: float32[255,512]
    const %b: float32[512,128] = random(1)
    %y = MatMul(%a, %b)
    output %y })";
  constexpr std::string_view kCurve = R"(graph "g" {
    input %a: float32[256,512]
    const %b: float32[512,128] = random(1)
    %y = MatMul(%a, %b) {activation="gelu"}
    output %y })";
  constexpr std::string_view kWindow = R"(graph "g" {
    input %x: float32[1,128,12,12]
    const %w: float32[128,128,3,3] = random(1)
    %y = Conv(%x, %w)
    output %y })";
  for (std::string_view text : {kSmall, kCurve, kWindow})
    EXPECT_THAT(CheckKernels(text, {.absolute = 1e-2, .only = "strassen_1"}), ElementsAre());
}

}  // namespace
}  // namespace sula::cpu
