#include "ops/recurrent.h"

#include <functional>

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Vector = std::vector<double>;

// Double inputs: what is left is the error of a few double operations.
constexpr double kTiny = 1e-12;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The kinds of layer, so that one test can speak of all three.
struct Kind {
  const OpDef& op;
  int gates, functions, keep;
  bool cell;
};
const Kind kRnn = {op::kRnn, 1, 1, 6, false}, kGru = {op::kGru, 3, 2, 6, false},
           kLstm = {op::kLstm, 4, 3, 8, true};
const Kind* const kKinds[] = {&kRnn, &kGru, &kLstm};

// Any params as those of the kind.
Params Make(const Kind& kind, const RecurrentParams& p) {
  if (&kind == &kGru) return Params::Of(GruParams{p});
  if (&kind == &kLstm) return Params::Of(LstmParams{p});
  return Params::Of(p);
}

constexpr int64_t kSteps = 4, kBatch = 3, kInputs = 2, kUnits = 3;

// All inputs but lens and keep; `directions` of weights.
Inputs Everything(const Kind& kind, int64_t directions) {
  const int64_t rows = kind.gates * kUnits;
  Inputs inputs = {To<double>(Ramp({kSteps, kBatch, kInputs}, 1)),
                   To<double>(Ramp({directions, rows, kInputs}, 2)),
                   To<double>(Ramp({directions, rows, kUnits}, 3)),
                   To<double>(Ramp({directions, 2 * rows}, 4)),
                   std::nullopt,
                   To<double>(Ramp({directions, kBatch, kUnits}, 5))};
  if (kind.cell) {
    inputs.push_back(To<double>(Ramp({directions, kBatch, kUnits}, 6)));
    inputs.push_back(To<double>(Ramp({directions, 3 * kUnits}, 7)));
  }
  inputs.push_back(std::nullopt);  // keep
  return inputs;
}

std::vector<Tensor> OutputsOf(const Kind& kind, Params params, const Inputs& inputs) {
  auto outputs = TryRun(kind.op, std::move(params), inputs, kind.cell ? 3 : 2);
  EXPECT_TRUE(outputs.has_value()) << outputs.error().ToString();
  return outputs ? *std::move(outputs) : std::vector<Tensor>(3);
}
std::vector<Tensor> Outputs(const Kind& kind, const RecurrentParams& p, const Inputs& inputs) {
  return OutputsOf(kind, Make(kind, p), inputs);
}

// Elements [begin, end) along an axis.
Tensor Part(const Tensor& t, int axis, int64_t begin, int64_t end) {
  Dims dims = t.dims();
  const int64_t outer = NumElements(std::span(dims).first(axis)), length = dims[axis],
                inner = NumElements(std::span(dims).subspan(axis + 1));
  dims[axis] = end - begin;
  Tensor part(t.dtype(), dims);
  double* to = part.mutable_data<double>().data();
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = begin * inner; i < end * inner; ++i)
      *to++ = t.data<double>()[o * length * inner + i];
  return part;
}

// The first two axes exchanged.
Tensor Swapped(const Tensor& t) {
  Dims dims = t.dims();
  const int64_t a = dims[0], b = dims[1], inner = t.num_elements() / (a * b);
  std::swap(dims[0], dims[1]);
  Tensor r(t.dtype(), dims);
  for (int64_t i = 0; i < t.num_elements(); ++i) {
    const int64_t from = (i / inner % a * b + i / inner / a) * inner + i % inner;
    r.mutable_data<double>()[i] = t.data<double>()[from];
  }
  return r;
}

// The first axis the other way round.
Tensor Flipped(const Tensor& t) {
  Tensor r(t.dtype(), t.dims());
  const int64_t inner = t.num_elements() / t.dim(0);
  for (int64_t i = 0; i < t.num_elements(); ++i)
    r.mutable_data<double>()[i] = t.data<double>()[(t.dim(0) - 1 - i / inner) * inner + i % inner];
  return r;
}

void ExpectSame(const Tensor& got, const Tensor& expected) {
  EXPECT_EQ(got.dims(), expected.dims());
  EXPECT_EQ(Values(got), Values(expected));
}

TEST(Rnn, OneUnitByHand) {
  // h1 = tanh(2 * 0.5 + 3 * 0.25 + 0.1 + 0.2), h2 = tanh(2 * -1 + 3 * h1 + 0.3)
  const Inputs inputs = {Tensor::From<double>({2, 1, 1}, {0.5, -1}),
                         Tensor::From<double>({1, 1, 1}, {2}),
                         Tensor::From<double>({1, 1, 1}, {3}),
                         Tensor::From<double>({1, 2}, {0.1, 0.2}),
                         std::nullopt,
                         Tensor::From<double>({1, 1, 1}, {0.25})};
  const double h1 = std::tanh(2.05), h2 = std::tanh(-1.7 + 3 * h1);
  const auto outputs = Outputs(kRnn, {}, inputs);
  EXPECT_EQ(outputs[0].dims(), (Dims{2, 1, 1, 1}));
  ExpectNear(Values(outputs[0]), {h1, h2}, kTiny);
  EXPECT_EQ(outputs[1].dims(), (Dims{1, 1, 1}));
  ExpectNear(Values(outputs[1]), {h2}, kTiny);
}

TEST(Lstm, OneUnitByHand) {
  const Inputs inputs = {Tensor::From<double>({1, 1, 1}, {2}),
                         Tensor::From<double>({1, 4, 1}, {.1, .2, .3, .4}),  // i o f c
                         Tensor::From<double>({1, 4, 1}, {.5, .6, .7, .8}),
                         Tensor::From<double>({1, 8}, {.01, .02, .03, .04, .05, .06, .07, .08}),
                         std::nullopt,
                         Tensor::From<double>({1, 1, 1}, {-1}),
                         Tensor::From<double>({1, 1, 1}, {3}),
                         Tensor::From<double>({1, 3}, {.11, .12, .13})};
  const double i = Sigmoid(.2 - .5 + .06 + .33), f = Sigmoid(.6 - .7 + .10 + .39);
  const double c = f * 3 + i * std::tanh(.8 - .8 + .12);
  const double o = Sigmoid(.4 - .6 + .08 + .12 * c);
  const auto outputs = Outputs(kLstm, {}, inputs);
  ExpectNear(Values(outputs[0]), {o * std::tanh(c)}, kTiny);
  ExpectNear(Values(outputs[1]), {o * std::tanh(c)}, kTiny);
  ExpectNear(Values(outputs[2]), {c}, kTiny);

  LstmParams coupled;
  coupled.input_forget = true;
  const double c2 = (1 - i) * 3 + i * std::tanh(.12);
  ExpectNear(Values(OutputsOf(kLstm, Params::Of(coupled), inputs)[2]), {c2}, kTiny);

  RecurrentParams clipped;  // of all arguments, that of h included
  clipped.clip = 0.0625;
  const double s = Sigmoid(0.0625), c3 = s * 3 + s * std::tanh(0.0625);
  ExpectNear(Values(Outputs(kLstm, clipped, inputs)[0]), {s * std::tanh(0.0625)}, kTiny);
  ExpectNear(Values(Outputs(kLstm, clipped, inputs)[2]), {c3}, kTiny);
}

TEST(Gru, TwoUnitsByHand) {
  // Two units, so that the order of reset and product shows.
  const Inputs inputs = {
      Tensor::From<double>({1, 1, 1}, {1}),
      Tensor::From<double>({1, 6, 1}, {.1, .2, .3, .4, .5, .6}),  // z r h
      Tensor::From<double>({1, 6, 2}, {.1, .2, .3, .4, .5, .6, .7, .8, .9, 1., 1.1, 1.2}),
      Tensor::From<double>({1, 12}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .5, .25}),
      std::nullopt,
      Tensor::From<double>({1, 1, 2}, {2, -1})};
  const Vector h = {2, -1};
  const Vector z = {Sigmoid(.1 + .2 - .2), Sigmoid(.2 + .6 - .4)};
  const Vector r = {Sigmoid(.3 + 1 - .6), Sigmoid(.4 + 1.4 - .8)};
  const Vector before = {std::tanh(.5 + .9 * r[0] * 2 - 1. * r[1] + .5),
                         std::tanh(.6 + 1.1 * r[0] * 2 - 1.2 * r[1] + .25)};
  const Vector after = {std::tanh(.5 + r[0] * (1.8 - 1 + .5)),
                        std::tanh(.6 + r[1] * (2.2 - 1.2 + .25))};
  for (bool linear : {false, true}) {
    GruParams p;
    p.linear_before_reset = linear;
    const Vector& n = linear ? after : before;
    ExpectNear(Values(OutputsOf(kGru, Params::Of(p), inputs)[0]),
               {(1 - z[0]) * n[0] + z[0] * h[0], (1 - z[1]) * n[1] + z[1] * h[1]}, kTiny);
  }
}

// A step is the same whether it is taken in one run or starts from the state of the last one.
TEST(Recurrent, StatesCarryOn) {
  for (const Kind* kind : kKinds) {
    SCOPED_TRACE(kind->op.name);
    const Inputs inputs = Everything(*kind, 1);
    const auto whole = Outputs(*kind, {}, inputs);
    Inputs part = inputs;
    for (int64_t t = 0; t < kSteps; ++t) {
      part[0] = Part(*inputs[0], 0, t, t + 1);
      const auto step = Outputs(*kind, {}, part);
      ExpectSame(step[0], Part(whole[0], 0, t, t + 1));
      part[5] = step[1];
      if (kind->cell) part[6] = step[2];
    }
    ExpectSame(*part[5], whole[1]);
    if (kind->cell) ExpectSame(*part[6], whole[2]);
  }
}

TEST(Recurrent, ReverseWalksBackwards) {
  for (const Kind* kind : kKinds) {
    SCOPED_TRACE(kind->op.name);
    Inputs inputs = Everything(*kind, 1);
    RecurrentParams reverse;
    reverse.direction = Direction::kReverse;
    const auto backwards = Outputs(*kind, reverse, inputs);
    inputs[0] = Flipped(*inputs[0]);
    const auto flipped = Outputs(*kind, {}, inputs);
    ExpectSame(backwards[0], Flipped(flipped[0]));
    ExpectSame(backwards[1], flipped[1]);
  }
}

TEST(Recurrent, BidirectionalIsBothSideBySide) {
  for (const Kind* kind : kKinds) {
    SCOPED_TRACE(kind->op.name);
    const Inputs both = Everything(*kind, 2);
    RecurrentParams p;
    p.direction = Direction::kBidirectional;
    p.activations.assign(2 * kind->functions, "Softsign");
    for (int f = 0; f < kind->functions; ++f) p.activations[f] = "HardSigmoid";
    const auto outputs = Outputs(*kind, p, both);
    for (int d : {0, 1}) {
      Inputs one = both;
      for (int i : {1, 2, 3, 5}) one[i] = Part(*both[i], 0, d, d + 1);
      if (kind->cell) one[6] = Part(*both[6], 0, d, d + 1), one[7] = Part(*both[7], 0, d, d + 1);
      RecurrentParams single;
      single.direction = d ? Direction::kReverse : Direction::kForward;
      single.activations.assign(kind->functions, d ? "Softsign" : "HardSigmoid");
      const auto expected = Outputs(*kind, single, one);
      ExpectSame(Part(outputs[0], 1, d, d + 1), expected[0]);
      for (size_t i = 1; i < outputs.size(); ++i)
        ExpectSame(Part(outputs[i], 0, d, d + 1), expected[i]);
    }
  }
}

TEST(Recurrent, BatchFirstOnlyMovesAxes) {
  for (const Kind* kind : kKinds) {
    SCOPED_TRACE(kind->op.name);
    Inputs inputs = Everything(*kind, 2);
    inputs[kind->keep] = To<double>(Ramp({kSteps, kBatch}, 9));
    RecurrentParams p;
    p.direction = Direction::kBidirectional;
    const auto expected = Outputs(*kind, p, inputs);
    for (int i : {0, 5, kind->keep}) inputs[i] = Swapped(*inputs[i]);
    if (kind->cell) inputs[6] = Swapped(*inputs[6]);
    p.batch_first = true;
    const auto outputs = Outputs(*kind, p, inputs);
    EXPECT_EQ(outputs[0].dims(), (Dims{kBatch, kSteps, 2, kUnits}));
    for (int64_t n = 0; n < kBatch; ++n)  // [T, D, N, H] -> [N, T, D, H]
      EXPECT_EQ(Values(Part(outputs[0], 0, n, n + 1)), Values(Part(expected[0], 2, n, n + 1)));
    for (size_t i = 1; i < outputs.size(); ++i) ExpectSame(outputs[i], Swapped(expected[i]));
  }
}

TEST(Recurrent, LengthsEndSequences) {
  for (const Kind* kind : kKinds) {
    for (Direction direction : {Direction::kForward, Direction::kReverse}) {
      SCOPED_TRACE(kind->op.name);
      RecurrentParams p;
      p.direction = direction;
      Inputs inputs = Everything(*kind, 1);
      const std::vector<int32_t> lengths = {3, 4, 0};
      inputs[4] = Tensor::From<int32_t>({3}, std::span<const int32_t>(lengths));
      const auto outputs = Outputs(*kind, p, inputs);
      inputs[4] = std::nullopt;
      const Tensor x = *inputs[0];
      for (int64_t n = 0; n < kBatch; ++n) {
        const int64_t length = lengths[n];
        const Tensor y = Part(outputs[0], 2, n, n + 1), h = Part(outputs[1], 1, n, n + 1);
        for (double v : Values(Part(y, 0, length, kSteps))) EXPECT_EQ(v, 0);
        inputs[0] = Part(x, 0, 0, length);
        const auto expected = Outputs(*kind, p, inputs);
        ExpectSame(Part(y, 0, 0, length), Part(expected[0], 2, n, n + 1));
        ExpectSame(h, Part(expected[1], 1, n, n + 1));  // of length 0: the first state
      }
      inputs[0] = x;
      inputs[4] = Tensor::From<int32_t>({3}, {1, 5, 1});
      EXPECT_THAT(TryRun(kind->op, Make(*kind, p), inputs).error().message(),
                  AllOf(HasSubstr("5"), HasSubstr("4 steps")));
    }
  }
}

TEST(Recurrent, KeepScalesTheState) {
  for (const Kind* kind : kKinds) {
    SCOPED_TRACE(kind->op.name);
    Inputs inputs = Everything(*kind, 1);
    const auto plain = Outputs(*kind, {}, inputs);
    inputs[kind->keep] = To<double>(Tensor::From<float>({kSteps, kBatch}, {
                                                                              1,
                                                                              1,
                                                                              1,  //
                                                                              1,
                                                                              1,
                                                                              1,  //
                                                                              0,
                                                                              1,
                                                                              .5,  //
                                                                              1,
                                                                              1,
                                                                              1,
                                                                          }));
    const auto kept = Outputs(*kind, {}, inputs);
    ExpectSame(Part(kept[0], 0, 0, 2), Part(plain[0], 0, 0, 2));
    ExpectSame(Part(kept[0], 2, 1, 2), Part(plain[0], 2, 1, 2));
    // From step 2 on: a run that starts from the scaled states after step 1.
    inputs[kind->keep] = std::nullopt;
    const Tensor x = *inputs[0];
    inputs[0] = Part(x, 0, 0, 2);
    const auto first = Outputs(*kind, {}, inputs);
    inputs[0] = Part(x, 0, 2, kSteps);
    for (int i = 5; i <= (kind->cell ? 6 : 5); ++i) {
      Tensor state = first[i - 4].Clone();
      for (int64_t j = 0; j < kUnits; ++j) {
        state.mutable_data<double>()[j] *= 0;
        state.mutable_data<double>()[2 * kUnits + j] *= 0.5;
      }
      inputs[i] = state;
    }
    ExpectSame(Part(kept[0], 0, 2, kSteps), Outputs(*kind, {}, inputs)[0]);
  }
}

TEST(Recurrent, OnlyTheOutputsAskedFor) {
  const Inputs inputs = Everything(kLstm, 1);
  const auto all = Outputs(kLstm, {}, inputs);
  Node node = MakeNode(op::kLstm, {}, {true, true, true, true, false, true, true, true}, 3);
  node.outputs[0] = node.outputs[1] = kNoValue;
  std::vector<const Tensor*> pointers;
  for (int i = 0; i < 8; ++i) pointers.push_back(inputs[i] ? &*inputs[i] : nullptr);
  const auto outputs = EvaluateNode(node, pointers);
  ASSERT_TRUE(outputs.has_value()) << outputs.error().ToString();
  ExpectSame((*outputs)[2], all[2]);
}

TEST(Recurrent, FunctionsAndTheirNumbers) {
  const auto f = [](std::string_view name, double x) { return Apply(*FindGateFunction(name), x); };
  for (double x : {-2.0, -0.25, 0.0, 0.75, 3.0}) {
    EXPECT_NEAR(f("Sigmoid", x), Sigmoid(x), kTiny);
    EXPECT_NEAR(f("Tanh", x), std::tanh(x), kTiny);
    EXPECT_EQ(f("Relu", x), std::max(x, 0.0));
    EXPECT_EQ(f("Affine", x), x);
    EXPECT_NEAR(f("LeakyRelu", x), x < 0 ? 0.01f * x : x, kTiny);
    EXPECT_EQ(f("ThresholdedRelu", x), x >= 1 ? x : 0);
    EXPECT_NEAR(f("ScaledTanh", x), std::tanh(x), kTiny);
    EXPECT_NEAR(f("HardSigmoid", x), std::min(std::max(0.2f * x + 0.5, 0.0), 1.0), kTiny);
    EXPECT_NEAR(f("Elu", x), x < 0 ? std::exp(x) - 1 : x, kTiny);
    EXPECT_NEAR(f("Softsign", x), x / (1 + std::abs(x)), kTiny);
    EXPECT_NEAR(f("Softplus", x), std::log(1 + std::exp(x)), kTiny);
  }
  EXPECT_EQ(f("Softplus", 1000), 1000);
  RecurrentParams p;
  p.activations = {"ScaledTanh", "Affine", "Elu"};
  p.alpha = {2, 3, 4};
  p.beta = {5, 6, 7};
  const auto functions = GateFunctions(p, 3);
  ASSERT_TRUE(functions.has_value());
  EXPECT_NEAR(Apply((*functions)[0], 0.1), 2 * std::tanh(0.5), kTiny);
  EXPECT_NEAR(Apply((*functions)[1], 2), 12, kTiny);
  EXPECT_NEAR(Apply((*functions)[2], -1), 4 * (std::exp(-1) - 1), kTiny);
}

TEST(Recurrent, ShapesAndErrors) {
  const Dim t = Sym("T"), n = Sym("N");
  const TensorType x = F32({t, n, 2}), w = F32({1, 12, 2}), r = F32({1, 12, 3});
  const auto types = TryInfer(op::kLstm, {}, {x, w, r}, {}, 3);
  ASSERT_TRUE(types.has_value()) << types.error().ToString();
  EXPECT_EQ((*types)[0].ToString(), "float32[T,1,N,3]");
  EXPECT_EQ((*types)[1].ToString(), "float32[1,N,3]");
  EXPECT_EQ((*types)[2].ToString(), "float32[1,N,3]");
  RecurrentParams first;
  first.batch_first = true;
  EXPECT_EQ(InferText(op::kLstm, Make(kLstm, first), {F32({n, t, 2}), w, r}), "float32[N,T,1,3]");
  RecurrentParams both;
  both.direction = Direction::kBidirectional;
  EXPECT_EQ(InferText(op::kRnn, Make(kRnn, both), {x, F32({2, 3, 2}), F32({2, 3, 3})}),
            "float32[T,2,N,3]");
  const auto error = [&](const OpDef& op, Params p, const InputTypes& inputs) {
    return InferText(op, std::move(p), inputs);
  };
  EXPECT_THAT(error(op::kLstm, {}, {F32({t, n}), w, r}), HasSubstr("three axes"));
  EXPECT_THAT(error(op::kLstm, {}, {x, F32({1, 9, 2}), r}),
              AllOf(HasSubstr("w has shape [1,9,2]"), HasSubstr("[1,12,2]")));
  EXPECT_THAT(error(op::kLstm, Make(kLstm, both), {x, w, r}), HasSubstr("[2,12,2]"));
  EXPECT_THAT(error(op::kLstm, {}, {x, w, r, F32({1, 12})}), HasSubstr("bias has shape [1,12]"));
  EXPECT_THAT(error(op::kGru, {},
                    {F32({4, 5, 2}), F32({1, 9, 2}), F32({1, 9, 3}), std::nullopt, std::nullopt,
                     F32({1, 4, 3})}),
              AllOf(HasSubstr("h0 has shape [1,4,3]"), HasSubstr("[1,5,3]")));
  EXPECT_THAT(error(op::kRnn, {}, {F32({4, 5, 0}), F32({1, 3, 0}), F32({1, 3, 3})}),
              HasSubstr("at least one input"));
  RecurrentParams bad;
  bad.activations = {"Tanh", "Tanh"};
  EXPECT_THAT(error(op::kRnn, Params::Of(bad), {x, F32({1, 3, 2}), F32({1, 3, 3})}),
              HasSubstr("2 activations given, expected 1"));
  bad.activations = {"Sinc"};
  EXPECT_THAT(error(op::kRnn, Params::Of(bad), {x, F32({1, 3, 2}), F32({1, 3, 3})}),
              AllOf(HasSubstr("'Sinc'"), HasSubstr("Softplus")));
  bad = {};
  bad.alpha = {1, 2};
  EXPECT_THAT(error(op::kRnn, Params::Of(bad), {x, F32({1, 3, 2}), F32({1, 3, 3})}),
              HasSubstr("alpha has 2 numbers"));
  bad = {};
  bad.clip = -1;
  EXPECT_THAT(error(op::kRnn, Params::Of(bad), {x, F32({1, 3, 2}), F32({1, 3, 3})}),
              HasSubstr("clip is -1"));
  EXPECT_THAT(error(op::kRnn, {}, {x, TensorType{DType::kFloat64, Shape{1, 3, 2}}, F32({1, 3, 3})}),
              HasSubstr("one element type"));
}

}  // namespace
}  // namespace sula
