#include "ops/movement.h"

#include "ops/run_op.h"
#include "tensor/shape.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorType I64(Shape shape) { return {DType::kInt64, std::move(shape)}; }

// 0, 1, 2, ...
template <class T = float>
Tensor Iota(Dims dims) {
  Tensor t(DTypeOf<T>(), std::move(dims));
  for (int64_t i = 0; i < t.num_elements(); ++i)
    t.mutable_data<T>()[i] = static_cast<T>(static_cast<float>(i));
  return t;
}

std::string ErrorOf(const OpDef& op, const Inputs& inputs, Params params = {}, int outputs = 1) {
  const auto result = TryRun(op, std::move(params), inputs, outputs);
  return result ? "no error" : result.error().ToString();
}

// y[i] = x[i permuted], element by element.
TEST(Transpose, EveryElementOfRanksUpToFive) {
  const std::vector<int64_t> perms[] = {{},        {0},          {1, 0},         {2, 0, 1},
                                        {1, 2, 0}, {0, 2, 3, 1}, {3, 1, 4, 0, 2}};
  for (const auto& perm : perms) {
    SCOPED_TRACE(ToString(perm));
    const int rank = static_cast<int>(perm.size());
    Dims dims;
    for (int i = 0; i < rank; ++i) dims.push_back(i + 2);
    const Tensor x = Iota(dims);
    const Tensor y = RunOp(op::kTranspose, Params::Of(TransposeParams{perm}), {x});
    const Dims x_strides = RowMajorStrides(dims);
    for (int64_t i = 0; i < y.num_elements(); ++i) {
      int64_t rest = i, at = 0;
      for (int axis = rank - 1; axis >= 0; --axis) {
        at += rest % y.dim(axis) * x_strides[perm[axis]];
        rest /= y.dim(axis);
      }
      ASSERT_EQ(y.AsDouble(i), x.AsDouble(at)) << i;
    }
  }
}

TEST(Transpose, DefaultReversesAndAllSizesMove) {
  EXPECT_EQ(RunOp(op::kTranspose, {}, {Iota({2, 3, 4})}).dims(), (Dims{4, 3, 2}));
  EXPECT_THAT(Values(RunOp(op::kTranspose, {}, {Iota<int8_t>({2, 2})})), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(Values(RunOp(op::kTranspose, {}, {Iota<Half>({2, 2})})), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(Values(RunOp(op::kTranspose, {}, {Iota<double>({2, 2})})), ElementsAre(0, 2, 1, 3));
  EXPECT_EQ(RunOp(op::kTranspose, {}, {Tensor(DType::kBool, {0, 2})}).dims(), (Dims{2, 0}));
}

TEST(Transpose, RefusesWhatIsNoPermutation) {
  for (const auto& perm : std::vector<std::vector<int64_t>>{{0}, {0, 0}, {0, 2}, {-1, 0}})
    EXPECT_THAT(ErrorOf(op::kTranspose, {Iota({2, 3})}, Params::Of(TransposeParams{perm})),
                HasSubstr("perm"));
  EXPECT_EQ(InferText(op::kTranspose, Params::Of(TransposeParams{{2, 0, 1}}),
                      {F32({Sym("N"), 3, Sym("L")})}),
            "float32[L,N,3]");
}

TEST(Concat, AlongAnyAxis) {
  const Tensor a = Iota({2, 1}), b = Iota({2, 2});
  const Tensor y = RunOp(op::kConcat, Params::Of(ConcatParams{-1}), {a, b, a});
  EXPECT_EQ(y.dims(), (Dims{2, 4}));
  EXPECT_THAT(Values(y), ElementsAre(0, 0, 1, 0, 1, 2, 3, 1));
  EXPECT_THAT(Values(RunOp(op::kConcat, Params::Of(ConcatParams{0}), {b, Iota({1, 2})})),
              ElementsAre(0, 1, 2, 3, 0, 1));
  EXPECT_EQ(RunOp(op::kConcat, {}, {Tensor(DType::kFloat32, {0}), Iota({2})}), Iota({2}));
}

TEST(Concat, InferAndRefuse) {
  EXPECT_EQ(InferText(op::kConcat, Params::Of(ConcatParams{1}),
                      {F32({Sym("N"), Sym("a")}), F32({4, Sym("b")})}),
            "float32[4,a+b]");
  EXPECT_THAT(InferText(op::kConcat, {}, {F32({2, 3}), F32({2, 4})}), HasSubstr("[2,4]"));
  EXPECT_THAT(InferText(op::kConcat, {}, {F32({2}), F32({2, 4})}), HasSubstr("[2,4]"));
  EXPECT_THAT(InferText(op::kConcat, {}, {F32({2}), I64({2})}), HasSubstr("type"));
  EXPECT_THAT(InferText(op::kConcat, Params::Of(ConcatParams{1}), {F32({2})}), HasSubstr("axis 1"));
}

TEST(Split, EqualUnevenAndGiven) {
  const Tensor x = Iota({2, 5});
  const auto parts = [&](const Inputs& inputs, int64_t num_outputs, int outputs) {
    auto result = TryRun(op::kSplit, Params::Of(SplitParams{1, num_outputs}), inputs, outputs);
    EXPECT_TRUE(result.has_value()) << result.error().ToString();
    return result ? *result : std::vector<Tensor>();
  };
  const auto uneven = parts({x}, 2, 2);
  EXPECT_THAT(Values(uneven[0]), ElementsAre(0, 1, 2, 5, 6, 7));
  EXPECT_THAT(Values(uneven[1]), ElementsAre(3, 4, 8, 9));
  const auto given = parts({x, Tensor::FromInts({1, 0, 4})}, 0, 3);
  EXPECT_THAT(Values(given[0]), ElementsAre(0, 5));
  EXPECT_EQ(given[1].dims(), (Dims{2, 0}));
  EXPECT_THAT(Values(given[2]), ElementsAre(1, 2, 3, 4, 6, 7, 8, 9));
}

TEST(Split, InferAndRefuse) {
  const auto types =
      TryInfer(op::kSplit, Params::Of(SplitParams{.axis = 1}), {F32({Sym("N"), 6})}, {}, 2);
  ASSERT_TRUE(types.has_value());
  EXPECT_EQ((*types)[1].ToString(), "float32[N,3]");
  EXPECT_THAT(ErrorOf(op::kSplit, {Iota({5}), Tensor::FromInts({2, 2})}, {}, 2),
              HasSubstr("cannot be split"));
  EXPECT_THAT(ErrorOf(op::kSplit, {Iota({5}), Tensor::FromInts({6, -1})}, {}, 2),
              HasSubstr("negative"));
  EXPECT_THAT(ErrorOf(op::kSplit, {Iota({5}), Tensor::FromInts({5})}, {}, 2),
              HasSubstr("2 outputs"));
  EXPECT_THAT(ErrorOf(op::kSplit, {Iota({5})}, Params::Of(SplitParams{0, 3}), 2),
              HasSubstr("num_outputs=3"));
  EXPECT_THAT(ErrorOf(op::kSplit, {Iota({5})}, {}, 4), HasSubstr("4 parts"));
}

TEST(Tile, Repeats) {
  const Tensor y = RunOp(op::kTile, {}, {Iota({2, 2}), Tensor::FromInts({2, 3})});
  EXPECT_EQ(y.dims(), (Dims{4, 6}));
  EXPECT_THAT(Values(y), ElementsAre(0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3,  //
                                     0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3));
  EXPECT_EQ(RunOp(op::kTile, {}, {Iota({2}), Tensor::FromInts({0})}).dims(), (Dims{0}));
  EXPECT_EQ(RunOp(op::kTile, {}, {Tensor::Scalar(1.0f), Tensor::FromInts({})}),
            Tensor::Scalar(1.0f));
}

TEST(Tile, Refuses) {
  EXPECT_THAT(ErrorOf(op::kTile, {Iota({2}), Tensor::FromInts({2, 2})}), HasSubstr("repeats"));
  EXPECT_THAT(ErrorOf(op::kTile, {Iota({2}), Tensor::FromInts({-2})}), HasSubstr("-2 times"));
  EXPECT_NE(ErrorOf(op::kTile, {Iota({2}), Tensor::FromInts({INT64_MAX})}), "no error");
  EXPECT_THAT(ErrorOf(op::kTile, {Iota({2}), Tensor::FromInts({int64_t{1} << 50})}),
              HasSubstr("resource exhausted"));
  EXPECT_EQ(InferText(op::kTile, {}, {F32({Sym("N"), 2}), I64({2})},
                      {std::nullopt, Tensor::FromInts({2, 3})}),
            "float32[N*2,6]");
}

TEST(DepthToSpace, BothOrdersAndBack) {
  const Tensor x = Iota({1, 8, 1, 2});
  const Tensor dcr = RunOp(op::kDepthToSpace, Params::Of(BlockParams{2, false}), {x});
  EXPECT_EQ(dcr.dims(), (Dims{1, 2, 2, 4}));
  // Channel c of x, pixel p has the value 2c + p; in DCR channel c goes to block place c / 2.
  EXPECT_THAT(Values(dcr), ElementsAre(0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15));
  const Tensor crd = RunOp(op::kDepthToSpace, Params::Of(BlockParams{2, true}), {x});
  EXPECT_THAT(Values(crd), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  EXPECT_EQ(RunOp(op::kSpaceToDepth, Params::Of(BlockParams{2}), {dcr}), x);
}

TEST(DepthToSpace, Refuses) {
  const auto text = [](const OpDef& op, int64_t block, Shape shape) {
    return InferText(op, Params::Of(BlockParams{block}), {F32(std::move(shape))});
  };
  EXPECT_THAT(text(op::kDepthToSpace, 2, {1, 6, 2, 2}), HasSubstr("multiple of 4"));
  EXPECT_THAT(text(op::kSpaceToDepth, 2, {1, 6, 3, 2}), HasSubstr("multiple of 2"));
  EXPECT_THAT(text(op::kSpaceToDepth, 0, {1, 6, 3, 2}), HasSubstr("side 0"));
  EXPECT_THAT(text(op::kDepthToSpace, 2, {4, 2, 2}), HasSubstr("[4,2,2]"));
  EXPECT_EQ(text(op::kDepthToSpace, 2, {Sym("N"), 8, Sym("H"), 3}), "float32[N,2,H*2,6]");
}

TEST(Trilu, Diagonals) {
  const Tensor x = Iota({2, 3});
  const auto trilu = [&](bool upper, int64_t k) {
    return Values(
        RunOp(op::kTrilu, Params::Of(TriluParams{upper}), {x, Tensor::Scalar(int64_t{k})}));
  };
  EXPECT_THAT(Values(RunOp(op::kTrilu, {}, {x})), ElementsAre(0, 1, 2, 0, 4, 5));
  EXPECT_THAT(trilu(true, 1), ElementsAre(0, 1, 2, 0, 0, 5));
  EXPECT_THAT(trilu(true, -1), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(trilu(false, 0), ElementsAre(0, 0, 0, 3, 4, 0));
  EXPECT_THAT(trilu(false, 1), ElementsAre(0, 1, 0, 3, 4, 5));
  EXPECT_THAT(trilu(true, INT64_MAX), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(trilu(false, INT64_MAX), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(trilu(false, INT64_MIN), ElementsAre(0, 0, 0, 0, 0, 0));
  const Tensor batch = RunOp(op::kTrilu, {}, {Iota<int64_t>({2, 2, 2})});
  EXPECT_THAT(Values(batch), ElementsAre(0, 1, 0, 3, 4, 5, 0, 7));
  EXPECT_THAT(InferText(op::kTrilu, {}, {F32({3})}), HasSubstr("rank 2"));
}

TEST(EyeLike, Diagonals) {
  const Tensor x = Iota({2, 3});
  const auto eye = [&](int64_t k) {
    return Values(RunOp(op::kEyeLike, Params::Of(EyeLikeParams{.k = k}), {x}));
  };
  EXPECT_THAT(eye(0), ElementsAre(1, 0, 0, 0, 1, 0));
  EXPECT_THAT(eye(2), ElementsAre(0, 0, 1, 0, 0, 0));
  EXPECT_THAT(eye(-1), ElementsAre(0, 0, 0, 1, 0, 0));
  EXPECT_THAT(eye(INT64_MAX), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(eye(INT64_MIN), ElementsAre(0, 0, 0, 0, 0, 0));
  const Params typed = Params::Of(EyeLikeParams{.has_dtype = true, .dtype = DType::kInt8});
  EXPECT_EQ(RunOp(op::kEyeLike, typed, {Iota({1, 1})}), Tensor::From<int8_t>({1, 1}, {1}));
  EXPECT_THAT(InferText(op::kEyeLike, {}, {F32({3})}), HasSubstr("matrix"));
}

}  // namespace
}  // namespace sula
