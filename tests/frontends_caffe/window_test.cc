// Layers with windows, against plain loops that follow Caffe's definitions.
#include <algorithm>
#include <cfloat>
#include <functional>

#include "nets.h"

namespace sula::caffe {
namespace {

using ::testing::HasSubstr;

// One spatial axis pair of a window.
struct Window {
  int64_t kernel_h, kernel_w, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation = 1;
  int64_t group = 1;
};

float At(const Tensor& t, int64_t n, int64_t c, int64_t h, int64_t w) {
  return t.data<float>()[((n * t.dim(1) + c) * t.dim(2) + h) * t.dim(3) + w];
}

Tensor Convolve(const Tensor& x, const Tensor& w, const std::vector<float>& bias, const Window& p) {
  const int64_t out_h =
      (x.dim(2) + 2 * p.pad_h - (p.dilation * (p.kernel_h - 1) + 1)) / p.stride_h + 1;
  const int64_t out_w =
      (x.dim(3) + 2 * p.pad_w - (p.dilation * (p.kernel_w - 1) + 1)) / p.stride_w + 1;
  const int64_t per_group = w.dim(0) / p.group;
  Tensor y(DType::kFloat32, {x.dim(0), w.dim(0), out_h, out_w});
  float* out = y.mutable_data<float>().data();
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t m = 0; m < w.dim(0); ++m)
      for (int64_t i = 0; i < out_h; ++i)
        for (int64_t j = 0; j < out_w; ++j) {
          double sum = bias.empty() ? 0 : bias[m];
          for (int64_t c = 0; c < w.dim(1); ++c)
            for (int64_t a = 0; a < p.kernel_h; ++a)
              for (int64_t b = 0; b < p.kernel_w; ++b) {
                const int64_t h = i * p.stride_h - p.pad_h + a * p.dilation;
                const int64_t v = j * p.stride_w - p.pad_w + b * p.dilation;
                if (h < 0 || v < 0 || h >= x.dim(2) || v >= x.dim(3)) continue;
                sum += At(w, m, c, a, b) * At(x, n, m / per_group * w.dim(1) + c, h, v);
              }
          *out++ = static_cast<float>(sum);
        }
  return y;
}

TEST(CaffeConvolution, SquareWindow) {
  const Tensor x = Noise({2, 3, 7, 6}), w = Noise({4, 3, 3, 3}, 2);
  ExpectEqual(
      RunLayer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 }",
               {x}, {w, F({4}, {1, 2, 3, 4})}),
      Convolve(x, w, {1, 2, 3, 4}, {3, 3, 2, 2, 1, 1}));
}

TEST(CaffeConvolution, HeightAndWidth) {
  const Tensor x = Noise({1, 2, 7, 6}), w = Noise({2, 2, 1, 3}, 2);
  const Tensor want = Convolve(x, w, {}, {1, 3, 2, 1, 0, 1});
  ExpectEqual(RunLayer("Convolution",
                       "convolution_param { num_output: 2 kernel_h: 1 kernel_w: 3 stride_h: 2 "
                       "stride_w: 1 pad_w: 1 bias_term: false }",
                       {x}, {w}),
              want);
  ExpectEqual(RunLayer("Convolution",
                       "convolution_param { num_output: 2 kernel_size: 1 kernel_size: 3 stride: 2 "
                       "stride: 1 pad: 0 pad: 1 bias_term: false }",
                       {x}, {w}),
              want);
}

TEST(CaffeConvolution, GroupsAndDilation) {
  const Tensor x = Noise({1, 4, 9, 8}), w = Noise({6, 2, 3, 3}, 2);
  ExpectEqual(RunLayer("Convolution",
                       "convolution_param { num_output: 6 kernel_size: 3 dilation: 2 group: 2 "
                       "bias_term: false }",
                       {x}, {w}),
              Convolve(x, w, {}, {3, 3, 1, 1, 0, 0, 2, 2}));
}

TEST(CaffeConvolution, Depthwise) {
  const Tensor x = Noise({1, 3, 5, 5}), w = Noise({3, 1, 3, 3}, 2);
  const Tensor want = Convolve(x, w, {1, 2, 3}, {3, 3, 1, 1, 1, 1, 1, 3});
  const std::string p = "num_output: 3 kernel_size: 3 pad: 1";
  for (const char* type : {"DepthwiseConvolution", "ConvolutionDepthwise"}) {
    ExpectEqual(RunLayer(type, "convolution_param { " + p + " }", {x}, {w, F({3}, {1, 2, 3})}),
                want);
    ExpectEqual(
        RunLayer(type, "convolution_param { " + p + " group: 3 }", {x}, {w, F({3}, {1, 2, 3})}),
        want);
  }
}

TEST(CaffeConvolution, LegacyBlobsHaveFourAxes) {
  const Tensor x = Noise({1, 2, 4, 4}), w = Noise({3, 2, 1, 1}, 2);
  ExpectEqual(RunLayer("Convolution", "convolution_param { num_output: 3 kernel_size: 1 }", {x},
                       {w, F({1, 1, 1, 3}, {1, 2, 3})}),
              Convolve(x, w, {1, 2, 3}, {1, 1}));
}

TEST(CaffeConvolution, OneAndThreeAxes) {
  const Tensor x = Noise({1, 2, 6}), w = Noise({3, 2, 3}, 2);
  const Tensor y =
      RunLayer("Convolution", "convolution_param { num_output: 3 kernel_size: 3 bias_term: false }",
               {x}, {w});
  ExpectEqual(y.Reshaped({1, 3, 1, 4}),
              Convolve(x.Reshaped({1, 2, 1, 6}), w.Reshaped({3, 2, 1, 3}), {}, {1, 3}));
  EXPECT_EQ(
      RunLayer("Convolution", "convolution_param { num_output: 3 kernel_size: 2 bias_term: false }",
               {Noise({1, 2, 4, 5, 6})}, {Noise({3, 2, 2, 2, 2})})
          .dims(),
      (Dims{1, 3, 3, 4, 5}));
}

TEST(CaffeConvolution, SeveralBottomsShareTheWeights) {
  const Tensor a = Noise({1, 2, 4, 4}, 1), b = Noise({1, 2, 5, 5}, 2), w = Noise({1, 2, 2, 2}, 3);
  Graph g = Import(InputText("a", a.dims()) + InputText("b", b.dims()) + R"(
    layer { name: "l" type: "Convolution" bottom: "a" bottom: "b" top: "p" top: "q"
            convolution_param { num_output: 1 kernel_size: 2 bias_term: false } })",
                   {{"l", {w}}});
  auto outputs = RunGraph(g, {a, b});
  ExpectEqual(outputs.at(0), Convolve(a, w, {}, {2, 2}));
  ExpectEqual(outputs.at(1), Convolve(b, w, {}, {2, 2}));
}

TEST(CaffeConvolution, ParametersThatDontFit) {
  auto error = [](const std::string& p) {
    return LayerError("Convolution", "convolution_param { num_output: 4 " + p + " }",
                      {{1, 4, 4, 4}}, {Noise({4, 4, 3, 3}), Noise({4})});
  };
  EXPECT_THAT(error(""), HasSubstr("kernel_size is missing"));
  EXPECT_THAT(error("kernel_size: 3 kernel_h: 3"), HasSubstr("both as list"));
  EXPECT_THAT(error("kernel_h: 3"), HasSubstr("given both"));
  EXPECT_THAT(error("kernel_size: 3 kernel_size: 3 kernel_size: 3"), HasSubstr("3 values for 2"));
  EXPECT_THAT(error("kernel_size: 3 group: 3"), HasSubstr("does not divide"));
  EXPECT_THAT(error("kernel_size: 3 group: 0"), HasSubstr("does not divide"));
  EXPECT_THAT(error("kernel_size: 3 stride: 0"), HasSubstr("strides contains 0"));
  EXPECT_THAT(error("kernel_size: 5"), HasSubstr("asks for [4,4,5,5]"));
  EXPECT_THAT(error("kernel_size: 3 axis: 2"), HasSubstr("channels on axis 2"));
  EXPECT_THAT(LayerError("Convolution", "convolution_param { num_output: 4 kernel_size: 1 }",
                         {{1, 4}}, {Noise({4, 4}), Noise({4})}),
              HasSubstr("needs at least 3 axes and at most 5"));
}

// The sum over everything that each input element is sent to.
TEST(CaffeDeconvolution, IsTheTransposeOfConvolution) {
  const Tensor x = Noise({1, 2, 3, 4}), w = Noise({2, 3, 3, 3}, 2);
  Tensor want(DType::kFloat32, {1, 3, 2 * (3 - 1) + 3 - 2, 2 * (4 - 1) + 3 - 2});
  auto out = want.mutable_data<float>();
  for (int64_t c = 0; c < 2; ++c)
    for (int64_t m = 0; m < 3; ++m)
      for (int64_t i = 0; i < 3; ++i)
        for (int64_t j = 0; j < 4; ++j)
          for (int64_t a = 0; a < 3; ++a)
            for (int64_t b = 0; b < 3; ++b) {
              const int64_t h = i * 2 - 1 + a, v = j * 2 - 1 + b;
              if (h < 0 || v < 0 || h >= want.dim(2) || v >= want.dim(3)) continue;
              out[(m * want.dim(2) + h) * want.dim(3) + v] += At(w, c, m, a, b) * At(x, 0, c, i, j);
            }
  for (size_t i = 0; i < out.size(); ++i) out[i] += static_cast<float>(i / (out.size() / 3));
  ExpectEqual(RunLayer("Deconvolution",
                       "convolution_param { num_output: 3 kernel_size: 3 stride: 2 pad: 1 }", {x},
                       {w, F({3}, {0, 1, 2})}),
              want);
}

TEST(CaffeDeconvolution, Groups) {
  // Bilinear enlargement of each channel by itself, as segmentation nets have it.
  const Tensor y = RunLayer(
      "Deconvolution",
      "convolution_param { num_output: 2 group: 2 kernel_size: 2 stride: 2 bias_term: false }",
      {F({1, 2, 1, 1}, {1, 10})}, {F({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8})});
  ExpectEqual(y, F({1, 2, 2, 2}, {1, 2, 3, 4, 50, 60, 70, 80}));
}

// Caffe's pooling as its authors wrote it.
Tensor Pool(const Tensor& x, bool max, const Window& p, bool ceil_mode = true) {
  auto count = [&](int64_t in, int64_t pad, int64_t kernel, int64_t stride) {
    const int64_t room = in + 2 * pad - kernel;
    int64_t n = (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
    if ((p.pad_h > 0 || p.pad_w > 0) && (n - 1) * stride >= in + pad) --n;
    return n;
  };
  const int64_t out_h = count(x.dim(2), p.pad_h, p.kernel_h, p.stride_h);
  const int64_t out_w = count(x.dim(3), p.pad_w, p.kernel_w, p.stride_w);
  Tensor y(DType::kFloat32, {x.dim(0), x.dim(1), out_h, out_w});
  float* out = y.mutable_data<float>().data();
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t c = 0; c < x.dim(1); ++c)
      for (int64_t i = 0; i < out_h; ++i)
        for (int64_t j = 0; j < out_w; ++j) {
          int64_t h = i * p.stride_h - p.pad_h, v = j * p.stride_w - p.pad_w;
          int64_t h_end = std::min(h + p.kernel_h, x.dim(2) + p.pad_h);
          int64_t v_end = std::min(v + p.kernel_w, x.dim(3) + p.pad_w);
          const int64_t size = (h_end - h) * (v_end - v);
          h = std::max<int64_t>(h, 0), v = std::max<int64_t>(v, 0);
          h_end = std::min(h_end, x.dim(2)), v_end = std::min(v_end, x.dim(3));
          double sum = 0;
          float most = -FLT_MAX;
          for (int64_t a = h; a < h_end; ++a)
            for (int64_t b = v; b < v_end; ++b) {
              sum += At(x, n, c, a, b);
              most = std::max(most, At(x, n, c, a, b));
            }
          *out++ = max ? most : static_cast<float>(sum / static_cast<double>(size));
        }
  return y;
}

TEST(CaffePooling, AllSmallWindows) {
  int tried = 0;
  for (int64_t in = 1; in <= 7; ++in)
    for (int64_t kernel = 1; kernel <= 3; ++kernel)
      for (int64_t stride = 1; stride <= 4; ++stride)
        for (int64_t pad = 0; pad < kernel; ++pad)
          for (bool max : {true, false}) {
            const Tensor x = Noise({1, 2, in, in + 1}, static_cast<uint32_t>(in));
            if (in + 2 * pad < kernel) continue;
            const std::string p =
                StrCat("pooling_param { pool: ", max ? "MAX" : "AVE", " kernel_size: ", kernel,
                       " stride: ", stride, " pad: ", pad, " }");
            const Window window{kernel, kernel, stride, stride, pad, pad};
            auto behind = [&](int64_t n) {
              return pad == 0 && (n - kernel + stride - 1) / stride * stride >= n;
            };
            if (!max && (behind(in) || behind(in + 1))) {
              EXPECT_THAT(LayerError("Pooling", p, {x.dims()}), HasSubstr("hold no element"));
              continue;
            }
            SCOPED_TRACE(StrCat(in, " ", p));
            ExpectEqual(RunLayer("Pooling", p, {x}), Pool(x, max, window), max ? 0 : 1);
            ++tried;
          }
  EXPECT_GT(tried, 200);
}

TEST(CaffePooling, HeightAndWidth) {
  const Tensor x = Noise({1, 2, 7, 6});
  ExpectEqual(RunLayer("Pooling",
                       "pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 "
                       "pad_h: 0 pad_w: 1 }",
                       {x}),
              Pool(x, false, {3, 2, 2, 3, 0, 1}), 1);
}

TEST(CaffePooling, RoundingDown) {
  const Tensor x = Noise({1, 1, 6, 6});
  for (const char* p : {"round_mode: FLOOR", "ceil_mode: false"})
    ExpectEqual(
        RunLayer("Pooling", StrCat("pooling_param { kernel_size: 3 stride: 2 ", p, " }"), {x}),
        Pool(x, true, {3, 3, 2, 2}, false));
}

TEST(CaffePooling, Global) {
  const Tensor x = F({1, 2, 2, 2}, {1, 2, 3, 6, -4, -3, -2, -7});
  ExpectEqual(RunLayer("Pooling", "pooling_param { pool: AVE global_pooling: true }", {x}),
              F({1, 2, 1, 1}, {3, -4}));
  ExpectEqual(RunLayer("Pooling", "pooling_param { pool: MAX global_pooling: true }", {x}),
              F({1, 2, 1, 1}, {6, -2}));
}

TEST(CaffePooling, MaskAndUpsampleUndoEachOther) {
  const Tensor x = F({1, 2, 2, 4}, {1, 2, 3, 4, 8, 7, 6, 5, 1, 3, 5, 7, 8, 6, 4, 2});
  Graph g = Import(InputText("x", x.dims()) + R"(
    layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "mask"
            pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "u" type: "Upsample" bottom: "p" bottom: "mask" top: "u"
            upsample_param { scale: 2 } }
    layer { name: "copy" type: "Split" bottom: "mask" top: "copy" })");
  auto outputs = RunGraph(g, {x});
  ExpectEqual(outputs.at(0), F({1, 2, 2, 4}, {0, 0, 0, 0, 8, 0, 6, 0, 0, 0, 0, 7, 8, 0, 0, 0}));
  ExpectEqual(outputs.at(1), F({1, 2, 1, 2}, {4, 6, 4, 3}));
}

TEST(CaffePooling, ParametersThatDontFit) {
  auto error = [](const std::string& p) {
    return LayerError("Pooling", "pooling_param { " + p + " }", {{1, 4, 4, 4}});
  };
  EXPECT_THAT(error(""), HasSubstr("kernel_size is needed"));
  EXPECT_THAT(error("kernel_h: 2"), HasSubstr("kernel_size is needed"));
  EXPECT_THAT(error("kernel_size: 2 stride_h: 2"), HasSubstr("stride is needed"));
  EXPECT_THAT(error("kernel_size: 2 pad: 2"), HasSubstr("not less than the kernel"));
  EXPECT_THAT(error("kernel_size: 0"), HasSubstr("have to be positive"));
  EXPECT_THAT(error("kernel_size: 9"), HasSubstr("no window fits"));
  EXPECT_THAT(error("kernel_size: 2 pool: STOCHASTIC"), HasSubstr("STOCHASTIC"));
  EXPECT_THAT(LayerError("Pooling", "pooling_param { kernel_size: 2 }", {{1, 4, 4}}),
              HasSubstr("needs 4 axes"));
}

TEST(CaffeSpp, PyramidOfPools) {
  // 7 x 8 pixels: one window; 2 x 2 of 4 x 4 pixels; 4 x 4 of 2 x 2.
  const Tensor x = Noise({1, 2, 7, 8});
  for (bool max : {true, false}) {
    std::vector<float> want;
    for (const Window& p :
         {Window{7, 8, 7, 8}, Window{4, 4, 4, 4, 1, 0}, Window{2, 2, 2, 2, 1, 0}}) {
      const Tensor level = Pool(x, max, p);
      want.insert(want.end(), level.data<float>().begin(), level.data<float>().end());
    }
    ExpectEqual(
        RunLayer("SPP", StrCat("spp_param { pyramid_height: 3 pool: ", max ? "MAX" : "AVE", " }"),
                 {x}),
        F({1, 2 * (1 + 4 + 16)}, want), max ? 0 : 1);
  }
  EXPECT_EQ(RunLayer("SPP", "spp_param { pyramid_height: 1 }", {x}).dims(), (Dims{1, 2, 1, 1}));
  EXPECT_THAT(LayerError("SPP", "spp_param { pyramid_height: 4 }", {x.dims()}),
              HasSubstr("more windows"));
}

}  // namespace
}  // namespace sula::caffe
