#include "ops/quant.h"

#include <limits>

#include "ops/matmul.h"
#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using V = std::vector<double>;

Tensor F(Dims dims, std::initializer_list<float> v) { return Tensor::From<float>(dims, v); }
Tensor U8(Dims dims, std::initializer_list<uint8_t> v) { return Tensor::From<uint8_t>(dims, v); }
Tensor I8(Dims dims, std::initializer_list<int8_t> v) { return Tensor::From<int8_t>(dims, v); }

QuantParams Make(int64_t axis, int64_t block = 0, DType to = DType::kUInt8) {
  QuantParams p;
  p.axis = axis, p.block = block, p.to = to;
  return p;
}

TEST(QuantizeLinear, RoundsHalvesToEvenAndSaturates) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = F({9}, {0, 1, 3, 5, -1, 1000, -1000, inf, -inf});
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, {}, {x, F({}, {2}), U8({}, {10})})),
            (V{10, 10, 12, 12, 10, 255, 0, 255, 0}));
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, {}, {x, F({}, {2}), I8({}, {-3})})),
            (V{-3, -3, -1, -1, -3, 127, -128, 127, -128}));
  const Tensor wide = RunOp(op::kQuantizeLinear, Params::Of(Make(1, 0, DType::kInt16)),
                            {F({3}, {1e9f, -1e9f, 300}), F({}, {1})});
  EXPECT_EQ(wide.dtype(), DType::kInt16);
  EXPECT_EQ(Values(wide), (V{32767, -32768, 300}));
  EXPECT_EQ(RunOp(op::kQuantizeLinear, {}, {x, F({}, {2})}).dtype(), DType::kUInt8);
  EXPECT_EQ(
      Values(RunOp(op::kQuantizeLinear, {}, {Tensor::From<int32_t>({2}, {7, 9}), F({}, {2})})),
      (V{4, 4}));
}

TEST(QuantizeLinear, DividesInThePrecisionOfTheScale) {
  // 0.45f / 0.1f rounds up to 4.5 in single precision, though its exact value lies below or above.
  const float x = 0.45f, scale = 0.1f;
  const double expected = std::nearbyint(x / scale);
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, {}, {F({1}, {x}), F({}, {scale})}))[0], expected);
  // 2049 / 2 = 1024.5 is 1024 as float16, like 1024.5 to even; 2051 / 2 = 1025.5 -> 1026.
  const Tensor wide = RunOp(op::kQuantizeLinear, Params::Of(Make(1, 0, DType::kInt16)),
                            {F({2}, {2051, 4099}), To<Half>(F({}, {1}))});
  EXPECT_EQ(Values(wide), (V{2052, 4100}));  // float16 has no 2051 and no 4099: halves to even
}

TEST(QuantizeLinear, PerAxisAndBlocks) {
  const Tensor x = F({2, 3}, {2, 4, 6, 8, 10, 12});
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, Params::Of(Make(1)),
                         {x, F({3}, {1, 2, 3}), U8({3}, {0, 1, 2})})),
            (V{2, 3, 4, 8, 6, 6}));
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, Params::Of(Make(-2)),
                         {x, F({2}, {1, 2}), U8({2}, {0, 100})})),
            (V{2, 4, 6, 104, 105, 106}));
  // Blocks of 2 along the last axis: the second one is cut short.
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, Params::Of(Make(1, 2)),
                         {x, F({2, 2}, {1, 2, 4, 0.5f}), U8({2, 2}, {0, 1, 2, 3})})),
            (V{2, 4, 4, 4, 4, 27}));
  // Along the first.
  EXPECT_EQ(Values(RunOp(op::kQuantizeLinear, Params::Of(Make(0, 2)), {x, F({1, 3}, {1, 2, 3})})),
            (V{2, 2, 2, 8, 5, 4}));
  // Rank 1: the axis does not matter.
  EXPECT_EQ(
      Values(RunOp(op::kQuantizeLinear, Params::Of(Make(1)), {F({2}, {4, 4}), F({2}, {1, 2})})),
      (V{4, 2}));
}

TEST(DequantizeLinear, TypesAndAxes) {
  EXPECT_EQ(
      Values(RunOp(op::kDequantizeLinear, {}, {U8({3}, {0, 3, 255}), F({}, {0.5f}), U8({}, {1})})),
      (V{-0.5, 1, 127}));
  const Tensor half = RunOp(op::kDequantizeLinear, {}, {I8({2}, {-128, 5}), To<Half>(F({}, {2}))});
  EXPECT_EQ(half.dtype(), DType::kFloat16);
  EXPECT_EQ(Values(half), (V{-256, 10}));
  EXPECT_EQ(Values(RunOp(op::kDequantizeLinear, Params::Of(Make(0)),
                         {Tensor::From<int32_t>({2, 2}, {1, 2, 3, 4}), F({2}, {10, 100})})),
            (V{10, 20, 300, 400}));
  EXPECT_EQ(Values(RunOp(op::kDequantizeLinear, Params::Of(Make(2, 2)),
                         {I8({1, 2, 3}, {1, 2, 3, 4, 5, 6}), F({1, 2, 2}, {1, 10, 100, 1000}),
                          I8({1, 2, 2}, {0, 1, 2, 3})})),
            (V{1, 2, 20, 200, 300, 3000}));
  EXPECT_EQ(RunOp(op::kDequantizeLinear, {}, {U8({0, 2}, {}), F({}, {1})}).dims(), (Dims{0, 2}));
}

TEST(Quantize, Errors) {
  const TensorType x = F32({2, 3});
  const auto error = [&](const QuantParams& p, Shape scale, std::optional<Shape> zero = {}) {
    InputTypes inputs = {x, F32(scale)};
    if (zero) inputs.push_back(TensorType{DType::kUInt8, *zero});
    return InferText(op::kQuantizeLinear, Params::Of(p), inputs);
  };
  EXPECT_THAT(error(Make(1), {2}), AllOf(HasSubstr("[2]"), HasSubstr("[2,3]")));
  EXPECT_THAT(error(Make(2), {3}), HasSubstr("axis 2"));
  EXPECT_THAT(error(Make(1), {2, 3}), HasSubstr("[2,3]"));
  EXPECT_THAT(error(Make(1, 2), {2, 1}), HasSubstr("block 2"));
  EXPECT_THAT(error(Make(1, -1), {3}), HasSubstr("block is -1"));
  EXPECT_THAT(error(Make(1), {3}, Shape({1})), AllOf(HasSubstr("[3]"), HasSubstr("[1]")));
  EXPECT_EQ(error(Make(1), {3}, Shape({3})), "uint8[2,3]");
  EXPECT_THAT(InferText(op::kDequantizeLinear, {},
                        {TensorType{DType::kInt8, Shape({2})}, F32({}),
                         TensorType{DType::kUInt8, Shape({})}}),
              AllOf(HasSubstr("int8"), HasSubstr("uint8")));
  EXPECT_THAT(InferText(op::kQuantizeLinear, Params::Of(Make(1, 0, DType::kFloat32)), {x, F32({})}),
              HasSubstr("float32"));
  EXPECT_EQ(InferText(op::kDequantizeLinear, {},
                      {TensorType{DType::kInt8, Shape({Sym("N"), 3})}, F32({3})}),
            "float32[N,3]");
}

TEST(DynamicQuantizeLinear, ByHand) {
  const auto run = [](const Tensor& x) { return *TryRun(op::kDynamicQuantizeLinear, {}, {x}, 3); };
  // range -51..204: one step is 1, zero is 51
  auto r = run(F({4}, {-51, 204, 0.4f, 99.6f}));
  EXPECT_EQ(Values(r[0]), (V{0, 255, 51, 151}));
  EXPECT_EQ(Values(r[1]), V{1});
  EXPECT_EQ(Values(r[2]), V{51});
  EXPECT_EQ(r[1].dims(), Dims{});
  // all positive: the range is widened to 0
  r = run(F({2}, {255, 510}));
  EXPECT_EQ(Values(r[0]), (V{128, 255}));  // 127.5 to even
  EXPECT_EQ(Values(r[2]), V{0});
  // all negative: zero is 255
  r = run(F({1, 2}, {-51, -25.5f}));
  EXPECT_EQ(Values(r[2]), V{255});
  EXPECT_EQ(Values(r[0])[0], 0);
  // nothing but zeros, nothing at all
  EXPECT_EQ(Values(run(F({2}, {0, 0}))[0]), (V{0, 0}));
  EXPECT_EQ(run(F({0}, {}))[0].dims(), Dims{0});
}

// ---- products: against the real-valued operators on dequantised inputs

Tensor Bytes(Dims dims, int seed, bool is_signed) {
  const Tensor r = Ramp(dims, seed);
  Tensor t(is_signed ? DType::kInt8 : DType::kUInt8, dims);
  for (int64_t i = 0; i < r.num_elements(); ++i) {
    const int v = static_cast<int>(r.AsDouble(i) * 64);  // -64 .. 63
    if (is_signed) {
      t.mutable_data<int8_t>()[i] = static_cast<int8_t>(v);
    } else {
      t.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(v + 64);
    }
  }
  return t;
}

TEST(QLinearConv, AgreesWithConvOfRealValues) {
  ConvParams p;
  p.strides = {2, 1}, p.pads = {1, 0, 1, 1}, p.group = 2;
  const Tensor x = Bytes({2, 4, 5, 6}, 1, false), w = Bytes({6, 2, 3, 2}, 2, true);
  const Tensor x_scale = F({}, {0.25f}), y_scale = F({}, {32}), x_zero = U8({}, {60}),
               y_zero = U8({1}, {128}),
               bias = Tensor::From<int32_t>({6}, {0, 100, -3000, 7, 8, 9000});
  for (bool per_channel : {false, true}) {
    const Tensor w_scale = per_channel ? F({6}, {0.5f, 1, 2, 4, 0.25f, 1}) : F({}, {0.5f});
    const Tensor w_zero = per_channel ? I8({6}, {0, 1, -2, 3, -4, 5}) : I8({}, {3});
    for (ActivationKind kind : {ActivationKind::kNone, ActivationKind::kRelu}) {
      p.Fuse({kind});
      const Tensor y = RunOp(op::kQLinearConv, Params::Of(p),
                             {x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias});
      const Tensor real_x = RunOp(op::kDequantizeLinear, {}, {x, x_scale, x_zero});
      const Tensor real_w = RunOp(op::kDequantizeLinear, Params::Of(Make(0)), {w, w_scale, w_zero});
      Tensor real_bias(DType::kFloat32, {6});
      for (int i = 0; i < 6; ++i)
        real_bias.mutable_data<float>()[i] =
            static_cast<float>(bias.AsDouble(i) * 0.25 * w_scale.AsDouble(per_channel ? i : 0));
      const Tensor real = RunOp(op::kConv, Params::Of(p), {real_x, real_w, real_bias});
      // All numbers are multiples of powers of two that float holds exactly.
      EXPECT_EQ(Values(y), Values(RunOp(op::kQuantizeLinear, {}, {real, y_scale, U8({}, {128})})));
    }
  }
}

TEST(ConvInteger, ExactSums) {
  const Tensor x = U8({1, 1, 3}, {2, 3, 4}), w = I8({2, 1, 2}, {1, -1, 5, 7});
  EXPECT_EQ(Values(RunOp(op::kConvInteger, {}, {x, w, U8({}, {1}), I8({2}, {0, 2})})),
            (V{-1, -1, 1 * 3 + 2 * 5, 2 * 3 + 3 * 5}));
  EXPECT_EQ(Values(RunOp(op::kConvInteger, {}, {x, w})), (V{-1, -1, 31, 43}));
  // Padding counts as the zero point.
  ConvParams p;
  p.pads = {1, 0};
  EXPECT_EQ(Values(RunOp(op::kConvInteger, Params::Of(p), {x, w, U8({}, {1})})),
            (V{-1, -1, -1, 7, 5 + 14, 10 + 21}));
  p.Fuse({ActivationKind::kRelu});
  EXPECT_THAT(TryRun(op::kConvInteger, Params::Of(p), {x, w}).error().message(),
              HasSubstr("activation"));
}

TEST(QLinearConv, Errors) {
  const auto error = [](Shape x_scale, Shape w_scale) {
    const TensorType b{DType::kUInt8, Shape({})}, s = F32({});
    return InferText(op::kQLinearConv, {},
                     {TensorType{DType::kUInt8, Shape({1, 2, 5})}, F32(x_scale), b,
                      TensorType{DType::kUInt8, Shape({3, 2, 2})}, F32(w_scale), b, s, b});
  };
  EXPECT_EQ(error({}, {3}), "uint8[1,3,4]");
  EXPECT_THAT(error({2}, {}), AllOf(HasSubstr("x_scale"), HasSubstr("[2]")));
  EXPECT_THAT(error({}, {2}), AllOf(HasSubstr("w_scale"), HasSubstr("[2]"), HasSubstr("[3]")));
}

TEST(MatMulInteger, ZeroPointsPerRowAndColumn) {
  const Tensor a = U8({2, 2}, {1, 2, 3, 4}), b = I8({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(Values(RunOp(op::kMatMulInteger, {}, {a, b})), (V{9, 12, 15, 19, 26, 33}));
  // rows minus 1 and 3: [0 1; 0 1]; columns minus 1, 0, 2: [0 2 1; 3 5 4]
  EXPECT_EQ(Values(RunOp(op::kMatMulInteger, {}, {a, b, U8({2}, {1, 3}), I8({3}, {1, 0, 2})})),
            (V{3, 5, 4, 3, 5, 4}));
  // The same as [batch, m, 1] and [batch, 1, n], b shared by two batches.
  const Tensor a2 = U8({2, 1, 2}, {1, 2, 3, 4});
  EXPECT_EQ(
      Values(RunOp(op::kMatMulInteger, {}, {a2, b, U8({2, 1, 1}, {1, 3}), I8({1, 3}, {1, 0, 2})})),
      (V{3, 5, 4, 3, 5, 4}));
  EXPECT_EQ(Values(RunOp(op::kMatMulInteger, {}, {U8({2}, {1, 2}), I8({2}, {3, 4}), U8({1}, {1})})),
            V{4});
  const auto bytes = [](Shape s) { return TensorType{DType::kUInt8, std::move(s)}; };
  EXPECT_THAT(InferText(op::kMatMulInteger, {}, {bytes({2, 3}), bytes({3, 4}), bytes({3})}),
              AllOf(HasSubstr("a_zero"), HasSubstr("[3]"), HasSubstr("[2,3]")));
  EXPECT_THAT(
      InferText(op::kMatMulInteger, {}, {bytes({2, 3}), bytes({3, 4}), std::nullopt, bytes({3})}),
      AllOf(HasSubstr("b_zero"), HasSubstr("[3,4]")));
}

TEST(QLinearMatMul, AgreesWithMatMulOfRealValues) {
  const Tensor a = Bytes({2, 3, 4}, 1, false), b = Bytes({2, 4, 5}, 2, true);
  const Tensor a_scale = F({2, 3, 1}, {0.5f, 1, 2, 4, 0.25f, 1}),
               a_zero = U8({2, 3, 1}, {60, 61, 62, 63, 64, 65}),
               b_scale = F({1, 5}, {1, 2, 0.5f, 0.25f, 1}), b_zero = I8({1, 5}, {1, 2, 3, 4, 5}),
               y_scale = F({}, {64}), y_zero = I8({}, {-5});
  const Tensor y =
      RunOp(op::kQLinearMatMul, {}, {a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero});
  Tensor real_a(DType::kFloat64, a.dims()), real_b(DType::kFloat64, b.dims());
  for (int64_t i = 0; i < 24; ++i)
    real_a.mutable_data<double>()[i] =
        (a.AsDouble(i) - a_zero.AsDouble(i / 4)) * a_scale.AsDouble(i / 4);
  for (int64_t i = 0; i < 40; ++i)
    real_b.mutable_data<double>()[i] =
        (b.AsDouble(i) - b_zero.AsDouble(i % 5)) * b_scale.AsDouble(i % 5);
  const Tensor real = RunOp(op::kMatMul, {}, {real_a, real_b});
  EXPECT_EQ(Values(y), Values(RunOp(op::kQuantizeLinear, {}, {real, y_scale, y_zero})));
  EXPECT_EQ(y.dtype(), DType::kInt8);
}

}  // namespace
}  // namespace sula
