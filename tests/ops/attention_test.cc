#include "ops/attention.h"

#include <limits>

#include "ops/matmul.h"
#include "ops/run_op.h"
#include "ops/softmax.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();

Params Of(AttentionParams p) { return Params::Of(p); }

// The same by the operators it is written with elsewhere.
std::vector<double> WrittenOut(const Tensor& q, const Tensor& k, const Tensor& v, float scale) {
  const auto exact = [](const Tensor& t) { return To<double>(t); };
  const Tensor s = RunOp(op::kMatMul, Params::Of(MatMulParams{.trans_b = true, .alpha = scale}),
                         {exact(q), exact(k)});
  const Tensor p = RunOp(op::kSoftmax, {}, {s});
  return Values(RunOp(op::kMatMul, {}, {p, exact(v)}));
}

TEST(Attention, IsTwoProductsAndASoftmax) {
  const Tensor q = Ramp({2, 3, 5, 4}, 1), k = Ramp({2, 3, 7, 4}, 2), v = Ramp({2, 3, 7, 6}, 3);
  const Tensor y = RunOp(op::kAttention, Of({.scale = 0.5f}), {q, k, v});
  EXPECT_EQ(y.dims(), (Dims{2, 3, 5, 6}));
  // One rounding to float of a mean of values below 1.
  ExpectNear(Values(y), WrittenOut(q, k, v, 0.5f), kFloatRounding, 1e-12);
}

TEST(Attention, HeadsInsideIsTheResultTransposed) {
  const Tensor q = Ramp({2, 3, 5, 4}, 1), k = Ramp({2, 3, 7, 4}, 2), v = Ramp({2, 3, 7, 6}, 3);
  const std::vector<double> y = Values(RunOp(op::kAttention, {}, {q, k, v}));
  const Tensor t = RunOp(op::kAttention, Of({.heads_inside = true}), {q, k, v});
  EXPECT_EQ(t.dims(), (Dims{2, 5, 3, 6}));
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t i = 0; i < 5; ++i)
        for (int64_t d = 0; d < 6; ++d)
          EXPECT_EQ(t.AsDouble(((b * 5 + i) * 3 + h) * 6 + d), y[((b * 3 + h) * 5 + i) * 6 + d]);
}

// Keys 0: all weights are equal, and a query's result is the mean of the values it sees.
TEST(Attention, CausalityAndMasksSayWhatIsSeen) {
  const Tensor q = Ramp({1, 1, 3, 2}), k = Tensor::From<float>({1, 1, 4, 2}, std::vector<float>(8));
  const Tensor v = Tensor::From<float>({1, 1, 4, 1}, {1, 3, 5, 7});
  const auto run = [&](Causality c, std::optional<Tensor> mask = std::nullopt) {
    return Values(RunOp(op::kAttention, Of({.causality = c}), {q, k, v, mask}));
  };
  using V = std::vector<double>;
  EXPECT_EQ(run(Causality::kNone), (V{4, 4, 4}));
  EXPECT_EQ(run(Causality::kTopLeft), (V{1, 2, 3}));
  EXPECT_EQ(run(Causality::kBottomRight), (V{2, 3, 4}));
  const Tensor keys = Tensor::From<float>({4}, {-kInf, 0, -kInf, 0});
  EXPECT_EQ(run(Causality::kNone, keys), (V{5, 5, 5}));
  // The first query sees key 0 alone, and the mask hides it.
  EXPECT_EQ(run(Causality::kTopLeft, keys), (V{0, 3, 3}));
  const Tensor queries = Tensor::From<float>({1, 1, 3, 1}, {0, -kInf, 9});
  EXPECT_EQ(run(Causality::kNone, queries), (V{4, 0, 4}));
}

TEST(Attention, MasksBroadcastFromTheLastAxis) {
  const Tensor q = Ramp({2, 3, 2, 4}, 1), k = Ramp({2, 3, 5, 4}, 2), v = Ramp({2, 3, 5, 4}, 3);
  for (const Dims& dims :
       {Dims{5}, Dims{2, 5}, Dims{3, 1, 5}, Dims{2, 1, 1, 5}, Dims{2, 3, 2, 5}}) {
    const Tensor mask = Ramp(dims, 4);
    Tensor wide(DType::kFloat32, {2, 3, 2, 5});
    for (int64_t i = 0; i < wide.num_elements(); ++i) {
      const int64_t at[] = {i / 30, i / 10 % 3, i / 5 % 2, i % 5};
      int64_t from = 0;
      for (int a = 0; a < mask.rank(); ++a)
        from = from * mask.dim(a) + (mask.dim(a) == 1 ? 0 : at[4 - mask.rank() + a]);
      wide.mutable_data<float>()[i] = static_cast<float>(mask.AsDouble(from));
    }
    EXPECT_EQ(Values(RunOp(op::kAttention, {}, {q, k, v, mask})),
              Values(RunOp(op::kAttention, {}, {q, k, v, wide})));
  }
}

TEST(Attention, HeadsShareKeysAndValues) {
  const Tensor q = Ramp({1, 4, 3, 2}, 1), k = Ramp({1, 2, 3, 2}, 2), v = Ramp({1, 2, 3, 2}, 3);
  const std::vector<double> y = Values(RunOp(op::kAttention, {}, {q, k, v}));
  const auto head = [](const Tensor& t, int64_t h, int64_t size) {
    std::vector<float> part(size);
    for (int64_t i = 0; i < size; ++i) part[i] = static_cast<float>(t.AsDouble(h * size + i));
    return Tensor::From<float>({1, 1, 3, 2}, part);
  };
  for (int64_t h = 0; h < 4; ++h)
    ExpectNear(WrittenOut(head(q, h, 6), head(k, h / 2, 6), head(v, h / 2, 6), 1),
               std::vector<double>(y.begin() + h * 6, y.begin() + h * 6 + 6), 2 * kFloatRounding,
               1e-7);
}

TEST(Attention, SoftcapBoundsScoresBeforeTheMask) {
  // Scores 100 and 0 become 2 tanh(50) = 2 and 0.
  const Tensor q = Tensor::From<float>({1, 1, 1, 1}, {10});
  const Tensor k = Tensor::From<float>({1, 1, 2, 1}, {10, 0});
  const Tensor v = Tensor::From<float>({1, 1, 2, 1}, {1, 0});
  const auto run = [&](std::optional<Tensor> mask) {
    return RunOp(op::kAttention, Of({.softcap = 2}), {q, k, v, mask}).AsDouble(0);
  };
  EXPECT_NEAR(run(std::nullopt), std::exp(2) / (std::exp(2) + 1), 1e-7);
  EXPECT_EQ(run(Tensor::From<float>({2}, {-kInf, 0})), 0);
}

TEST(Attention, TypesShapesErrors) {
  const auto infer = [](const InputTypes& types, AttentionParams p = {}) {
    return InferText(op::kAttention, Of(p), types);
  };
  const Dim n = Sym("N"), s = Sym("S");
  EXPECT_EQ(infer({F32({n, 4, s, 8}), F32({n, 2, s, 8}), F32({n, 2, s, 16})}), "float32[N,4,S,16]");
  EXPECT_EQ(infer({F32({n, 4, s, 8}), F32({n, 4, s, 8}), F32({n, 4, s, 8}), F32({s, s})},
                  {.heads_inside = true}),
            "float32[N,S,4,8]");
  const TensorType x = F32({2, 4, 3, 8});
  EXPECT_THAT(infer({x, F32({2, 3, 3, 8}), F32({2, 3, 3, 8})}), HasSubstr("no multiple"));
  EXPECT_THAT(infer({x, F32({2, 4, 3, 7}), x}), HasSubstr("don't fit"));
  EXPECT_THAT(infer({x, x, F32({2, 4, 5, 8})}), HasSubstr("don't fit"));
  EXPECT_THAT(infer({F32({4, 3, 8}), x, x}), HasSubstr("q has shape [4,3,8]"));
  EXPECT_THAT(infer({x, x, x, F32({3, 4})}), HasSubstr("mask has shape [3,4]"));
  EXPECT_THAT(infer({x, x, x, F32({1, 2, 4, 3, 3})}), HasSubstr("does not broadcast"));
  EXPECT_THAT(infer({x, x, TensorType{DType::kFloat16, Shape({2, 4, 3, 8})}}),
              HasSubstr("float16"));
  // No keys: zeros.
  EXPECT_EQ(Values(RunOp(op::kAttention, {},
                         {Ramp({1, 1, 2, 3}), Ramp({1, 1, 0, 3}), Ramp({1, 1, 0, 1})})),
            (std::vector<double>{0, 0}));
  const Tensor h = To<Half>(Ramp({1, 1, 2, 3}));
  EXPECT_EQ(RunOp(op::kAttention, {}, {h, h, h}).dtype(), DType::kFloat16);
}

}  // namespace
}  // namespace sula
