#include "backends/cpu/kernels/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace sula::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kEps = std::numeric_limits<float>::epsilon();

struct UnaryCase {
  Unary fn;
  float a, b;
  double (*exact)(double x, double a, double b);
  double ulps;      // relative to the result
  double absolute;  // besides, for results that cancel
  float low = -12, high = 12;
};

double Elu(double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; }
double Softplus(double x, double, double) {
  return std::max(x, 0.) + std::log1p(std::exp(-std::abs(x)));
}

const UnaryCase kUnaryCases[] = {
    {Unary::kRelu, 0, 0, [](double x, double, double) { return std::max(x, 0.); }, 0, 0},
    {Unary::kLeakyRelu, .1f, 0, [](double x, double a, double) { return x < 0 ? a * x : x; }, 1, 0},
    {Unary::kClip, -1, 6, [](double x, double a, double b) { return std::min(std::max(x, a), b); },
     0, 0},
    {Unary::kSigmoid, 0, 0, [](double x, double, double) { return 1 / (1 + std::exp(-x)); }, 4, 0},
    {Unary::kTanh, 0, 0, [](double x, double, double) { return std::tanh(x); }, 4, 0},
    {Unary::kHardSigmoid, .2f, .5f,
     [](double x, double a, double b) { return std::min(std::max(a * x + b, 0.), 1.); }, 1, kEps},
    {Unary::kHardSwish, 0, 0,
     [](double x, double, double) { return x * std::min(std::max(x / 6 + .5, 0.), 1.); }, 4,
     4 * kEps},
    {Unary::kSwish, 1.5f, 0, [](double x, double a, double) { return x / (1 + std::exp(-a * x)); },
     12, 0},
    {Unary::kGelu, 0, 0,
     [](double x, double, double) { return x * .5 * std::erfc(-x / std::sqrt(2.)); }, 8,
     12 * 4 * kEps},
    {Unary::kGeluTanh, 0, 0,
     [](double x, double, double) {
       return .5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + .044715 * x * x * x)));
     },
     8, 12 * 4 * kEps},
    {Unary::kElu, 1.3f, 0, Elu, 12, 0},
    {Unary::kSelu, 1.67f, 1.05f, [](double x, double a, double b) { return b * Elu(x, a, 0); }, 12,
     0},
    {Unary::kCelu, 2, 0,
     [](double x, double a, double) { return x < 0 ? a * std::expm1(x / a) : x; }, 12, 0},
    {Unary::kSoftplus, 0, 0, Softplus, 12, 0},
    {Unary::kSoftsign, 0, 0, [](double x, double, double) { return x / (1 + std::abs(x)); }, 2, 0},
    {Unary::kMish, 0, 0, [](double x, double, double) { return x * std::tanh(Softplus(x, 0, 0)); },
     12, 0},
    {Unary::kThresholdedRelu, 1, 0, [](double x, double a, double) { return x > a ? x : 0; }, 0, 0},
    {Unary::kErf, 0, 0, [](double x, double, double) { return std::erf(x); }, 6, 0},
    {Unary::kNeg, 0, 0, [](double x, double, double) { return -x; }, 0, 0},
    {Unary::kAbs, 0, 0, [](double x, double, double) { return std::abs(x); }, 0, 0},
    {Unary::kExp, 0, 0, [](double x, double, double) { return std::exp(x); }, 4, 0, -80, 80},
    {Unary::kLog, 0, 0, [](double x, double, double) { return std::log(x); }, 4, kEps, 1e-6f, 50},
    {Unary::kSqrt, 0, 0, [](double x, double, double) { return std::sqrt(x); }, 1, 0, 0, 50},
    {Unary::kReciprocal, 0, 0, [](double x, double, double) { return 1 / x; }, 1, 0, .1f, 50},
    {Unary::kFloor, 0, 0, [](double x, double, double) { return std::floor(x); }, 0, 0},
    {Unary::kCeil, 0, 0, [](double x, double, double) { return std::ceil(x); }, 0, 0},
    {Unary::kRound, 0, 0, [](double x, double, double) { return std::nearbyint(x); }, 0, 0},
    {Unary::kSign, 0, 0, [](double x, double, double) { return double((x > 0) - (x < 0)); }, 0, 0},
};

class ElementwiseTest : public testing::TestWithParam<Target> {
 protected:
  const ElementwiseKernels& k() const { return GetElementwise(GetParam()); }
  std::vector<float> Random(int n, float low, float high) {
    std::uniform_real_distribution<float> d(low, high);
    std::vector<float> v(n);
    for (float& x : v) x = d(rng_);
    return v;
  }
  std::mt19937 rng_{7};
};

TEST_P(ElementwiseTest, UnaryOfEveryLength) {
  ASSERT_EQ(std::size(kUnaryCases), static_cast<size_t>(Unary::kCount));
  for (const UnaryCase& c : kUnaryCases) {
    for (int n = 0; n < 70; n = n < 36 ? n + 1 : n + 11) {
      std::vector<float> x = Random(n, c.low, c.high), y(n + 1, 77.f);
      if (n > 3 && c.low < 0) x[2] = 0;
      k().unary[static_cast<size_t>(c.fn)](x.data(), y.data(), n, c.a, c.b);
      for (int i = 0; i < n; ++i) {
        const double want = c.exact(x[i], c.a, c.b);
        EXPECT_NEAR(y[i], want, c.ulps * kEps * std::abs(want) + c.absolute)
            << "function " << static_cast<int>(c.fn) << " at " << x[i];
      }
      EXPECT_EQ(y[n], 77.f) << "written past the end";
    }
  }
}

TEST_P(ElementwiseTest, UnaryInPlaceAndNaN) {
  std::vector<float> x(21, -2.f);
  x[20] = std::nanf("");
  k().unary[static_cast<size_t>(Unary::kRelu)](x.data(), x.data(), 21, 0, 0);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(x[i], 0.f);
  EXPECT_TRUE(std::isnan(x[20]));
  k().unary[static_cast<size_t>(Unary::kClip)](x.data(), x.data(), 21, 1, 2);
  EXPECT_EQ(x[0], 1.f);
  EXPECT_TRUE(std::isnan(x[20]));
}

TEST_P(ElementwiseTest, BinaryWithEveryStride) {
  float (*exact[])(float, float) = {[](float a, float b) { return a + b; },
                                    [](float a, float b) { return a - b; },
                                    [](float a, float b) { return a * b; },
                                    [](float a, float b) { return a / b; },
                                    [](float a, float b) { return std::max(a, b); },
                                    [](float a, float b) { return std::min(a, b); },
                                    [](float a, float b) { return a < 0 ? a * b : a; }};
  for (size_t fn = 0; fn < static_cast<size_t>(Binary::kCount); ++fn) {
    for (int n : {0, 1, 3, 8, 17, 33}) {
      for (int sa : {0, 1}) {
        for (int sb : {0, 1}) {
          const std::vector<float> a = Random(std::max(n, 1), -3, 3),
                                   b = Random(std::max(n, 1), .5, 2);
          std::vector<float> y(n + 1, 77.f);
          k().binary[fn](a.data(), sa, b.data(), sb, y.data(), n);
          for (int i = 0; i < n; ++i) EXPECT_FLOAT_EQ(y[i], exact[fn](a[i * sa], b[i * sb]));
          EXPECT_EQ(y[n], 77.f);
        }
      }
    }
  }
}

TEST_P(ElementwiseTest, MaxAndMinPropagateNaN) {
  const float a[] = {std::nanf(""), 1}, b[] = {1, std::nanf("")};
  for (Binary fn : {Binary::kMax, Binary::kMin}) {
    float y[2];
    k().binary[static_cast<size_t>(fn)](a, 1, b, 1, y, 2);
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  }
}

TEST_P(ElementwiseTest, Folds) {
  for (int n : {0, 1, 2, 7, 16, 31, 64, 100, 257}) {
    const std::vector<float> x = Random(n, .5, 1.5), z = Random(n, .5, 1.5);
    double sum = 0, product = 1, squares = 0;
    float max = -kInf, min = kInf;
    for (float v : x) {
      sum += v, product *= v, squares += double(v) * v;
      max = std::max(max, v), min = std::min(min, v);
    }
    const double want[] = {sum, max, min, product, squares, sum};
    for (size_t fn = 0; fn < static_cast<size_t>(Fold::kCount); ++fn) {
      const float got = k().fold[fn](x.data(), n);
      if (std::isinf(want[fn])) {
        EXPECT_EQ(got, want[fn]);
      } else {  // each of n operations rounds once
        EXPECT_NEAR(got, want[fn], n * kEps * std::abs(want[fn])) << fn << " of " << n;
      }
      std::vector<float> acc = z;
      k().fold_into[fn](x.data(), acc.data(), n);
      for (int i = 0; i < n; ++i) {
        const float pair[] = {z[i] + x[i], std::max(z[i], x[i]), std::min(z[i], x[i]),
                              z[i] * x[i], z[i] + x[i] * x[i],   z[i] + x[i]};
        EXPECT_FLOAT_EQ(acc[i], pair[fn]);
      }
    }
  }
}

TEST_P(ElementwiseTest, NormalisedRows) {
  for (int n : {1, 2, 7, 16, 31, 64, 193}) {
    const std::vector<float> x = Random(n, 2, 3), scale = Random(n, .5, 2),
                             shift = Random(n, -1, 1);
    for (int step : {0, 1}) {
      for (bool centre : {false, true}) {
        for (bool shifted : {false, true}) {
          double mean = 0, squares = 0;
          for (float v : x) mean += centre ? v / static_cast<double>(n) : 0;
          for (float v : x) squares += (v - mean) * (v - mean) / n;
          const double deviation = std::sqrt(squares + .01);
          std::vector<float> y = x;
          y.push_back(77.f);
          k().normalise({y.data(), y.data(), scale.data(), shifted ? shift.data() : nullptr, n,
                         step, centre, .01f});
          for (int i = 0; i < n; ++i) {
            const double want =
                (x[i] - mean) / deviation * scale[i * step] + (shifted ? shift[i * step] : 0);
            // The mean of values of up to 3 in 4 lanes, over a deviation of at least 0.1.
            EXPECT_NEAR(y[i], want, (n / 4. + 8) * 3 / .1 * 2 * kEps) << n << ", " << i;
          }
          EXPECT_EQ(y[n], 77.f);
        }
      }
    }
  }
}

TEST_P(ElementwiseTest, SoftmaxRowsAndColumns) {
  for (int rows : {1, 2, 5, 19}) {
    for (int cols : {1, 3, 16, 37}) {
      const int stride = cols + 3;
      std::vector<float> x = Random(rows * stride, -20, 20);
      x[0] = 90;  // e^90 overflows without the shift
      for (bool log : {false, true}) {
        std::vector<float> y(rows * stride, 77.f), scratch(2 * cols), row(rows);
        k().softmax_columns(x.data(), y.data(), rows, stride, cols, log, scratch.data());
        for (int c = 0; c < cols; ++c) {
          double sum = 0, max = -kInf;
          for (int r = 0; r < rows; ++r) max = std::max<double>(max, x[r * stride + c]);
          for (int r = 0; r < rows; ++r) sum += std::exp(x[r * stride + c] - max);
          std::vector<float> column(rows);
          for (int r = 0; r < rows; ++r) column[r] = x[r * stride + c];
          k().softmax(column.data(), row.data(), rows, log);
          for (int r = 0; r < rows; ++r) {
            const double d = x[r * stride + c] - max;
            const double want = log ? d - std::log(sum) : std::exp(d) / sum;
            // exp 2 ulp, the shift's rounding scaled by |d| <= 110, sum of `rows` terms
            const double tolerance =
                (std::abs(d) + rows + 8) * kEps * (log ? 1 + std::abs(want) : want) + 1e-37;
            EXPECT_NEAR(y[r * stride + c], want, tolerance);
            EXPECT_NEAR(row[r], want, tolerance);
          }
        }
        EXPECT_EQ(y[cols], 77.f);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ElementwiseTest,
                         testing::ValuesIn(AvailableTargets().begin(), AvailableTargets().end()),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace sula::cpu
