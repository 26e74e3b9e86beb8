#include "ops/matmul.h"

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

MatMulParams Make(bool trans_a, bool trans_b, float alpha = 1) {
  MatMulParams p;
  p.trans_a = trans_a, p.trans_b = trans_b, p.alpha = alpha;
  return p;
}

// Element `index` of the stack of matrices `t`, broadcast by numpy's rule.
double At(const Tensor& t, const Dims& batch_index, int64_t row, int64_t col, bool transposed) {
  if (transposed) std::swap(row, col);
  const int lead = t.rank() - 2;
  int64_t flat = 0;
  for (int i = 0; i < lead; ++i) {
    const int64_t at = batch_index[batch_index.size() - lead + i];
    flat = flat * t.dim(i) + (t.dim(i) == 1 ? 0 : at);
  }
  return t.AsDouble((flat * t.dim(lead) + row) * t.dim(lead + 1) + col);
}

TEST(MatMul, BatchBroadcastAndTransposition) {
  struct {
    Dims a, b, batch;
  } cases[] = {
      {{3, 4}, {4, 5}, {}},
      {{2, 3, 4}, {2, 4, 5}, {2}},
      {{2, 3, 4}, {4, 5}, {2}},
      {{3, 4}, {2, 4, 5}, {2}},
      {{2, 1, 3, 4}, {3, 4, 5}, {2, 3}},
      {{1, 2, 3, 4}, {3, 1, 4, 5}, {3, 2}},
  };
  for (const auto& c : cases) {
    for (bool trans_a : {false, true}) {
      for (bool trans_b : {false, true}) {
        Dims a_dims = c.a, b_dims = c.b;
        if (trans_a) std::swap(a_dims[a_dims.size() - 2], a_dims.back());
        if (trans_b) std::swap(b_dims[b_dims.size() - 2], b_dims.back());
        const Tensor a = Ramp(a_dims, 1), b = Ramp(b_dims, 2);
        const Tensor y = RunOp(op::kMatMul, Params::Of(Make(trans_a, trans_b)), {a, b});
        Dims y_dims = c.batch;
        y_dims.push_back(3), y_dims.push_back(5);
        ASSERT_EQ(y.dims(), y_dims);
        for (int64_t i = 0; i < y.num_elements(); ++i) {
          Dims index(c.batch.size());
          int64_t rest = i / 15;
          for (int k = static_cast<int>(index.size()) - 1; k >= 0; --k) {
            index[k] = rest % c.batch[k];
            rest /= c.batch[k];
          }
          double sum = 0;
          for (int64_t k = 0; k < 4; ++k)
            sum += At(a, index, i / 5 % 3, k, trans_a) * At(b, index, k, i % 5, trans_b);
          EXPECT_EQ(y.AsDouble(i), sum) << ToString(c.a) << ToString(c.b) << " at " << i;
        }
      }
    }
  }
}

TEST(MatMul, VectorsAsInNumpy) {
  const Tensor v = Tensor::From<float>({3}, {1, 2, 3}),
               m = Tensor::From<float>({3, 2}, {1, 0, 0, 1, 2, 2});
  const Tensor dot = RunOp(op::kMatMul, {}, {v, v});
  EXPECT_EQ(dot.dims(), Dims{});
  EXPECT_EQ(dot.AsDouble(0), 14);
  const Tensor row = RunOp(op::kMatMul, {}, {v, m});
  EXPECT_EQ(row.dims(), Dims{2});
  EXPECT_EQ(Values(row), (std::vector<double>{7, 8}));
  const Tensor stack = Tensor::From<float>({2, 1, 3}, {1, 1, 1, 2, 0, 0});
  const Tensor col = RunOp(op::kMatMul, {}, {stack, v});
  EXPECT_EQ(col.dims(), (Dims{2, 1}));
  EXPECT_EQ(Values(col), (std::vector<double>{6, 2}));
}

TEST(MatMul, AlphaBiasResidualActivation) {
  MatMulParams p = Make(false, false, 0.5f);
  p.Fuse({ActivationKind::kRelu});
  const Tensor a = Tensor::From<float>({2, 1}, {2, 4}), b = Tensor::From<float>({1, 2}, {1, -1}),
               bias = Tensor::From<float>({2}, {10, 20}),
               residual = Tensor::From<float>({2, 2}, {0, -30, -12, -18});
  // [1, -1; 2, -2] + [10, 20] + residual
  EXPECT_EQ(Values(RunOp(op::kMatMul, Params::Of(p), {a, b, bias, residual})),
            (std::vector<double>{11, 0, 0, 0}));
  EXPECT_EQ(Values(RunOp(op::kMatMul, Params::Of(p), {a, b, bias})),
            (std::vector<double>{11, 19, 12, 18}));
}

TEST(MatMul, IntegersWrap) {
  const Tensor a = Tensor::From<int32_t>({1, 2}, {INT32_MAX, 3}),
               b = Tensor::From<int32_t>({2, 1}, {2, 5});
  EXPECT_EQ(RunOp(op::kMatMul, {}, {a, b}).AsInt(0), -2 + 15);
  const Tensor c = Tensor::From<int64_t>({1, 1}, {INT64_MAX}),
               d = Tensor::From<int64_t>({1, 1}, {3});
  EXPECT_EQ(RunOp(op::kMatMul, {}, {c, d}).AsInt(0), INT64_MAX - 2);  // 3 (2^63 - 1) mod 2^64
  EXPECT_THAT(TryRun(op::kMatMul, Params::Of(Make(false, false, 2)), {a, b}).error().message(),
              HasSubstr("integers"));
}

TEST(MatMul, OtherFloatTypesAndEmptySizes) {
  const Tensor a = Ramp({3, 7}, 1), b = Ramp({7, 2}, 2);
  const Tensor y = RunOp(op::kMatMul, {}, {a, b});
  EXPECT_EQ(Values(RunOp(op::kMatMul, {}, {To<double>(a), To<double>(b)})), Values(y));
  EXPECT_EQ(Values(RunOp(op::kMatMul, {}, {To<Half>(a), To<Half>(b)})), Values(To<Half>(y)));
  EXPECT_EQ(RunOp(op::kMatMul, {}, {Ramp({0, 3}), Ramp({3, 2})}).dims(), (Dims{0, 2}));
  EXPECT_EQ(Values(RunOp(op::kMatMul, {}, {Ramp({1, 0}), Ramp({0, 2})})),
            (std::vector<double>{0, 0}));
  EXPECT_EQ(RunOp(op::kMatMul, {}, {Ramp({0, 2, 3}), Ramp({3, 2})}).dims(), (Dims{0, 2, 2}));
}

TEST(MatMul, InfersSymbolicSizes) {
  const Dim n = Sym("N"), s = Sym("S");
  EXPECT_EQ(InferText(op::kMatMul, {}, {F32({n, s, 64}), F32({64, 10})}), "float32[N,S,10]");
  EXPECT_EQ(InferText(op::kMatMul, Params::Of(Make(false, true)),
                      {F32({n, 8, s, 64}), F32({n, 8, s, 64})}),
            "float32[N,8,S,S]");
  EXPECT_EQ(InferText(op::kMatMul, {}, {F32({n, 1, 2, 3}), F32({5, 3, 4})}), "float32[N,5,2,4]");
  EXPECT_EQ(InferText(op::kMatMul, {}, {F32({s}), F32({s, 4})}), "float32[4]");
}

TEST(MatMul, ErrorsNameTheShapes) {
  EXPECT_THAT(InferText(op::kMatMul, {}, {F32({2, 3}), F32({4, 5})}),
              AllOf(HasSubstr("[2,3]"), HasSubstr("[4,5]")));
  EXPECT_THAT(InferText(op::kMatMul, {}, {F32({2, 3, 4}), F32({3, 4, 5})}),
              AllOf(HasSubstr("[2,3,4]"), HasSubstr("[3,4,5]")));
  EXPECT_THAT(InferText(op::kMatMul, Params::Of(Make(true, false)), {F32({2, 3}), F32({3, 5})}),
              HasSubstr("[2,3] (transposed)"));
  EXPECT_THAT(InferText(op::kMatMul, Params::Of(Make(true, false)), {F32({3}), F32({3, 5})}),
              HasSubstr("rank 1"));
  EXPECT_THAT(InferText(op::kMatMul, {}, {F32({}), F32({3, 5})}), HasSubstr("[3,5]"));
  EXPECT_THAT(InferText(op::kMatMul, {}, {F32({2, 3}), F32({3, 5}), F32({4})}),
              AllOf(HasSubstr("bias"), HasSubstr("[4]"), HasSubstr("[5]")));
}

TEST(MatMul, Cost) {
  const Node node = MakeNode(op::kMatMul, Params::Of(Make(true, false)), {true, true}, 1);
  const std::vector<TensorType> in = {F32({2, 4, 3}), F32({4, 5})}, out = {F32({2, 3, 5})};
  EXPECT_EQ(op::kMatMul.cost(node, in, out).flops, 2 * 2 * 3 * 4 * 5);
}

}  // namespace
}  // namespace sula
