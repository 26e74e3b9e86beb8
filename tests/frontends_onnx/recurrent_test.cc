// Translations of RNN, GRU and LSTM. What the operators compute is tested with them; here, that
// every input and attribute arrives.
#include "ops/recurrent.h"

#include "onnx_builder.h"

namespace sula::onnx {
namespace {

constexpr double kEps = 1.2e-7;  // of float32: results are computed in double and rounded once

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

AttributeProto Attr(const std::string& name, const Names& values) {
  AttributeProto a = Named(name, AttributeProto::STRINGS);
  for (const std::string& v : values) a.add_strings(v);
  return a;
}
using onnx::Attr;

const Tensor kAbsent;
Tensor F(Dims dims, std::initializer_list<float> values) { return Make(std::move(dims), values); }

// One unit, one input: w = 1, r = 0.5.
OneNode SmallRnn() {
  return {.op = "RNN",
          .opset = 14,
          .inputs = {F({2, 1, 1}, {1, -2}), F({1, 1, 1}, {1}), F({1, 1, 1}, {.5f})},
          .attributes = {Attr("hidden_size", 1)},
          .outputs = 2};
}

TEST(OnnxRecurrent, RnnOfEveryOpset) {
  const double h1 = std::tanh(1), h2 = std::tanh(-2 + .5 * h1);
  for (int64_t opset : {1, 7, 14, 22}) {
    OneNode node = SmallRnn();
    node.opset = opset;
    if (opset == 1) node.attributes.push_back(Attr("output_sequence", 1));
    ExpectRun(node,
              {F({2, 1, 1, 1}, {static_cast<float>(h1), static_cast<float>(h2)}),
               F({1, 1, 1}, {static_cast<float>(h2)})},
              kEps);
  }
}

TEST(OnnxRecurrent, ActivationsTakeTheirNumbersInOrder) {
  OneNode node = SmallRnn();
  node.inputs[1] = F({2, 1, 1}, {1, 1});
  node.inputs[2] = F({2, 1, 1}, {.5f, .5f});
  node.attributes = {Attr("direction", "bidirectional"),
                     Attr("activations", Names{"Relu", "affine"}),
                     Attr("activation_alpha", std::vector<float>{2}),
                     Attr("activation_beta", std::vector<float>{.25f})};
  node.outputs = 1;
  // Forwards: relu(1), relu(-2 + 0.5). Backwards: 2 * -2 + 0.25, 2 * (1 + 0.5 * -3.75) + 0.25.
  ExpectRun(node, {F({2, 2, 1, 1}, {1, -1.5f, 0, -3.75f})}, kEps);
  node.attributes[2] = Attr("activation_alpha", std::vector<float>{2, 3});
  ExpectError(node.Build().Import(), Code::kUnsupported, "activation_alpha");
  node.attributes[1] = Attr("activations", Names{"Relu", "Sinc"});
  ExpectError(node.Build().Import(), Code::kInvalidModel, "activations", "Sinc");
  node.attributes[1] = Attr("activations", Names{"Relu"});
  node.attributes.resize(2);
  ExpectError(node.Build().Import(), Code::kInvalidModel, "1 activations given, expected 2");
}

TEST(OnnxRecurrent, LayoutLengthsAndClip) {
  OneNode node = SmallRnn();
  node.inputs = {
      F({2, 3, 1}, {1, 2, 3, 4, 5, 6}), F({1, 1, 1}, {1}),          F({1, 1, 1}, {.5f}),
      F({1, 2}, {.25f, .25f}),          Make<int32_t>({2}, {2, 3}), F({2, 1, 1}, {8, 10})};
  node.attributes = {Attr("layout", 1), Attr("activations", Names{"Relu"}), Attr("clip", 9.0f),
                     Attr("direction", "reverse")};
  // Sequence 0: 2 + 0.5 * 8 + 0.5, 1 + 0.5 * 6.5 + 0.5; sequence 1: 9 (of 11.5), 9 (10), 9 (9).
  ExpectRun(node, {F({2, 3, 1, 1}, {4.75f, 6.5f, 0, 9, 9, 9}), F({2, 1, 1}, {4.75f, 9})}, kEps);
}

TEST(OnnxRecurrent, GruAndLstmFlags) {
  const Tensor x = F({1, 1, 1}, {1}), h = F({1, 1, 1}, {2}), c = F({1, 1, 1}, {3});
  OneNode gru = {.op = "GRU",
                 .opset = 7,
                 .inputs = {x, F({1, 3, 1}, {.1f, .2f, .3f}), F({1, 3, 1}, {.4f, .5f, .6f}),
                            F({1, 6}, {0, 0, 0, 0, 0, .7f}), kAbsent, h}};
  const double z = Sigmoid(.9), r = Sigmoid(1.2);
  for (int linear : {0, 1}) {
    const double n = std::tanh(.3 + (linear ? r * (1.2 + .7) : .6 * r * 2 + .7));
    gru.attributes = {Attr("linear_before_reset", linear)};
    ExpectRun(gru, {F({1, 1, 1, 1}, {static_cast<float>((1 - z) * n + z * 2)})}, 1e-6);
  }
  OneNode lstm = {.op = "LSTM",
                  .opset = 14,
                  .inputs = {x, F({1, 4, 1}, {.1f, .2f, .3f, .4f}), F({1, 4, 1}, {0, 0, 0, 0}),
                             kAbsent, kAbsent, h, c, F({1, 3}, {.5f, .6f, .7f})},
                  .outputs = 3};
  for (int coupled : {0, 1}) {
    const double i = Sigmoid(.1 + 1.5), f = coupled ? 1 - i : Sigmoid(.3 + 2.1);
    const double cell = 3 * f + i * std::tanh(.4), o = Sigmoid(.2 + .6 * cell);
    const auto y = static_cast<float>(o * std::tanh(cell));
    lstm.attributes = {Attr("input_forget", coupled)};
    // The weights are rounded to float.
    ExpectRun(lstm,
              {F({1, 1, 1, 1}, {y}), F({1, 1, 1}, {y}), F({1, 1, 1}, {static_cast<float>(cell)})},
              1e-6);
  }
}

TEST(OnnxRecurrent, WrongHiddenSize) {
  OneNode node = SmallRnn();
  node.attributes = {Attr("hidden_size", 2)};
  ExpectError(node.Build().Import(), Code::kInvalidModel, "'hidden_size' is 2", "[1,1,1]");
  node = SmallRnn();
  node.inputs.resize(2);
  ExpectError(node.Build().Import(), Code::kInvalidModel, "3 to 6");
}

}  // namespace
}  // namespace sula::onnx
