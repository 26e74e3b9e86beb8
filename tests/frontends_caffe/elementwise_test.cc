// Layers that work element by element, against their formulas.
#include <cmath>
#include <functional>

#include "nets.h"

namespace sula::caffe {
namespace {

using ::testing::HasSubstr;

// What a layer gives for a row of numbers is f of each.
void ExpectFormula(const std::string& type, const std::string& parameters,
                   const std::vector<float>& xs, const std::function<double(double)>& f,
                   double roundings = 4) {
  SCOPED_TRACE(type + " " + parameters);
  const Dims dims = {1, static_cast<int64_t>(xs.size())};
  std::vector<float> want;
  for (float x : xs) want.push_back(static_cast<float>(f(x)));
  ExpectEqual(RunLayer(type, parameters, {F(dims, xs)}), F(dims, want), roundings);
}

TEST(CaffeElementwise, Formulas) {
  const std::vector<float> xs = {-3, -1.5, -0.25, 0, 0.5, 1, 2.75, 9};
  const std::vector<float> positive = {0.125, 0.5, 1, 2, 7};
  ExpectFormula("ReLU", "", xs, [](double x) { return std::max(x, 0.0); });
  ExpectFormula("ReLU", "relu_param { negative_slope: 0.1 }", xs,
                [](double x) { return x > 0 ? x : 0.1 * x; });
  ExpectFormula("ReLU6", "", xs, [](double x) { return std::clamp(x, 0.0, 6.0); });
  ExpectFormula("Clip", "clip_param { min: -1 max: 1 }", xs,
                [](double x) { return std::clamp(x, -1.0, 1.0); });
  ExpectFormula("ELU", "elu_param { alpha: 0.5 }", xs,
                [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); });
  ExpectFormula("Sigmoid", "", xs, [](double x) { return 1 / (1 + std::exp(-x)); });
  ExpectFormula("TanH", "", xs, [](double x) { return std::tanh(x); });
  ExpectFormula("AbsVal", "", xs, [](double x) { return std::abs(x); });
  ExpectFormula("BNLL", "", xs, [](double x) { return std::log1p(std::exp(x)); });
  ExpectFormula("Swish", "swish_param { beta: 2 }", xs,
                [](double x) { return x / (1 + std::exp(-2 * x)); });
  ExpectFormula("Threshold", "threshold_param { threshold: 0.5 }", xs,
                [](double x) { return x > 0.5; });
  ExpectFormula("Power", "", xs, [](double x) { return x; });
  ExpectFormula("Power", "power_param { scale: 3 }", xs, [](double x) { return 3 * x; });
  ExpectFormula("Power", "power_param { shift: 0.5 }", xs, [](double x) { return x + 0.5; });
  ExpectFormula("Power", "power_param { power: 2 scale: 0.5 shift: 4 }", xs,
                [](double x) { return std::pow(4 + 0.5 * x, 2); });
  ExpectFormula("Power", "power_param { power: 0 }", xs, [](double) { return 1; });
  ExpectFormula("Exp", "", xs, [](double x) { return std::exp(x); });
  // The argument of the exponential is rounded twice, which it magnifies by its own size.
  ExpectFormula(
      "Exp", "exp_param { base: 2 scale: 3 shift: 1 }", xs,
      [](double x) { return std::pow(2, 1 + 3 * x); }, 4 + 2 * 27 * std::log(2));
  ExpectFormula("Exp", "exp_param { scale: 2 shift: -1 }", xs,
                [](double x) { return std::exp(2 * x - 1); });
  ExpectFormula("Log", "", positive, [](double x) { return std::log(x); });
  ExpectFormula("Log", "log_param { base: 10 scale: 4 shift: 1 }", positive,
                [](double x) { return std::log10(4 * x + 1); });
}

TEST(CaffeElementwise, ParametersThatDontFit) {
  EXPECT_THAT(LayerError("Exp", "exp_param { base: 0 }", {{1}}), HasSubstr("base is 0"));
  EXPECT_THAT(LayerError("Log", "log_param { base: -2 }", {{1}}), HasSubstr("base is -2"));
  EXPECT_THAT(LayerError("Clip", "clip_param { min: 0 }", {{1}}), HasSubstr("max is missing"));
}

TEST(CaffePRelu, OneSlopeOrOneForEachChannel) {
  const Tensor x = F({1, 2, 1, 2}, {-2, 2, -4, 4});
  ExpectEqual(RunLayer("PReLU", "", {x}, {F({2}, {0.5, 0.25})}), F({1, 2, 1, 2}, {-1, 2, -1, 4}));
  ExpectEqual(RunLayer("PReLU", "prelu_param { channel_shared: true }", {x}, {F({1}, {0.5})}),
              F({1, 2, 1, 2}, {-1, 2, -2, 4}));
  ExpectEqual(RunLayer("PReLU", "", {F({2, 2}, {-1, -1, 1, -2})}, {F({2}, {3, 4})}),
              F({2, 2}, {-3, -4, 1, -8}));
  EXPECT_THAT(LayerError("PReLU", "", {{1, 3, 2, 2}}, {F({2}, {1, 2})}), HasSubstr("asks for [3]"));
}

TEST(CaffeEltwise, Operations) {
  const Tensor a = F({1, 3}, {1, 2, 3}), b = F({1, 3}, {3, 2, 1}), c = F({1, 3}, {0, 10, -1});
  ExpectEqual(RunLayer("Eltwise", "", {a, b, c}), F({1, 3}, {4, 14, 3}));
  ExpectEqual(RunLayer("Eltwise", "eltwise_param { operation: PROD }", {a, b, c}),
              F({1, 3}, {0, 40, -3}));
  ExpectEqual(RunLayer("Eltwise", "eltwise_param { operation: MAX }", {a, b, c}),
              F({1, 3}, {3, 10, 3}));
  ExpectEqual(RunLayer("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", {a, b}),
              F({1, 3}, {-2, 0, 2}));
  ExpectEqual(RunLayer("Eltwise", "eltwise_param { coeff: 0.5 coeff: 2 coeff: 1 }", {a, b, c}),
              F({1, 3}, {6.5, 15, 2.5}));
}

TEST(CaffeEltwise, BottomsThatDontFit) {
  EXPECT_THAT(LayerError("Eltwise", "", {{1, 3}, {3, 1}}), HasSubstr("'x0' [1,3], 'x1' [3,1]"));
  EXPECT_THAT(LayerError("Eltwise", "eltwise_param { coeff: 1 }", {{1}, {1}}),
              HasSubstr("1 coefficients for 2 bottoms"));
  EXPECT_THAT(
      LayerError("Eltwise", "eltwise_param { operation: MAX coeff: 1 coeff: 1 }", {{1}, {1}}),
      HasSubstr("other operations none"));
}

TEST(CaffeScale, LearnedAlongAnyAxes) {
  const Tensor x = Count({1, 2, 2, 2}, 1);
  ExpectEqual(RunLayer("Scale", "", {x}, {F({2}, {10, 100})}),
              F({1, 2, 2, 2}, {10, 20, 30, 40, 500, 600, 700, 800}));
  ExpectEqual(RunLayer("Scale", "scale_param { bias_term: true }", {x},
                       {F({2}, {10, 100}), F({2}, {1, 2})}),
              F({1, 2, 2, 2}, {11, 21, 31, 41, 502, 602, 702, 802}));
  ExpectEqual(RunLayer("Scale", "scale_param { axis: -1 }", {x}, {F({2}, {1, 0})}),
              F({1, 2, 2, 2}, {1, 0, 3, 0, 5, 0, 7, 0}));
  ExpectEqual(
      RunLayer("Scale", "scale_param { axis: 1 num_axes: 2 }", {x}, {F({2, 2}, {1, 2, 3, 4})}),
      F({1, 2, 2, 2}, {1, 2, 6, 8, 15, 18, 28, 32}));
  ExpectEqual(
      RunLayer("Scale", "scale_param { axis: 2 num_axes: -1 }", {x}, {F({2, 2}, {1, 2, 3, 4})}),
      F({1, 2, 2, 2}, {1, 4, 9, 16, 5, 12, 21, 32}));
  ExpectEqual(RunLayer("Scale", "scale_param { num_axes: 0 }", {x}, {F({1}, {2})}),
              F({1, 2, 2, 2}, {2, 4, 6, 8, 10, 12, 14, 16}));
}

TEST(CaffeScale, BySecondBottom) {
  const Tensor x = Count({1, 2, 1, 2}, 1);
  ExpectEqual(RunLayer("Scale", "", {x, F({2}, {10, 100})}), F({1, 2, 1, 2}, {10, 20, 300, 400}));
  ExpectEqual(RunLayer("Scale", "scale_param { axis: 0 }", {x, F({1, 2}, {10, 100})}),
              F({1, 2, 1, 2}, {10, 20, 300, 400}));
  ExpectEqual(RunLayer("Scale", "scale_param { bias_term: true }", {x, F({2}, {10, 100})},
                       {F({2}, {1, 2})}),
              F({1, 2, 1, 2}, {11, 21, 302, 402}));
}

TEST(CaffeScale, AxesThatDontFit) {
  EXPECT_THAT(
      LayerError("Scale", "scale_param { axis: 3 num_axes: 2 }", {{1, 2, 2, 2}}, {F({2}, {1, 2})}),
      HasSubstr("lie outside"));
  EXPECT_THAT(LayerError("Scale", "scale_param { axis: 4 }", {{1, 2, 2, 2}}, {F({2}, {1, 2})}),
              HasSubstr("axis 4"));
  EXPECT_THAT(LayerError("Scale", "", {{1, 2, 2, 2}, {3}}), HasSubstr("layer 'l' (Scale)"));
}

TEST(CaffeBias, LearnedOrBySecondBottom) {
  const Tensor x = Count({1, 2, 1, 2}, 1);
  ExpectEqual(RunLayer("Bias", "", {x}, {F({2}, {10, 100})}), F({1, 2, 1, 2}, {11, 12, 103, 104}));
  ExpectEqual(RunLayer("Bias", "", {x, F({2}, {10, 100})}), F({1, 2, 1, 2}, {11, 12, 103, 104}));
}

TEST(CaffeAxpy, FactorsByChannel) {
  ExpectEqual(
      RunLayer("Axpy", "",
               {F({1, 2}, {10, 100}), Count({1, 2, 1, 2}, 1), F({1, 2, 1, 2}, {1, 1, 2, 2})}),
      F({1, 2, 1, 2}, {11, 21, 302, 402}));
  EXPECT_THAT(LayerError("Axpy", "", {{1, 3}, {1, 2, 1, 2}, {1, 2, 1, 2}}),
              HasSubstr("factors of shape [1,3]"));
}

}  // namespace
}  // namespace sula::caffe
