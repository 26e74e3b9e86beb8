// Strassen's algorithm: exact where sums are, as precise as promised, and what the operators mean.
#include "backends/cpu/kernels/strassen/strassen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

using ::testing::ElementsAre;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A product with gaps between rows, and c by plain sums in double.
struct Case {
  StrassenSpec spec;
  int64_t in_stride, out_stride;
  std::vector<float> a, b, bias, c;
  std::vector<double> expected;

  template <class F>
  Case(const StrassenSpec& s, F value)
      : spec(s),
        in_stride(s.k + 3),
        out_stride(s.n + 5),
        a(Size(s.m * in_stride), kNaN),
        b(Size(s.k * s.n)),
        bias(Size(s.n)),
        c(Size(s.m * out_stride), -77.f),
        expected(Size(s.m * s.n)) {
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t q = 0; q < s.k; ++q) a[Size(i * in_stride + q)] = value();
    for (float& x : b) x = value();
    for (float& x : bias) x = value();
    // The residual lies in c.
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) c[Size(i * out_stride + j)] = value();
    for (int64_t i = 0; i < s.m; ++i) {
      double* row = &expected[Size(i * s.n)];
      for (int64_t j = 0; j < s.n; ++j)
        row[j] = double{bias[Size(j)]} + double{c[Size(i * out_stride + j)]};
      for (int64_t q = 0; q < s.k; ++q)
        for (int64_t j = 0; j < s.n; ++j)
          row[j] += double{a[Size(i * in_stride + q)]} * double{b[Size(q * s.n + j)]};
      for (int64_t j = 0; j < s.n; ++j)
        row[j] = std::clamp<double>(row[j], s.epilogue.lo, s.epilogue.hi);
    }
  }
  static size_t Size(int64_t n) { return static_cast<size_t>(n); }

  std::vector<float> Run(const Machine& machine) const {
    const Result<Strassen> strassen =
        Strassen::Make(spec, {b.data(), 1, 0, spec.n}, 1, bias.data(), machine);
    std::vector<float> out = c;
    std::vector<float> workspace(strassen->workspace_bytes() / sizeof(float) + 16, kNaN);
    float* aligned = workspace.data();
    while (reinterpret_cast<uintptr_t>(aligned) % 64 != 0) ++aligned;
    strassen->Run({a.data(), in_stride, out.data(), out_stride, out.data(), out_stride, aligned},
                  Parallel(machine.threads));
    return out;
  }
};

// Small integers: no sum rounds, so every element is right to the last bit. Nothing else is
// written, and nothing is read that was not written before.
TEST(Strassen, IsExactOnIntegers) {
  std::mt19937 rng(1);
  const auto value = [&] { return static_cast<float>(static_cast<int>(rng() % 7) - 3); };
  struct Shape {
    int64_t m, n, k;
  };
  for (int levels : {1, 2}) {
    for (const Shape& s :
         {Shape{64, 64, 32}, Shape{67, 64, 32}, Shape{61, 67, 33}, Shape{66, 129, 35},
          Shape{62, 70, 34}, Shape{250, 65, 37}, Shape{57, 66, 1024}}) {
      StrassenSpec spec{levels, s.m, s.n, s.k, {}};
      spec.epilogue.hi = 60;
      const Case test(spec, value);
      for (Target target : AvailableTargets())
        for (int threads : {1, 2, 3}) {
          SCOPED_TRACE(StrCat(levels, " levels, ", s.m, " x ", s.n, " x ", s.k, ", ", Name(target),
                              ", ", threads, " threads"));
          const std::vector<float> c = test.Run({target, threads, size_t{16} << 10});
          for (int64_t i = 0; i < s.m; ++i)
            for (int64_t j = 0; j < test.out_stride; ++j) {
              const size_t at = Case::Size(i * test.out_stride + j);
              const double expected = j < s.n ? test.expected[Case::Size(i * s.n + j)] : -77;
              ASSERT_EQ(c[at], expected) << i << ", " << j;
            }
        }
    }
  }
}

TEST(Strassen, ErrorIsAsPromised) {
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  for (int levels : {1, 2}) {
    const Case test({levels, 128, 128, 1024, {}}, [&] { return normal(rng); });
    double largest = 0;
    for (double x : test.expected) largest = std::max(largest, std::abs(x));
    for (Target target : AvailableTargets()) {
      const std::vector<float> c = test.Run({target, 1});
      double error = 0;
      for (int64_t i = 0; i < test.spec.m; ++i)
        for (int64_t j = 0; j < test.spec.n; ++j)
          error = std::max(error, std::abs(double{c[Case::Size(i * test.out_stride + j)]} -
                                           test.expected[Case::Size(i * test.spec.n + j)]));
      EXPECT_LE(error / largest, StrassenError(levels)) << levels << " levels, " << Name(target);
    }
  }
}

// N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., SIAM 2002), theorem 23.3, for
// Winograd's form and operands within [-1, 1]: 18 for each level times (k0^2 + 6 k0) roundings,
// where k0 values are summed by the smallest products.
double Tolerance(int levels, int64_t k) {
  const double unit = std::numeric_limits<float>::epsilon() / 2;
  const double depth = std::ceil(static_cast<double>(k) / (1 << levels));
  return std::pow(18, levels) * (depth * depth + 6 * depth) * unit;
}

std::string_view NameOf(int levels) { return levels == 1 ? "strassen_1" : "strassen_2"; }

TEST(Strassen, MatrixProducts) {
  struct Shape {
    int64_t m, n, k;
  };
  // Sizes that the grid divides and sizes it does not, by one to three rows, columns and values.
  for (int levels : {1, 2}) {
    const int64_t size = 128 * levels, depth = 128 * levels;
    for (const Shape& s :
         {Shape{size, size, depth}, Shape{size + 1, size + 3, depth + 2},
          Shape{size + 22, size + 5, depth + 3}, Shape{size + 3, size + 2, depth + 1}}) {
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
                  input %a: float32[3,75,302]
                  const %b: float32[261,302] = random(1)
                  input %r: float32[3,75,261]
                  %y = MatMul(%a, %b, _, %r) {trans_b=true, alpha=0.5}
                  output %y })",
                     {.absolute = Tolerance(levels, 302), .only = std::string(NameOf(levels))}),
        ElementsAre(NameOf(levels)));
  }
}

TEST(Strassen, PointwiseConvolutions) {
  for (int levels : {1, 2}) {
    EXPECT_THAT(CheckKernels(R"(graph "g" {
                  input %x: float32[2,325,17,8]
                  const %w: float32[257,325,1,1] = random(1)
                  const %b: float32[257] = random(2)
                  input %r: float32[2,257,17,8]
                  %y = Conv(%x, %w, %b, %r) {activation="clip", activation_a=-1, activation_b=3}
                  output %y })",
                             {.absolute = Tolerance(levels, 325),
                              .only = std::string(NameOf(levels)),
                              .threads = {1, 2, 3}}),
                ElementsAre(NameOf(levels)));
  }
}

TEST(Strassen, RefusesWhatItCannotGainFrom) {
  constexpr std::string_view kFewRows = R"(graph "g" {
    input %a: float32[11,512]
    const %b: float32[512,512] = random(1)
    %y = MatMul(%a, %b)
    output %y })";
  constexpr std::string_view kShortSums = R"(graph "g" {
    input %a: float32[512,24]
    const %b: float32[24,512] = random(1)
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
  for (std::string_view text : {kFewRows, kShortSums, kCurve, kWindow})
    EXPECT_THAT(CheckKernels(text, {.absolute = 1e-2, .only = "strassen_1"}), ElementsAre());
}

}  // namespace
}  // namespace sula::cpu
