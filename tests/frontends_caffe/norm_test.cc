// Normalisations, reductions, searches, and products with weights.
#include <cmath>

#include "nets.h"

namespace sula::caffe {
namespace {

using ::testing::HasSubstr;

TEST(CaffeBatchNorm, DividesByTheFactor) {
  const Tensor x = F({1, 2, 1, 2}, {1, 3, 10, 30});
  // Sums over two batches: mean 1 and 10, variance 4 and 100.
  ExpectEqual(RunLayer("BatchNorm", "batch_norm_param { eps: 0 }", {x},
                       {F({2}, {2, 20}), F({2}, {8, 200}), F({1}, {2})}),
              F({1, 2, 1, 2}, {0, 1, 0, 2}));
  // Nothing was ever counted: mean and variance are 0.
  ExpectEqual(RunLayer("BatchNorm", "batch_norm_param { eps: 1 }", {x},
                       {F({2}, {2, 20}), F({2}, {8, 200}), F({1}, {0})}),
              x);
  ExpectEqual(RunLayer("BatchNorm", "batch_norm_param { eps: 0 }", {F({1, 2}, {3, 30})},
                       {F({2}, {1, 10}), F({2}, {4, 100}), F({1}, {1})}),
              F({1, 2}, {1, 2}));
  EXPECT_THAT(LayerError("BatchNorm", "", {{1, 2, 1, 1}}, {F({2}, {0, 0})}),
              HasSubstr("'l' (BatchNorm, only 1 blobs)"));
}

TEST(CaffeBatchNorm, StatisticsOfTheBatch) {
  ExpectEqual(RunLayer("BatchNorm", "batch_norm_param { use_global_stats: false eps: 0 }",
                       {F({2, 2, 1, 1}, {1, 10, 3, 30})}),
              F({2, 2, 1, 1}, {-1, -1, 1, 1}), 4);
}

TEST(CaffeLrn, AcrossChannels) {
  const Tensor x = F({1, 4, 1, 1}, {1, 2, 3, 4});
  auto y = [](double v, double squares) {
    return static_cast<float>(v / std::pow(2 + 0.5 / 3 * squares, 0.75));
  };
  ExpectEqual(RunLayer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 }", {x}),
              F({1, 4, 1, 1}, {y(1, 5), y(2, 14), y(3, 29), y(4, 25)}), 4);
  EXPECT_THAT(LayerError("LRN", "lrn_param { local_size: 4 }", {{1, 4, 1, 1}}),
              HasSubstr("expected an odd number"));
}

TEST(CaffeLrn, WithinChannel) {
  const Tensor x = F({1, 1, 1, 3}, {1, 2, 3});
  auto y = [](double v, double squares) {  // the window has 3 x 3 pixels, padding included
    return static_cast<float>(v / std::pow(1 + 0.5 * squares / 9, 0.75));
  };
  ExpectEqual(RunLayer("LRN",
                       "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 7 norm_region: "
                       "WITHIN_CHANNEL }",
                       {x}),
              F({1, 1, 1, 3}, {y(1, 5), y(2, 14), y(3, 13)}), 8);
}

TEST(CaffeMvn, PerChannelOrAcross) {
  const Tensor x = F({1, 2, 1, 2}, {1, 3, 10, 30});
  ExpectEqual(RunLayer("MVN", "mvn_param { normalize_variance: false }", {x}),
              F({1, 2, 1, 2}, {-1, 1, -10, 10}));
  // eps is added to the deviation, not to the variance.
  ExpectEqual(RunLayer("MVN", "mvn_param { eps: 1 }", {x}),
              F({1, 2, 1, 2}, {-0.5, 0.5, -10.f / 11, 10.f / 11}), 4);
  const double deviation = std::sqrt((100 + 64 + 1 + 361) / 4.0);
  auto y = [&](double v) { return static_cast<float>((v - 11) / deviation); };
  ExpectEqual(RunLayer("MVN", "mvn_param { across_channels: true eps: 0 }", {x}),
              F({1, 2, 1, 2}, {y(1), y(3), y(10), y(30)}), 8);
}

TEST(CaffeNormalize, PerPixelOrAcross) {
  const Tensor x = F({1, 2, 1, 2}, {3, 0, 4, 2});
  ExpectEqual(RunLayer("Normalize", "norm_param { across_spatial: false channel_shared: false }",
                       {x}, {F({2}, {5, 10})}),
              F({1, 2, 1, 2}, {3, 0, 8, 10}), 4);
  const double norm = std::sqrt(9 + 16 + 4);
  ExpectEqual(RunLayer("Normalize", "", {x}, {F({1}, {2})}),
              F({1, 2, 1, 2}, {static_cast<float>(6 / norm), 0, static_cast<float>(8 / norm),
                               static_cast<float>(4 / norm)}),
              8);
}

TEST(CaffeSoftmax, Axis) {
  const float a = static_cast<float>(1 / (1 + std::exp(-1.0)));
  ExpectEqual(RunLayer("Softmax", "", {F({1, 2, 1}, {1, 0})}), F({1, 2, 1}, {a, 1 - a}), 4);
  ExpectEqual(RunLayer("Softmax", "softmax_param { axis: -1 }", {F({1, 2, 2}, {1, 0, 0, 1})}),
              F({1, 2, 2}, {a, 1 - a, 1 - a, a}), 4);
  EXPECT_THAT(LayerError("Softmax", "", {{2}}), HasSubstr("axis 1"));
}

TEST(CaffeArgMax, OverEverything) {
  const Tensor x = F({2, 3, 1, 1}, {1, 5, 5, 9, 2, 1});
  // Of equal elements the last one.
  ExpectEqual(RunLayer("ArgMax", "", {x}), F({2, 1, 1, 1}, {2, 0}));
  ExpectEqual(RunLayer("ArgMax", "argmax_param { out_max_val: true }", {x}),
              F({2, 2, 1, 1}, {2, 5, 0, 9}));
  ExpectEqual(RunLayer("ArgMax", "argmax_param { top_k: 2 }", {x}), F({2, 1, 2, 1}, {2, 1, 0, 1}));
  ExpectEqual(RunLayer("ArgMax", "argmax_param { top_k: 2 out_max_val: true }", {x}),
              F({2, 2, 2, 1}, {2, 1, 5, 5, 0, 1, 9, 2}));
  EXPECT_EQ(RunLayer("ArgMax", "", {F({1, 3}, {1, 2, 3})}).dims(), (Dims{1, 1, 1}));
}

TEST(CaffeArgMax, AlongAnAxis) {
  const Tensor x = F({1, 3, 2}, {1, 6, 5, 4, 5, 2});
  ExpectEqual(RunLayer("ArgMax", "argmax_param { axis: 1 }", {x}), F({1, 1, 2}, {2, 0}));
  ExpectEqual(RunLayer("ArgMax", "argmax_param { axis: 1 out_max_val: true }", {x}),
              F({1, 1, 2}, {5, 6}));
  ExpectEqual(RunLayer("ArgMax", "argmax_param { axis: -2 top_k: 3 }", {x}),
              F({1, 3, 2}, {2, 0, 1, 1, 0, 2}));
  EXPECT_THAT(LayerError("ArgMax", "argmax_param { axis: 1 top_k: 4 }", {{1, 3, 2}}),
              HasSubstr("top_k is 4"));
  EXPECT_THAT(LayerError("ArgMax", "argmax_param { top_k: 0 }", {{1, 3, 2}}),
              HasSubstr("top_k is 0"));
}

TEST(CaffeReduction, Operations) {
  const Tensor x = F({2, 2, 1}, {1, -2, 3, 4});
  auto y = [&](const std::string& p) {
    return RunLayer("Reduction", "reduction_param { " + p + " }", {x});
  };
  ExpectEqual(y(""), F({}, {6}));
  ExpectEqual(y("axis: 1"), F({2}, {-1, 7}));
  ExpectEqual(y("axis: -2 operation: ASUM"), F({2}, {3, 7}));
  ExpectEqual(y("axis: 1 operation: SUMSQ coeff: 2"), F({2}, {10, 50}));
  ExpectEqual(y("axis: 1 operation: MEAN"), F({2}, {-0.5, 3.5}));
}

TEST(CaffeInnerProduct, AxesAndTransposition) {
  const Tensor w = F({2, 3}, {1, 2, 3, 4, 5, 6}), x = F({1, 3}, {1, 10, 100});
  const std::string p = "inner_product_param { num_output: 2 ";
  ExpectEqual(RunLayer("InnerProduct", p + "}", {x}, {w, F({2}, {1000, 2000})}),
              F({1, 2}, {1321, 2654}));
  ExpectEqual(RunLayer("InnerProduct", p + "bias_term: false transpose: true }", {x},
                       {F({3, 2}, {1, 4, 2, 5, 3, 6})}),
              F({1, 2}, {321, 654}));
  ExpectEqual(RunLayer("InnerProduct", p + "bias_term: false }", {x.Reshaped({1, 1, 3, 1})},
                       {w.Reshaped({1, 1, 2, 3})}),
              F({1, 2}, {321, 654}));
  ExpectEqual(RunLayer("InnerProduct", p + "bias_term: false axis: -1 }",
                       {F({1, 2, 3}, {1, 10, 100, 1, 0, 0})}, {w}),
              F({1, 2, 2}, {321, 654, 1, 4}));
  ExpectEqual(
      RunLayer("InnerProduct", p + "axis: 2 }", {x.Reshaped({1, 1, 3, 1})}, {w, F({2}, {1, 1})}),
      F({1, 1, 2}, {322, 655}));
  ExpectEqual(RunLayer("InnerProduct", p + "axis: 0 }", {x}, {w, F({2}, {1, 1})}),
              F({2}, {322, 655}));
  EXPECT_THAT(LayerError("InnerProduct", p + "axis: 2 }", {{1, 3}}, {w, F({2}, {1, 1})}),
              HasSubstr("axis 2"));
}

TEST(CaffeInnerProduct, FreeBatch) {
  CaffeOptions options;
  options.input_shapes["x0"] = Shape{Dim::Symbol("batch"), 3, 1, 1};
  Graph g =
      Import(OneLayer("InnerProduct", "inner_product_param { num_output: 2 bias_term: false }",
                      {{1, 3, 1, 1}}),
             {{"l", {F({2, 3}, {1, 2, 3, 4, 5, 6})}}}, options);
  EXPECT_EQ(g.value(g.outputs()[0]).type.ToString(), "float32[batch,2]");
  ExpectEqual(RunGraph(g, {F({2, 3, 1, 1}, {1, 10, 100, 1, 0, 0})})[0],
              F({2, 2}, {321, 654, 1, 4}));
}

TEST(CaffeEmbed, RowsByNumber) {
  const Tensor table = F({3, 2}, {0, 1, 10, 11, 20, 21});
  const std::string p = "embed_param { input_dim: 3 num_output: 2 ";
  ExpectEqual(RunLayer("Embed", p + "bias_term: false }", {F({2}, {2, 0})}, {table}),
              F({2, 2}, {20, 21, 0, 1}));
  ExpectEqual(RunLayer("Embed", p + "}", {F({1, 2}, {1, 1})}, {table, F({2}, {0.5, 0.25})}),
              F({1, 2, 2}, {10.5, 11.25, 10.5, 11.25}));
}

}  // namespace
}  // namespace sula::caffe
