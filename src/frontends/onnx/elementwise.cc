// Operators that work element by element.
#include "ops/elementwise.h"

#include <limits>

#include "frontends/onnx/node_import.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

// ---- unary

template <const OpDef& kOp>
void Unary(NodeImport& n) {
  n.Ignore("consumed_inputs");  // opset 1: a hint for reusing memory
  n.Emit(kOp, NoParams{}, n.inputs());
}

// Defaults are those of the newest opset unless an operator says otherwise below.
template <const OpDef& kOp>
void WithAlpha(NodeImport& n, float alpha) {
  n.Ignore("consumed_inputs");
  n.Emit(kOp, AlphaParams{.alpha = n.Float("alpha", alpha)}, n.inputs());
}
void LeakyRelu(NodeImport& n) { WithAlpha<op::kLeakyRelu>(n, 0.01f); }
void Elu(NodeImport& n) { WithAlpha<op::kElu>(n, 1); }
void Celu(NodeImport& n) { WithAlpha<op::kCelu>(n, 1); }
void Swish(NodeImport& n) { WithAlpha<op::kSwish>(n, 1); }
void ThresholdedRelu(NodeImport& n) { WithAlpha<op::kThresholdedRelu>(n, 1); }

void Selu(NodeImport& n) {
  n.Ignore("consumed_inputs");
  bool first = n.opset() < 6;  // rounded constants then
  AlphaParams p;
  p.alpha = n.Float("alpha", first ? 1.6732f : 1.67326319217681884765625f);
  p.beta = n.Float("gamma", first ? 1.0507f : 1.05070102214813232421875f);
  n.Emit(op::kSelu, p, n.inputs());
}

void HardSigmoid(NodeImport& n) {
  n.Ignore("consumed_inputs");
  n.Emit(op::kHardSigmoid,
         AlphaParams{.alpha = n.Float("alpha", 0.2f), .beta = n.Float("beta", 0.5f)}, n.inputs());
}

void Gelu(NodeImport& n) {
  GeluParams p;
  p.tanh = n.Choice<bool>("approximate", "none", {{"none", false}, {"tanh", true}});
  n.Emit(op::kGelu, p, n.inputs());
}

// SwiGLU(a, b) = Swish(a) * b
void SwiGlu(NodeImport& n) {
  ValueId gate = n.Add(op::kSwish, AlphaParams{.alpha = n.Float("alpha", 1)}, {n.Input(0)}, "gate");
  n.Emit(op::kMul, BinaryParams{}, {gate, n.Input(1)});
}

void IsInf(NodeImport& n) {
  bool negative = n.Flag("detect_negative", true), positive = n.Flag("detect_positive", true);
  if (negative && positive) return n.Emit(op::kIsInf, NoParams{}, n.inputs());
  ValueId x = n.Input(0);
  ValueId is_inf = n.Add(op::kIsInf, NoParams{}, {x}, "is_inf");
  if (!negative && !positive) return n.Emit(op::kXor, NoParams{}, {is_inf, is_inf});
  ValueId zero = n.Scalar(0, n.TypeOf(x), "zero");
  ValueId side = n.Add(positive ? op::kGreater : op::kLess, NoParams{}, {x, zero}, "sign");
  n.Emit(op::kAnd, NoParams{}, {is_inf, side});
}

// Shrink(x) = x < -lambd ? x + bias : x > lambd ? x - bias : 0
void Shrink(NodeImport& n) {
  ValueId x = n.Input(0);
  DType type = n.TypeOf(x);
  float lambd = n.Float("lambd", 0.5f), bias = n.Float("bias", 0);
  ValueId zero = n.Scalar(0, type, "zero"), shift = n.Scalar(bias, type, "bias");
  ValueId above = n.Add(op::kGreater, NoParams{}, {x, n.Scalar(lambd, type, "lambd")}, "above");
  ValueId below = n.Add(op::kLess, NoParams{}, {x, n.Scalar(-lambd, type, "-lambd")}, "below");
  ValueId lower = n.Add(op::kSub, BinaryParams{}, {x, shift}, "lower");
  ValueId upper = n.Add(op::kAdd, BinaryParams{}, {x, shift}, "upper");
  ValueId tail = n.Add(op::kWhere, NoParams{}, {above, lower, zero}, "tail");
  n.Emit(op::kWhere, NoParams{}, {below, upper, tail});
}

void Cast(NodeImport& n) {
  CastParams p;
  p.saturate = n.Flag("saturate", true);
  n.Ignore("round_mode");  // of a type that sula does not have
  if (n.opset() >= 6) {
    auto to = n.Type("to");
    if (!to) return n.Fail(InvalidModel("attribute 'to' is missing"));
    p.to = *to;
  } else {  // by the name of the enumerator in TensorProto
    p.to = n.Choice<DType>("to", "",
                           {{"FLOAT", DType::kFloat32},
                            {"FLOAT16", DType::kFloat16},
                            {"DOUBLE", DType::kFloat64},
                            {"INT8", DType::kInt8},
                            {"INT16", DType::kInt16},
                            {"INT32", DType::kInt32},
                            {"INT64", DType::kInt64},
                            {"UINT8", DType::kUInt8},
                            {"BOOL", DType::kBool}});
  }
  n.Emit(op::kCast, p, n.inputs());
}

void CastLike(NodeImport& n) {
  CastParams p;
  p.to = n.TypeOf(n.Input(1));
  p.saturate = n.Flag("saturate", true);
  n.Ignore("round_mode");
  n.Emit(op::kCast, p, {n.Input(0)});
}

void Clip(NodeImport& n) {
  if (n.opset() >= 11) return n.Emit(op::kClip, NoParams{}, n.inputs());
  n.Ignore("consumed_inputs");
  // Attributes then, with the largest floats as defaults: the same as no bound but for infinities,
  // which they do clip.
  DType type = n.TypeOf(n.Input(0));
  constexpr float kLargest = std::numeric_limits<float>::max();
  ValueId min = kNoValue, max = kNoValue;
  if (n.Has("min") || n.opset() >= 6) min = n.Scalar(n.Float("min", -kLargest), type, "min");
  if (n.Has("max") || n.opset() >= 6) max = n.Scalar(n.Float("max", kLargest), type, "max");
  n.Emit(op::kClip, NoParams{}, {n.Input(0), min, max});
}

// Inference only: the data as they are, and a mask that keeps everything.
void Dropout(NodeImport& n) {
  for (const char* name : {"consumed_inputs", "is_test", "ratio", "seed"}) n.Ignore(name);
  if (n.opset() < 7 && n.Int("is_test", 0) == 0 && n.Has("is_test"))
    return n.Fail(Unsupported("operator Dropout in training mode"));
  if (n.HasInput(2)) {
    std::optional<Tensor> training = n.Known(n.Input(2));
    if (!training) return n.Fail(Unsupported("operator Dropout with a computed training_mode"));
    if (training->num_elements() != 1 || training->AsDouble(0) != 0)
      return n.Fail(Unsupported("operator Dropout in training mode"));
  }
  ValueId x = n.Input(0);
  if (n.HasOutput(0)) n.EmitOutput(0, op::kIdentity, NoParams{}, {x});
  if (n.HasOutput(1)) {
    // Before opset 10 the mask had the type of the data.
    DType type = n.opset() >= 10 ? DType::kBool : n.TypeOf(x);
    ValueId shape = n.Add(op::kShape, ShapeParams{}, {x}, "shape");
    n.EmitOutput(1, op::kConstantOfShape, NoParams{}, {shape, n.Scalar(1, type, "keep")});
  }
}

// ---- binary

// Up to opset 6, with broadcast=1, the second operand's axes lie at `axis` of the first one's:
// it gets axes of size 1 behind, after which numpy's rules say the same.
ValueId AlignOldBroadcast(NodeImport& n) {
  ValueId b = n.Input(1);
  if (n.opset() >= 7) return b;
  n.Ignore("consumed_inputs");
  bool broadcast = n.Flag("broadcast", false);
  if (!n.Has("axis") || !broadcast) return b;
  auto rank_a = n.RankOf(n.Input(0), "attribute 'axis'"), rank_b = n.RankOf(b, "attribute 'axis'");
  if (!rank_a || !rank_b) return b;
  int64_t axis = n.Int("axis", 0);
  if (axis < 0) axis += *rank_a;
  int64_t behind = *rank_a - axis - *rank_b;
  if (axis < 0 || behind < 0) {
    n.Fail(InvalidModel("attribute 'axis' is ", n.Int("axis", 0), " for operands of ranks ",
                        *rank_a, " and ", *rank_b));
    return b;
  }
  if (behind == 0) return b;
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < behind; ++i) axes.push_back(*rank_b + i);
  return n.Add(op::kUnsqueeze, NoParams{}, {b, n.Constant(axes, "axes")}, "aligned");
}

template <const OpDef& kOp>
void Arithmetic(NodeImport& n) {
  ValueId b = AlignOldBroadcast(n);
  n.Emit(kOp, BinaryParams{}, {n.Input(0), b});
}

template <const OpDef& kOp>
void Binary(NodeImport& n) {
  ValueId b = AlignOldBroadcast(n);
  n.Emit(kOp, NoParams{}, {n.Input(0), b});
}

void Mod(NodeImport& n) { n.Emit(op::kMod, ModParams{.fmod = n.Flag("fmod", false)}, n.inputs()); }

void PRelu(NodeImport& n) {
  n.Ignore("consumed_inputs");
  ValueId x = n.Input(0), slope = n.Input(1);
  // Up to opset 6 a slope is one number, or one for each channel of [N, C, ...].
  if (n.opset() < 7) {
    auto rank = n.RankOf(x, "the slope of opset 6");
    const auto& shape = n.ShapeOf(slope);
    if (!rank || !shape) return n.Fail(Unsupported("operator PRelu with a slope of unknown rank"));
    if (shape->rank() == 1 && !((*shape)[0] == Dim(1)) && *rank > 2) {
      std::vector<int64_t> axes;
      for (int i = 1; i < *rank - 1; ++i) axes.push_back(i);
      slope = n.Add(op::kUnsqueeze, NoParams{}, {slope, n.Constant(axes, "axes")}, "channels");
    }
  }
  n.Emit(op::kPRelu, NoParams{}, {x, slope});
}

// ---- variadic: chains of binary ones

// The value of in0 o in1 o ... for all inputs but the last; kNoValue if there is one input only.
template <class P>
void Chain(NodeImport& n, const OpDef& op, const P& p) {
  n.Ignore("consumed_inputs");
  ValueId sum = n.Input(0);
  int last = n.num_inputs() - 1;
  if (last == 0) return n.Emit(op::kIdentity, NoParams{}, {sum});
  for (int i = 1; i < last; ++i) sum = n.Add(op, p, {sum, n.Input(i)}, StrCat("partial", i));
  n.Emit(op, p, {sum, n.Input(last)});
}
void Sum(NodeImport& n) { Chain(n, op::kAdd, BinaryParams{}); }
void Max(NodeImport& n) { Chain(n, op::kMax, NoParams{}); }
void Min(NodeImport& n) { Chain(n, op::kMin, NoParams{}); }

void Mean(NodeImport& n) {
  n.Ignore("consumed_inputs");
  ValueId sum = n.Input(0);
  for (int i = 1; i < n.num_inputs(); ++i)
    sum = n.Add(op::kAdd, BinaryParams{}, {sum, n.Input(i)}, StrCat("partial", i));
  ValueId count = n.Scalar(n.num_inputs(), n.TypeOf(sum), "count");
  n.Emit(op::kDiv, BinaryParams{}, {sum, count});
}

constexpr OpHandler kHandlers[] = {
    {"Abs", Unary<op::kAbs>},
    {"Acos", Unary<op::kAcos>},
    {"Acosh", Unary<op::kAcosh>},
    {"Add", Arithmetic<op::kAdd>, 2, 2},
    {"And", Binary<op::kAnd>, 2, 2},
    {"Asin", Unary<op::kAsin>},
    {"Asinh", Unary<op::kAsinh>},
    {"Atan", Unary<op::kAtan>},
    {"Atanh", Unary<op::kAtanh>},
    {"Cast", Cast},
    {"CastLike", CastLike, 2, 2},
    {"Ceil", Unary<op::kCeil>},
    {"Celu", Celu},
    {"Clip", Clip, 1, 3},
    {"Cos", Unary<op::kCos>},
    {"Cosh", Unary<op::kCosh>},
    {"Div", Arithmetic<op::kDiv>, 2, 2},
    {"Dropout", Dropout, 1, 3, 2},
    {"Elu", Elu},
    {"Equal", Binary<op::kEqual>, 2, 2},
    {"Erf", Unary<op::kErf>},
    {"Exp", Unary<op::kExp>},
    {"Floor", Unary<op::kFloor>},
    {"Gelu", Gelu},
    {"Greater", Binary<op::kGreater>, 2, 2},
    {"GreaterOrEqual", Binary<op::kGreaterOrEqual>, 2, 2},
    {"HardSigmoid", HardSigmoid},
    {"HardSwish", Unary<op::kHardSwish>},
    {"Identity", Unary<op::kIdentity>},
    {"IsInf", IsInf},
    {"IsNaN", Unary<op::kIsNaN>},
    {"LeakyRelu", LeakyRelu},
    {"Less", Binary<op::kLess>, 2, 2},
    {"LessOrEqual", Binary<op::kLessOrEqual>, 2, 2},
    {"Log", Unary<op::kLog>},
    {"Max", Max, 1, kAny},
    {"Mean", Mean, 1, kAny},
    {"Min", Min, 1, kAny},
    {"Mish", Unary<op::kMish>},
    {"Mod", Mod, 2, 2},
    {"Mul", Arithmetic<op::kMul>, 2, 2},
    {"Neg", Unary<op::kNeg>},
    {"Not", Unary<op::kNot>},
    {"Or", Binary<op::kOr>, 2, 2},
    {"PRelu", PRelu, 2, 2},
    {"Pow", Binary<op::kPow>, 2, 2},
    {"Reciprocal", Unary<op::kReciprocal>},
    {"Relu", Unary<op::kRelu>},
    {"Round", Unary<op::kRound>},
    {"Selu", Selu},
    {"Shrink", Shrink},
    {"Sigmoid", Unary<op::kSigmoid>},
    {"Sign", Unary<op::kSign>},
    {"Sin", Unary<op::kSin>},
    {"Sinh", Unary<op::kSinh>},
    {"Softplus", Unary<op::kSoftplus>},
    {"Softsign", Unary<op::kSoftsign>},
    {"Sqrt", Unary<op::kSqrt>},
    {"Sub", Arithmetic<op::kSub>, 2, 2},
    {"Sum", Sum, 1, kAny},
    {"SwiGLU", SwiGlu, 2, 2},
    {"Swish", Swish},
    {"Tan", Unary<op::kTan>},
    {"Tanh", Unary<op::kTanh>},
    {"ThresholdedRelu", ThresholdedRelu},
    {"Where", Direct<op::kWhere>, 3, 3},
    {"Xor", Binary<op::kXor>, 2, 2},
};

}  // namespace

std::span<const OpHandler> ElementwiseHandlers() { return kHandlers; }

}  // namespace sula::onnx
