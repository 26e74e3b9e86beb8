// Translations of convolution, pooling, products, normalisation, resampling and quantisation.
#include <cmath>

#include "onnx_builder.h"

namespace sula::onnx {
namespace {

constexpr double kEps = 1.2e-7;  // of float32: results are computed in double and rounded once

Tensor Count(Dims dims) {  // 1, 2, 3, ...
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.num_elements(); ++i) t.mutable_data<float>()[i] = i + 1.0f;
  return t;
}
std::vector<int64_t> L(std::initializer_list<int64_t> v) { return v; }

TEST(OnnxConv, AttributesArrive) {
  const Tensor x = Count({1, 1, 3, 3}), w = Make({1, 1, 2, 2}, {1, 0, 0, 1});
  ExpectRun({.op = "Conv", .opset = 1, .inputs = {x, w}}, {Make({1, 1, 2, 2}, {6, 8, 12, 14})});
  ExpectRun({.op = "Conv",
             .opset = 11,
             .inputs = {x, w, Make({1}, {100})},
             .attributes = {Attr("strides", L({2, 2})), Attr("pads", L({1, 1, 0, 0})),
                            Attr("kernel_shape", L({2, 2}))}},
            {Make({1, 1, 2, 2}, {101, 103, 107, 114})});
  ExpectRun({.op = "Conv", .inputs = {x, w}, .attributes = {Attr("dilations", L({2, 2}))}},
            {Make({1, 1, 1, 1}, {10})});
  ExpectRun({.op = "Conv", .inputs = {x, w}, .attributes = {Attr("auto_pad", "SAME_LOWER")}},
            {Make({1, 1, 3, 3}, {1, 2, 3, 4, 6, 8, 7, 12, 14})});
  // Pads beside an auto_pad have no effect.
  ExpectRun({.op = "Conv",
             .inputs = {x, w},
             .attributes = {Attr("auto_pad", "VALID"), Attr("pads", L({0, 0, 0, 0}))}},
            {Make({1, 1, 2, 2}, {6, 8, 12, 14})});
  ExpectRun({.op = "Conv",
             .inputs = {Make({1, 2, 1, 1}, {3, 4}), Make({2, 1, 1, 1}, {5, 6})},
             .attributes = {Attr("group", 2)}},
            {Make({1, 2, 1, 1}, {15, 24})});
}

TEST(OnnxConv, KernelShapeMustAgreeWithTheWeights) {
  OneNode node{.op = "Conv",
               .inputs = {Count({1, 1, 3, 3}), Count({1, 1, 2, 2})},
               .attributes = {Attr("kernel_shape", L({3, 3}))}};
  ExpectError(node.Build().Import(), Code::kInvalidModel, "kernel_shape", "[3,3]", "[1,1,2,2]");
  node.attributes = {Attr("auto_pad", "SOMEHOW")};
  ExpectError(node.Build().Import(), Code::kInvalidModel, "auto_pad", "SOMEHOW");
}

TEST(OnnxConv, Transposed) {
  const Tensor x = Make({1, 1, 1, 2}, {1, 2}), w = Make({1, 1, 1, 2}, {10, 1});
  const AttributeProto stride = Attr("strides", L({1, 2}));
  ExpectRun({.op = "ConvTranspose", .opset = 1, .inputs = {x, w}, .attributes = {stride}},
            {Make({1, 1, 1, 4}, {10, 1, 20, 2})});
  ExpectRun({.op = "ConvTranspose",
             .opset = 11,
             .inputs = {x, w},
             .attributes = {stride, Attr("output_padding", L({0, 1}))}},
            {Make({1, 1, 1, 5}, {10, 1, 20, 2, 0})});
  // Spatial sizes, or all of them as some exporters write.
  for (const auto& shape : {L({1, 3}), L({1, 1, 1, 3})})
    ExpectRun({.op = "ConvTranspose",
               .inputs = {x, w},
               .attributes = {Attr("strides", L({1, 1})), Attr("output_shape", shape)}},
              {Make({1, 1, 1, 3}, {10, 21, 2})});
}

TEST(OnnxPool, AttributesArrive) {
  const Tensor x = Count({1, 1, 3, 3});
  const AttributeProto two = Attr("kernel_shape", L({2, 2}));
  ExpectRun({.op = "MaxPool", .opset = 1, .inputs = {x}, .attributes = {two}},
            {Make({1, 1, 2, 2}, {5, 6, 8, 9})});
  ExpectRun({.op = "MaxPool",
             .opset = 8,
             .inputs = {x},
             .attributes = {two, Attr("storage_order", 1)},
             .outputs = 2},
            {Make({1, 1, 2, 2}, {5, 6, 8, 9}), Make<int64_t>({1, 1, 2, 2}, {4, 7, 5, 8})});
  ExpectRun({.op = "MaxPool",
             .opset = 10,
             .inputs = {x},
             .attributes = {two, Attr("strides", L({2, 2})), Attr("ceil_mode", 1)}},
            {Make({1, 1, 2, 2}, {5, 6, 8, 9})});
  const Attrs padded = {two, Attr("strides", L({2, 2})), Attr("pads", L({1, 1, 0, 0}))};
  ExpectRun({.op = "AveragePool", .opset = 1, .inputs = {x}, .attributes = padded},
            {Make({1, 1, 2, 2}, {1, 2.5f, 5.5f, 7})});
  Attrs counted = padded;
  counted.push_back(Attr("count_include_pad", 1));
  ExpectRun({.op = "AveragePool", .opset = 7, .inputs = {x}, .attributes = counted},
            {Make({1, 1, 2, 2}, {0.25f, 1.25f, 2.75f, 7})});
  ExpectRun({.op = "AveragePool",
             .opset = 19,
             .inputs = {x},
             .attributes = {two, Attr("dilations", L({2, 2}))}},
            {Make({1, 1, 1, 1}, {5})});
  ExpectRun({.op = "GlobalAveragePool", .inputs = {x}}, {Make({1, 1, 1, 1}, {5})});
  ExpectRun({.op = "GlobalMaxPool", .inputs = {x}}, {Make({1, 1, 1, 1}, {9})});
  ExpectRun({.op = "GlobalLpPool", .opset = 1, .inputs = {Make({1, 1, 1, 2}, {3, 4})}},
            {Make({1, 1, 1, 1}, {5})});
  ExpectRun({.op = "GlobalLpPool",
             .opset = 2,
             .inputs = {Make({1, 1, 1, 2}, {3, -4})},
             .attributes = {Attr("p", 1)}},
            {Make({1, 1, 1, 1}, {7})});
  ExpectError(OneNode{.op = "MaxPool", .inputs = {x}}.Build().Import(), Code::kInvalidModel,
              "kernel_shape");
}

TEST(OnnxMatMul, Gemm) {
  const Tensor a = Make({2, 2}, {1, 2, 3, 4}), b = Make({2, 2}, {1, 0, 0, 2});
  ExpectRun({.op = "Gemm", .opset = 11, .inputs = {a, b}}, {Make({2, 2}, {1, 4, 3, 8})});
  const Attrs all = {Attr("alpha", 2.0f), Attr("beta", 0.5f), Attr("transA", 1), Attr("transB", 1)};
  const Tensor product = Make({2, 2}, {2, 12, 4, 16});  // 2 A' B'
  // C as a row, a matrix of one row, a column, a scalar, a full matrix; constant or not.
  const std::vector<std::pair<Tensor, Tensor>> c_and_y = {
      {Make({2}, {2, 4}), Make({2, 2}, {3, 14, 5, 18})},
      {Make({1, 2}, {2, 4}), Make({2, 2}, {3, 14, 5, 18})},
      {Make({2, 1}, {2, 4}), Make({2, 2}, {3, 13, 6, 18})},
      {Make({1}, {2}), Make({2, 2}, {3, 13, 5, 17})},
      {Make({}, {2}), Make({2, 2}, {3, 13, 5, 17})},
      {Make({2, 2}, {2, 4, 6, 8}), Make({2, 2}, {3, 14, 7, 20})}};
  for (const auto& [c, y] : c_and_y) {
    ExpectRun({.op = "Gemm", .opset = 11, .inputs = {a, b, c}, .attributes = all}, {y});
    ExpectRun(
        {.op = "Gemm", .opset = 7, .inputs = {a, b, c}, .attributes = all, .constant = {1, 2}},
        {y});
  }
  ExpectRun({.op = "Gemm",
             .opset = 6,
             .inputs = {a, b, Make({2}, {1, 1})},
             .attributes = {Attr("broadcast", 1)}},
            {Make({2, 2}, {2, 5, 4, 9})});
  ExpectRun(
      {.op = "Gemm", .inputs = {a, b, Make({2}, {NAN, NAN})}, .attributes = {Attr("beta", 0.0f)}},
      {Make({2, 2}, {1, 4, 3, 8})});
  ExpectError(OneNode{.op = "Gemm", .inputs = {Count({1, 2, 2}), b}}.Build().Import(),
              Code::kInvalidModel, "matrix", "[1,2,2]");
}

TEST(OnnxMatMul, GemmWithARowIsOneNode) {
  auto nodes = [](const Tensor& c, const Attrs& attributes) {
    auto g = OneNode{.op = "Gemm",
                     .inputs = {Count({3, 2}), Count({2, 2}), c},
                     .attributes = attributes,
                     .constant = {1, 2}}
                 .Build()
                 .Import();
    return g ? g->num_nodes() : -1;
  };
  EXPECT_EQ(nodes(Make({2}, {1, 2}), {}), 1);
  EXPECT_EQ(nodes(Make({1, 2}, {1, 2}), {}), 1);
  EXPECT_EQ(nodes(Make({3, 1}, {1, 2, 3}), {}), 2);
}

TEST(OnnxMatMul, MatMul) {
  ExpectRun({.op = "MatMul", .inputs = {Count({2, 1, 2}), Make({2, 1}, {1, 10})}},
            {Make({2, 1, 1}, {21, 43})});
}

TEST(OnnxNorm, BatchNormalizationOfEveryForm) {
  const Tensor x = Make({1, 2, 1, 2}, {1, 3, 5, 7});
  const Tensor scale = Make({2}, {2, 1}), bias = Make({2}, {0, 10}), mean = Make({2}, {1, 5}),
               var = Make({2}, {4, 1});
  const Tensor want = Make({1, 2, 1, 2}, {0, 2, 10, 12});
  const Attrs no_epsilon = {Attr("epsilon", 0.0f)};
  for (int64_t opset : {1, 6, 7, 9, 14, 15}) {
    Attrs attributes = no_epsilon;
    if (opset < 7) attributes.push_back(Attr("is_test", 1));
    if (opset < 9) attributes.push_back(Attr("spatial", 1));
    ExpectRun({.op = "BatchNormalization",
               .opset = opset,
               .inputs = {x, scale, bias, mean, var},
               .attributes = attributes},
              {want});
  }
  // spatial=0: statistics for each activation.
  auto each = [](float a, float b) { return Make({2, 1, 2}, {a, a, b, b}); };
  ExpectRun({.op = "BatchNormalization",
             .opset = 8,
             .inputs = {x, each(2, 1), each(0, 10), each(1, 5), each(4, 1)},
             .attributes = {Attr("epsilon", 0.0f), Attr("spatial", 0)}},
            {want});
  OneNode training{.op = "BatchNormalization",
                   .opset = 14,
                   .inputs = {x, scale, bias, mean, var},
                   .attributes = {Attr("training_mode", 1)}};
  ExpectError(training.Build().Import(), Code::kUnsupported, "training");
  training.attributes.clear();
  training.opset = 7;
  training.outputs = 3;
  ExpectError(training.Build().Import(), Code::kUnsupported, "training");
}

TEST(OnnxNorm, OperatorsMapByName) {
  const Tensor x = Make({1, 2, 2}, {1, 3, 10, 30});
  const Tensor one = Make({2}, {1, 1}), zero = Make({2}, {0, 0});
  const AttributeProto epsilon = Attr("epsilon", 0.0f);
  const Tensor normal = Make({1, 2, 2}, {-1, 1, -1, 1});
  for (int64_t opset : {1, 6, 22})
    ExpectRun({.op = "InstanceNormalization",
               .opset = opset,
               .inputs = {x, one, zero},
               .attributes = {epsilon}},
              {normal});
  ExpectRun({.op = "LayerNormalization", .inputs = {x, one, zero}, .attributes = {epsilon}},
            {normal});
  ExpectRun({.op = "GroupNormalization",
             .opset = 21,
             .inputs = {x, one, zero},
             .attributes = {epsilon, Attr("num_groups", 2)}},
            {normal});
  // Opset 18 has scale and bias by group.
  ExpectRun({.op = "GroupNormalization",
             .opset = 18,
             .inputs = {Make({1, 4, 1}, {1, 3, 10, 30}), Make({2}, {1, 2}), Make({2}, {0, 5})},
             .attributes = {epsilon, Attr("num_groups", 2)}},
            {Make({1, 4, 1}, {-1, 1, 3, 7})});
  ExpectRun({.op = "RMSNormalization",
             .opset = 23,
             .inputs = {Make({1, 2}, {1, 7}), one},
             .attributes = {epsilon}},
            {Make({1, 2}, {0.2f, 1.4f})}, kEps);
  ExpectRun({.op = "LRN",
             .inputs = {Make({1, 1, 1, 1}, {2})},
             .attributes = {Attr("size", 1), Attr("alpha", 1.0f), Attr("beta", 1.0f),
                            Attr("bias", 4.0f)}},
            {Make({1, 1, 1, 1}, {0.25f})});
  ExpectRun({.op = "LpNormalization", .inputs = {Make({1, 2}, {3, -4})}},
            {Make({1, 2}, {0.6f, -0.8f})}, kEps);
  ExpectRun(
      {.op = "LpNormalization", .inputs = {Make({1, 2}, {3, -1})}, .attributes = {Attr("p", 1)}},
      {Make({1, 2}, {0.75f, -0.25f})});
  ExpectRun(
      {.op = "MeanVarianceNormalization", .inputs = {x}, .attributes = {Attr("axes", L({2}))}},
      {normal}, 4 * kEps);
}

// Before opset 13 softmax ran over all axes from `axis` on.
TEST(OnnxNorm, SoftmaxBeforeAndAfterOpset13) {
  const Tensor x = Tensor(DType::kFloat32, {2, 2, 2});
  auto all = [&](float v) {
    Tensor t(DType::kFloat32, {2, 2, 2});
    for (float& e : t.mutable_data<float>()) e = v;
    return t;
  };
  ExpectRun({.op = "Softmax", .opset = 1, .inputs = {x}}, {all(0.25f)});
  ExpectRun({.op = "Softmax", .opset = 11, .inputs = {x}, .attributes = {Attr("axis", 0)}},
            {all(0.125f)});
  ExpectRun({.op = "Softmax", .opset = 11, .inputs = {x}, .attributes = {Attr("axis", -1)}},
            {all(0.5f)});
  ExpectRun({.op = "Softmax", .opset = 13, .inputs = {x}}, {all(0.5f)});
  ExpectRun({.op = "Softmax", .opset = 13, .inputs = {x}, .attributes = {Attr("axis", 0)}},
            {all(0.5f)});
  ExpectRun({.op = "LogSoftmax", .opset = 1, .inputs = {x}}, {all(-std::log(4.0f))}, kEps);
  ExpectRun({.op = "Hardmax", .opset = 1, .inputs = {x}},
            {Make({2, 2, 2}, {1, 0, 0, 0, 1, 0, 0, 0})});
  ExpectRun({.op = "Hardmax", .opset = 13, .inputs = {x}},
            {Make({2, 2, 2}, {1, 0, 1, 0, 1, 0, 1, 0})});
  ExpectError(OneNode{.op = "Softmax", .opset = 11, .inputs = {x}, .attributes = {Attr("axis", 4)}}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "axis", "4");
}

TEST(OnnxResize, UpsampleOfEveryForm) {
  const Tensor x = Make({1, 1, 1, 2}, {1, 2});
  const Tensor want = Make({1, 1, 1, 4}, {1, 1, 2, 2});
  ExpectRun({.op = "Upsample",
             .opset = 1,
             .inputs = {x},
             .attributes = {Attr("height_scale", 1.0f), Attr("width_scale", 2.0f)}},
            {want});
  ExpectRun({.op = "Upsample",
             .opset = 7,
             .inputs = {x},
             .attributes = {Attr("scales", std::vector<float>{1, 1, 1, 2})}},
            {want});
  for (std::vector<int> constant : {std::vector<int>{}, std::vector<int>{1}})
    ExpectRun({.op = "Upsample",
               .opset = 9,
               .inputs = {x, Make({4}, {1, 1, 1, 2})},
               .constant = constant},
              {want});
  ExpectRun({.op = "Upsample",
             .opset = 9,
             .inputs = {x, Make({4}, {1, 1, 1, 2})},
             .attributes = {Attr("mode", "linear")},
             .constant = {1}},
            {Make({1, 1, 1, 4}, {1, 1.5f, 2, 2})});
}

// Opset 10 rounds down where it enlarges and up where it shrinks.
TEST(OnnxResize, Opset10) {
  const Tensor x = Count({1, 1, 2, 4});
  auto run = [&](float h, float w, const Tensor& want) {
    ExpectRun(
        {.op = "Resize", .opset = 10, .inputs = {x, Make({4}, {1, 1, h, w})}, .constant = {1}},
        {want});
  };
  run(1, 2, Make({1, 1, 2, 8}, {1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8}));
  run(0.6f, 0.6f, Make({1, 1, 1, 2}, {1, 3}));
  run(2, 0.6f, Make({1, 1, 4, 2}, {1, 3, 1, 3, 5, 7, 5, 7}));
  ExpectError(
      OneNode{.op = "Resize", .opset = 10, .inputs = {x, Make({4}, {1, 1, 2, 2})}}.Build().Import(),
      Code::kUnsupported, "scales");
}

TEST(OnnxResize, ScalesAndSizes) {
  const Tensor x = Make({1, 1, 1, 2}, {1, 2});
  const Tensor scales = Make({4}, {1, 1, 1, 2}), sizes = Ints({1, 1, 1, 4});
  const Tensor nearest = Make({1, 1, 1, 4}, {1, 1, 2, 2});
  ExpectRun({.op = "Resize", .opset = 11, .inputs = {x, Make({0}, {}), scales}}, {nearest});
  ExpectRun({.op = "Resize",
             .opset = 11,
             .inputs = {x, Make({0}, {}), Make({0}, {}), sizes},
             .constant = {1, 2, 3}},
            {nearest});
  ExpectRun({.op = "Resize",
             .opset = 19,
             .inputs = {x, Absent(), Absent(), Ints({4})},
             .attributes = {Attr("axes", L({3})), Attr("mode", "linear"),
                            Attr("coordinate_transformation_mode", "asymmetric")}},
            {Make({1, 1, 1, 4}, {1, 1.5f, 2, 2})});
  ExpectRun({.op = "Resize",
             .opset = 11,
             .inputs = {x, Make({0}, {}), scales},
             .attributes = {Attr("coordinate_transformation_mode", "tf_half_pixel_for_nn"),
                            Attr("nearest_mode", "floor")}},
            {nearest});
  ExpectError(
      OneNode{.op = "Resize", .opset = 13, .inputs = {x, Absent(), scales, sizes}}.Build().Import(),
      Code::kInvalidModel, "exactly one");
  ExpectError(OneNode{.op = "Resize", .opset = 13, .inputs = {x}}.Build().Import(),
              Code::kInvalidModel, "exactly one");
}

TEST(OnnxResize, GridSample) {
  const Tensor x = Make({1, 1, 1, 2}, {1, 3}), at = Make({1, 1, 1, 2}, {0, 0});
  for (const char* mode : {"bilinear", "linear"})
    ExpectRun(
        {.op = "GridSample", .opset = 16, .inputs = {x, at}, .attributes = {Attr("mode", mode)}},
        {Make({1, 1, 1, 1}, {2})});
}

TEST(OnnxQuant, OperatorsMapByName) {
  const Tensor x = Make({4}, {-1, 0, 0.75f, 200}), scale = Make({}, {0.5f});
  const Tensor q = Make<uint8_t>({4}, {8, 10, 12, 255});  // 1.5 rounds to even
  ExpectRun({.op = "QuantizeLinear", .opset = 10, .inputs = {x, scale, Make<uint8_t>({}, {10})}},
            {q});
  ExpectRun({.op = "QuantizeLinear", .opset = 13, .inputs = {x, scale}},
            {Make<uint8_t>({4}, {0, 0, 2, 255})});
  ExpectRun({.op = "QuantizeLinear",
             .opset = 21,
             .inputs = {x, scale},
             .attributes = {Attr("output_dtype", TensorProto::INT8)}},
            {Make<int8_t>({4}, {-2, 0, 2, 127})});
  ExpectRun({.op = "DequantizeLinear", .opset = 10, .inputs = {q, scale, Make<uint8_t>({}, {10})}},
            {Make({4}, {-1, 0, 1, 122.5f})});
  ExpectRun({.op = "DequantizeLinear",
             .opset = 13,
             .inputs = {Make<int8_t>({2, 1}, {4, 4}), Make({2}, {1, 2})},
             .attributes = {Attr("axis", 0)}},
            {Make({2, 1}, {4, 8})});
  ExpectRun({.op = "DequantizeLinear",
             .opset = 23,
             .inputs = {q, scale},
             .attributes = {Attr("output_dtype", TensorProto::DOUBLE)}},
            {Make<double>({4}, {4, 5, 6, 127.5})});
  ExpectRun(
      {.op = "DynamicQuantizeLinear", .opset = 11, .inputs = {Make({2}, {0, 255})}, .outputs = 3},
      {Make<uint8_t>({2}, {0, 255}), Make({}, {1}), Make<uint8_t>({}, {0})});
  const Tensor a = Make<uint8_t>({1, 2}, {1, 2}), b = Make<uint8_t>({2, 1}, {3, 4});
  ExpectRun({.op = "MatMulInteger", .opset = 10, .inputs = {a, b}}, {Make<int32_t>({1, 1}, {11})});
  const Tensor s1 = Make({}, {1}), z = Make<uint8_t>({}, {0});
  ExpectRun({.op = "QLinearMatMul", .opset = 10, .inputs = {a, s1, z, b, s1, z, s1, z}},
            {Make<uint8_t>({1, 1}, {11})});
  const Tensor image = Make<uint8_t>({1, 1, 1, 2}, {1, 2}), w = Make<uint8_t>({1, 1, 1, 2}, {3, 4});
  ExpectRun({.op = "ConvInteger", .opset = 10, .inputs = {image, w}},
            {Make<int32_t>({1, 1, 1, 1}, {11})});
  ExpectRun({.op = "QLinearConv", .opset = 10, .inputs = {image, s1, z, w, s1, z, s1, z}},
            {Make<uint8_t>({1, 1, 1, 1}, {11})});
  ExpectError(OneNode{.op = "QuantizeLinear",
                      .opset = 21,
                      .inputs = {x, scale, Make<uint8_t>({}, {10})},
                      .attributes = {Attr("output_dtype", TensorProto::INT8)}}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "output_dtype");
}

}  // namespace
}  // namespace sula::onnx
