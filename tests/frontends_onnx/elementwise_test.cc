// Translations of element-wise operators: attributes, defaults, and the forms of old operator sets.
#include <cmath>
#include <limits>

#include "onnx_builder.h"

namespace sula::onnx {
namespace {

constexpr double kEps = 1.2e-7;  // of float32: results are computed in double and rounded once

TEST(OnnxElementwise, UnaryOperatorsMapByName) {
  const float v = 0.3f;
  const double x = v;
  const std::vector<std::pair<std::string, double>> all = {
      {"Abs", x},
      {"Acos", std::acos(x)},
      {"Asin", std::asin(x)},
      {"Asinh", std::asinh(x)},
      {"Atan", std::atan(x)},
      {"Atanh", std::atanh(x)},
      {"Ceil", 1},
      {"Cos", std::cos(x)},
      {"Cosh", std::cosh(x)},
      {"Erf", std::erf(x)},
      {"Exp", std::exp(x)},
      {"Floor", 0},
      {"HardSwish", x * (x / 6 + 0.5)},
      {"Identity", x},
      {"Log", std::log(x)},
      {"Mish", x * std::tanh(std::log1p(std::exp(x)))},
      {"Neg", -x},
      {"Reciprocal", 1 / x},
      {"Relu", x},
      {"Round", 0},
      {"Sigmoid", 1 / (1 + std::exp(-x))},
      {"Sign", 1},
      {"Sin", std::sin(x)},
      {"Sinh", std::sinh(x)},
      {"Softplus", std::log1p(std::exp(x))},
      {"Softsign", x / (1 + x)},
      {"Sqrt", std::sqrt(x)},
      {"Tan", std::tan(x)},
      {"Tanh", std::tanh(x)},
  };
  for (const auto& [op, want] : all)
    ExpectRun({.op = op, .opset = 22, .inputs = {Make({1}, {v})}},
              {Make({1}, {static_cast<float>(want)})}, kEps);
  ExpectRun({.op = "Acosh", .inputs = {Make({1}, {2})}},
            {Make({1}, {static_cast<float>(std::acosh(2.0))})}, kEps);
  ExpectRun({.op = "Not", .inputs = {Make<bool>({2}, {true, false})}},
            {Make<bool>({2}, {false, true})});
  ExpectRun({.op = "IsNaN", .inputs = {Make({2}, {NAN, 1})}}, {Make<bool>({2}, {true, false})});
}

TEST(OnnxElementwise, ConsumedInputsOfOpset1AreIgnored) {
  for (const char* op : {"Relu", "Exp", "Tanh", "Neg"})
    EXPECT_TRUE((OneNode{.op = op,
                         .opset = 1,
                         .inputs = {Make({1}, {1})},
                         .attributes = {Attr("consumed_inputs", std::vector<int64_t>{0})}})
                    .Run()
                    .has_value())
        << op;
}

TEST(OnnxElementwise, AlphaAndItsDefaults) {
  auto f = [](double v) { return Make({1}, {static_cast<float>(v)}); };
  const Tensor x = Make({1}, {-2});
  const Attrs half = {Attr("alpha", 0.5f)};
  auto run = [&](const char* op, const Attrs& attributes, double want) {
    ExpectRun({.op = op, .opset = 24, .inputs = {x}, .attributes = attributes}, {f(want)}, kEps);
  };
  run("LeakyRelu", {}, -2 * double{0.01f});
  run("LeakyRelu", half, -1);
  run("Elu", {}, std::exp(-2.0) - 1);
  run("Elu", half, 0.5 * (std::exp(-2.0) - 1));
  run("Celu", {}, std::exp(-2.0) - 1);
  run("Celu", half, 0.5 * (std::exp(-4.0) - 1));
  run("Swish", {}, -2 / (1 + std::exp(2.0)));
  run("Swish", half, -2 / (1 + std::exp(1.0)));
  run("HardSigmoid", {}, 0.5 - 2 * double{0.2f});
  run("HardSigmoid", {Attr("alpha", 0.125f), Attr("beta", 1.0f)}, 0.75);
  run("Selu", {},
      double{1.05070102214813232421875f} * double{1.67326319217681884765625f} *
          (std::exp(-2.0) - 1));
  run("Selu", {Attr("alpha", 1.0f), Attr("gamma", 2.0f)}, 2 * (std::exp(-2.0) - 1));
  run("ThresholdedRelu", {}, 0);
  run("ThresholdedRelu", {Attr("alpha", -3.0f)}, -2);
  run("Gelu", {}, -2 * 0.5 * std::erfc(std::sqrt(2.0)));
  run("Gelu", {Attr("approximate", "tanh")},
      -1 * (1 + std::tanh(std::sqrt(2 / M_PI) * (-2 + 0.044715 * -8))));
  ExpectRun({.op = "Selu", .opset = 1, .inputs = {x}},  // rounded constants
            {f(double{1.0507f} * double{1.6732f} * (std::exp(-2.0) - 1))}, kEps);
}

TEST(OnnxElementwise, Shrink) {
  ExpectRun({.op = "Shrink",
             .inputs = {Make({5}, {-2, -1, 0, 1, 2})},
             .attributes = {Attr("lambd", 1.5f), Attr("bias", 0.5f)}},
            {Make({5}, {-1.5, 0, 0, 0, 1.5})});
  ExpectRun({.op = "Shrink", .inputs = {Make<int8_t>({3}, {-2, 0, 2})}},
            {Make<int8_t>({3}, {-2, 0, 2})});
}

TEST(OnnxElementwise, SwiGlu) {
  ExpectRun({.op = "SwiGLU",
             .opset = 28,
             .inputs = {Make({1}, {2}), Make({1}, {3})},
             .attributes = {Attr("alpha", 0.5f)}},
            {Make({1}, {static_cast<float>(6 / (1 + std::exp(-1.0)))})}, 3 * kEps);
}

TEST(OnnxElementwise, IsInfOfOneSign) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = Make({4}, {inf, -inf, 1, NAN});
  auto run = [&](const Attrs& attributes, Tensor want) {
    ExpectRun({.op = "IsInf", .opset = 20, .inputs = {x}, .attributes = attributes}, {want});
  };
  run({}, Make<bool>({4}, {true, true, false, false}));
  run({Attr("detect_negative", 0)}, Make<bool>({4}, {true, false, false, false}));
  run({Attr("detect_positive", 0)}, Make<bool>({4}, {false, true, false, false}));
  run({Attr("detect_positive", 0), Attr("detect_negative", 0)},
      Make<bool>({4}, {false, false, false, false}));
}

TEST(OnnxElementwise, Cast) {
  const Tensor x = Make({3}, {-1.7f, 0, 2.5f});
  ExpectRun({.op = "Cast", .inputs = {x}, .attributes = {Attr("to", TensorProto::INT64)}},
            {Make<int64_t>({3}, {-1, 0, 2})});
  ExpectRun({.op = "Cast", .opset = 1, .inputs = {x}, .attributes = {Attr("to", "INT32")}},
            {Make<int32_t>({3}, {-1, 0, 2})});
  ExpectRun({.op = "Cast", .opset = 5, .inputs = {x}, .attributes = {Attr("to", "BOOL")}},
            {Make<bool>({3}, {true, false, true})});
  ExpectRun({.op = "CastLike", .opset = 19, .inputs = {x, Make<double>({1}, {0})}},
            {Make<double>({3}, {double{-1.7f}, 0, 2.5})});
  auto import = [&](int64_t opset, AttributeProto to) {
    return OneNode{.op = "Cast", .opset = opset, .inputs = {x}, .attributes = {to}}
        .Build()
        .Import();
  };
  ExpectError(import(13, Attr("to", TensorProto::UINT16)), Code::kUnsupported, "uint16");
  ExpectError(import(13, Attr("to", 1000)), Code::kInvalidModel, "1000");
  ExpectError(import(13, Attr("to", int64_t{1} << 40)), Code::kInvalidModel, "'to'");
  ExpectError(import(1, Attr("to", "QUATERNION")), Code::kInvalidModel, "QUATERNION");
  ExpectError(OneNode{.op = "Cast", .inputs = {x}}.Build().Import(), Code::kInvalidModel, "'to'");
}

TEST(OnnxElementwise, ClipByAttributesAndByInputs) {
  const Tensor x = Make({3}, {-5, 1, 9});
  const Attrs bounds = {Attr("min", 0.0f), Attr("max", 6.0f)};
  for (int64_t opset : {1, 6, 10})
    ExpectRun({.op = "Clip", .opset = opset, .inputs = {x}, .attributes = bounds},
              {Make({3}, {0, 1, 6})});
  ExpectRun({.op = "Clip", .opset = 6, .inputs = {x}, .attributes = {Attr("min", 0.0f)}},
            {Make({3}, {0, 1, 9})});
  ExpectRun({.op = "Clip", .opset = 11, .inputs = {x, Make({}, {0}), Make({}, {6})}},
            {Make({3}, {0, 1, 6})});
  ExpectRun({.op = "Clip", .opset = 13, .inputs = {x, Absent(), Make({}, {6})}},
            {Make({3}, {-5, 1, 6})});
  // An attribute of the old form is no part of the new one.
  ExpectError(
      OneNode{.op = "Clip", .opset = 13, .inputs = {x}, .attributes = bounds}.Build().Import(),
      Code::kUnsupported, "attribute 'max'");
}

TEST(OnnxElementwise, DropoutIsIdentity) {
  const Tensor x = Make({2}, {3, 4});
  for (int64_t opset : {1, 6, 7, 10})
    ExpectRun({.op = "Dropout", .opset = opset, .inputs = {x}, .attributes = {Attr("ratio", 0.9f)}},
              {x});
  ExpectRun({.op = "Dropout", .opset = 13, .inputs = {x, Make({}, {0.5f})}}, {x});
  ExpectRun({.op = "Dropout",
             .opset = 13,
             .inputs = {x, Absent(), Make<bool>({}, {false})},
             .constant = {2}},
            {x});
  ExpectRun({.op = "Dropout", .opset = 13, .inputs = {x}, .outputs = 2},
            {x, Make<bool>({2}, {true, true})});
  ExpectRun({.op = "Dropout", .opset = 7, .inputs = {x}, .outputs = 2}, {x, Make({2}, {1, 1})});
  ExpectError(OneNode{.op = "Dropout",
                      .opset = 13,
                      .inputs = {x, Absent(), Make<bool>({}, {true})},
                      .constant = {2}}
                  .Build()
                  .Import(),
              Code::kUnsupported, "training");
  ExpectError(
      OneNode{.op = "Dropout", .opset = 6, .inputs = {x}, .attributes = {Attr("is_test", 0)}}
          .Build()
          .Import(),
      Code::kUnsupported, "training");
}

TEST(OnnxElementwise, BinaryOperatorsMapByName) {
  const Tensor a = Make({2}, {7, -7}), b = Make({2}, {2, 2});
  const std::vector<std::tuple<std::string, float, float>> arithmetic = {
      {"Add", 9, -5},  {"Sub", 5, -9}, {"Mul", 14, -14}, {"Div", 3.5, -3.5},
      {"Pow", 49, 49}, {"Max", 7, 2},  {"Min", 2, -7},   {"PRelu", 7, -14}};
  for (const auto& [op, x, y] : arithmetic)
    ExpectRun({.op = op, .inputs = {a, b}}, {Make({2}, {x, y})});
  const std::vector<std::tuple<std::string, bool, bool>> relations = {
      {"Equal", false, false},
      {"Greater", true, false},
      {"GreaterOrEqual", true, false},
      {"Less", false, true},
      {"LessOrEqual", false, true}};
  for (const auto& [op, x, y] : relations)
    ExpectRun({.op = op, .inputs = {a, b}}, {Make<bool>({2}, {x, y})});
  const Tensor p = Make<bool>({2}, {true, false}), q = Make<bool>({2}, {true, true});
  ExpectRun({.op = "And", .inputs = {p, q}}, {Make<bool>({2}, {true, false})});
  ExpectRun({.op = "Or", .inputs = {p, q}}, {Make<bool>({2}, {true, true})});
  ExpectRun({.op = "Xor", .inputs = {p, q}}, {Make<bool>({2}, {false, true})});
  ExpectRun({.op = "Where", .inputs = {p, a, b}}, {Make({2}, {7, 2})});
  ExpectRun({.op = "Mod", .inputs = {Ints({-7}), Ints({3})}}, {Ints({2})});
  ExpectRun({.op = "Mod", .inputs = {Ints({-7}), Ints({3})}, .attributes = {Attr("fmod", 1)}},
            {Ints({-1})});
}

// Up to opset 6 the second operand is aligned at an axis of the first.
TEST(OnnxElementwise, OldBroadcast) {
  const Tensor a = Tensor::From<float>({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const Tensor b = Make({3}, {10, 20, 30});
  const Tensor want = Make({2, 3, 2}, {10, 11, 22, 23, 34, 35, 16, 17, 28, 29, 40, 41});
  const Attrs at1 = {Attr("broadcast", 1), Attr("axis", 1)};
  for (int64_t opset : {1, 6})
    ExpectRun({.op = "Add", .opset = opset, .inputs = {a, b}, .attributes = at1}, {want});
  ExpectRun({.op = "Add",
             .opset = 6,
             .inputs = {a, b},
             .attributes = {Attr("broadcast", 1), Attr("axis", -2)}},
            {want});
  ExpectRun({.op = "Sub",
             .opset = 6,
             .inputs = {a, Make({2}, {1, 2})},
             .attributes = {Attr("broadcast", 1)}},  // without an axis: at the end
            {Make({2, 3, 2}, {-1, -1, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9})});
  ExpectRun({.op = "Greater",
             .opset = 1,
             .inputs = {Make({2, 1}, {1, 2}), Make({2}, {0, 3})},
             .attributes = {Attr("broadcast", 1), Attr("axis", 0)}},
            {Make<bool>({2, 1}, {true, false})});
  ExpectError(
      OneNode{.op = "Add", .opset = 6, .inputs = {b, a}, .attributes = at1}.Build().Import(),
      Code::kInvalidModel, "axis", "node");
}

// Up to opset 6 a slope of one axis belongs to the channels.
TEST(OnnxElementwise, OldPRelu) {
  const Tensor x = Make({1, 2, 1, 2}, {-1, 1, -1, -1});
  ExpectRun({.op = "PRelu", .opset = 6, .inputs = {x, Make({2}, {2, 3})}},
            {Make({1, 2, 1, 2}, {-2, 1, -3, -3})});
  ExpectRun({.op = "PRelu", .opset = 6, .inputs = {x, Make({1}, {5})}},
            {Make({1, 2, 1, 2}, {-5, 1, -5, -5})});
  ExpectRun({.op = "PRelu", .opset = 9, .inputs = {x, Make({2}, {2, 3})}},  // numpy's rule
            {Make({1, 2, 1, 2}, {-2, 1, -2, -3})});
}

TEST(OnnxElementwise, VariadicOperatorsAreChains) {
  const Tensor a = Make({2}, {1, 5}), b = Make({1}, {4}), c = Make({2}, {7, 0});
  ExpectRun({.op = "Sum", .inputs = {a, b, c}}, {Make({2}, {12, 9})});
  ExpectRun({.op = "Mean", .inputs = {a, b, c}}, {Make({2}, {4, 3})});
  ExpectRun({.op = "Max", .inputs = {a, b, c}}, {Make({2}, {7, 5})});
  ExpectRun({.op = "Min", .inputs = {a, b, c}}, {Make({2}, {1, 0})});
  for (const char* op : {"Sum", "Mean", "Max", "Min"}) ExpectRun({.op = op, .inputs = {a}}, {a});
}

TEST(OnnxElementwise, TypesOutsideAnOperatorAreUnsupported) {
  ExpectError(OneNode{.op = "Sin", .inputs = {Ints({1})}}.Build().Import(), Code::kUnsupported,
              "Sin", "int64", "node");
}

}  // namespace
}  // namespace sula::onnx
